# make demo   install everything and run the main recipe's sample        make test   install everything and run the tests
.PHONY: help setup lock demo test test-slow lint docs gpu-check clean

PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && { echo $$p; break; }; done)
REQUIREMENTS ?= requirements.txt
INSTALLER ?= auto
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(basename $(REQUIREMENTS))

help:
	@echo "make setup      create .venv with the locked packages (GPU: make setup REQUIREMENTS=requirements-gpu.txt, see README)"
	@echo "                with uv if it is installed; INSTALLER=pip uses pip anyway"
	@echo "make lock       update setup/*.lock after an edit of requirements*.txt; UPGRADE=1 or UPGRADE=pandas for newer versions"
	@echo "make demo       run the main recipe's sample: train a small model on generated text, print scores, write the report"
	@echo "make test       run the tests (under 12 minutes on 2 cores)"
	@echo "make test-slow  run the tests that take long"
	@echo "make lint       run ruff"
	@echo "make docs       measure the tables of docs/convert.md"
	@echo "make gpu-check  check everything that needs a GPU, and print a table"
	@echo "make clean      remove .venv and caches"

setup: $(STAMP)

$(STAMP): $(wildcard requirements*.txt setup/*.lock setup/*.py)
	@test -n "$(PYTHON)" || { echo "error: Python 3.10, 3.11 or 3.12 is needed and was not found; set PYTHON=/path/to/python"; exit 2; }
	@$(PYTHON) -m setup.install $(REQUIREMENTS) --installer $(INSTALLER)

lock:
	@test -n "$(PYTHON)" || { echo "error: Python 3.10, 3.11 or 3.12 is needed and was not found; set PYTHON=/path/to/python"; exit 2; }
	@$(PYTHON) -m setup.lock $(if $(UPGRADE),--upgrade $(filter-out 1,$(UPGRADE)))

demo: setup
	$(BIN)/python train.py --config bart_lcsts --sample --overwrite

test: setup
	$(BIN)/python -m pytest -m "not slow"

test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: setup
	$(BIN)/ruff check .

docs: setup
	$(BIN)/python -m tests.convert.make_table

gpu-check: setup
	$(BIN)/python benchmarks/gpu_check.py

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
