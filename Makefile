# `make help` lists the targets.
.PHONY: help setup lock demo test test-slow test-wheel fuzz lint docs results site picture notebooks gpu-check clean

PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && { echo $$p; break; }; done)
REQUIREMENTS ?= requirements.txt
INSTALLER ?= auto
CASES ?= 100000
SEED ?= 0
VENV := .venv
BIN := $(VENV)/bin
# A worker that crashes ends the tests, and one that hangs for five minutes crashes after printing where.
NO_HANG := --max-worker-restart 0 -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true
STAMP := $(VENV)/.installed-$(basename $(REQUIREMENTS))

help:
	@echo "make setup      make .venv with the locked packages; for a GPU: REQUIREMENTS=requirements-gpu.txt (see README);"
	@echo "                uv installs them if it is there, INSTALLER=pip uses pip in any case"
	@echo "make demo       set up, then train a small model on generated text and print its figures and the path of the report"
	@echo "make test       set up, then run the tests (under 12 minutes on 2 cores)"
	@echo "make test-slow  set up, then run the long checks (needs Chromium; CONTRIBUTING.md says how to do without)"
	@echo "make test-wheel  set up, then install the built wheel into an empty environment and run it there"
	@echo "make fuzz       set up, then feed broken input to everything that reads input: CASES=100000 a target, TARGET=config_file"
	@echo "                for one of them, SEED=1 for other cases"
	@echo "make lint       set up, then check the code with ruff and its types with mypy"
	@echo "make docs       set up, then write the parts of the pages that come from the code: the tables of docs/convert.md,"
	@echo "                which are measured, and the settings of docs/configuration.md"
	@echo "make results    set up, then write docs/results.md from docs/results/entries; what it shows is measured first with"
	@echo "                RESULTS='run --data FOLDER --set MINILM=DIRECTORY' (python -m docs.results --help)"
	@echo "make site       set up, then build the documentation as a site in site/; a broken link is an error"
	@echo "make picture    set up, then write the README's picture, docs/images/report.png, from the demo's run (needs Chromium)"
	@echo "make notebooks  write the notebooks again from notebooks/source/"
	@echo "make gpu-check  set up, then check on a GPU what a CPU cannot show, and print a table"
	@echo "make lock       write setup/*.lock after an edit of requirements*.txt; UPGRADE=pandas takes the newest pandas,"
	@echo "                UPGRADE=1 the newest version of everything"
	@echo "make clean      remove .venv and the caches of pytest, ruff and mypy"
	@echo "make help       show this list"

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
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder $(NO_HANG)

test-slow: setup
	$(BIN)/python -m pytest -m slow

test-wheel: setup
	$(BIN)/python -m pytest -m slow tests/test_installed.py

fuzz: setup
	$(BIN)/python -m tests.fuzz --cases $(CASES) --seed $(SEED) $(if $(TARGET),--target $(TARGET))

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m tests.convert.make_table
	$(BIN)/python -m tests.config.make_reference

results: setup
	$(BIN)/python -m docs.results $(RESULTS)

site: setup
	NO_MKDOCS_2_WARNING=true $(BIN)/python -m mkdocs build --strict

picture: setup
	$(BIN)/python -m docs.make_picture

notebooks: setup
	$(BIN)/python -m notebooks.build

gpu-check: setup
	$(BIN)/python benchmarks/gpu_check.py

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache
