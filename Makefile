# make demo   install what is needed and run the main recipe's sample        make test   install and run the tests
.PHONY: help setup demo test test-slow lint docs gpu-check clean

PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && { echo $$p; break; }; done)
REQUIREMENTS ?= requirements.txt
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(basename $(REQUIREMENTS))

help:
	@echo "make setup      .venv with the pinned dependencies (GPU: make setup REQUIREMENTS=requirements-gpu.txt, see README)"
	@echo "make demo       the main recipe's sample: trains a small model on generated text, prints figures and the report"
	@echo "make test       the tests (under 12 minutes on 2 cores)"
	@echo "make test-slow  the long checks"
	@echo "make lint       ruff"
	@echo "make docs       the measured tables of docs/convert.md"
	@echo "make gpu-check  what only a GPU can show; prints a table"

setup: $(STAMP)

$(STAMP): requirements-build.txt requirements-base.txt $(REQUIREMENTS) requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "error: Python 3.10, 3.11 or 3.12 is needed and was not found; set PYTHON=/path/to/python"; exit 2; }
	@echo "setup: making $(VENV) with $(PYTHON) and installing the pinned dependencies (about 1 GB, a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -r requirements-build.txt
	@$(BIN)/python -m pip install --progress-bar on --no-build-isolation -r $(REQUIREMENTS) -r requirements-dev.txt
	@rm -f $(VENV)/.installed-* && touch $@
	@echo "setup: done"

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
