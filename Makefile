# Two commands are enough on a fresh machine: `make quickstart` and `make test`.
# PYTHON chooses the interpreter (3.11 or newer), VENV the environment's folder, PROCESSES how many share the tests.

IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN := runs/quickstart
PROCESSES ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n : 4)))

.DEFAULT_GOAL := help
.PHONY: help setup quickstart test test-slow test-arm check format clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make .venv with the tested versions, once

# torch goes first: torchvision accepts the build that is already there. The kernels are compiled on the way; without
# a compiler the installation succeeds and the numpy reference serves.
$(STAMP): pyproject.toml constraints.txt $(wildcard bnn_train/packed/csrc/*.* bnn_train/packed/csrc/isa/*.*)
	@"$(PYTHON)" -c '$(IS_NEW_ENOUGH)' 2>/dev/null || \
		{ echo "error: Python 3.11 or newer is needed; name one with make PYTHON=..." >&2; exit 2; }
	@echo "installing into $(VENV): a few minutes, once"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,plots,completion]'
	@touch $@

quickstart: $(STAMP)  ## train, evaluate, export and report a BNN on the embedded digits (a minute)
	$(BIN)/bnn-train --config configs/quickstart.yaml --set run.dir=$(RUN) --set run.overwrite=true
	$(BIN)/bnn-eval --checkpoint $(RUN)
	$(BIN)/bnn-export --checkpoint $(RUN) --out $(RUN)/model.bnn
	$(BIN)/bnn-eval --checkpoint $(RUN)/model.bnn
	$(BIN)/bnn-report $(RUN)

test: $(STAMP)  ## the default tests, on up to four cores
	$(BIN)/python -m pytest --processes $(PROCESSES)

test-slow: $(STAMP)  ## the long tests, and those on real data (BNN_DATA=folder)
	$(BIN)/python -m pytest -m 'slow or data'

test-arm: $(STAMP)  ## the kernels on Arm and RISC-V, emulated (downloads 35 MB, once)
	$(BIN)/python scripts/arm_check.py --fetch

check: $(STAMP)  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## rewrite the code in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and everything that tools leave behind; runs stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find bnn_train tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
