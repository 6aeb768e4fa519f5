# Every target sets itself up: Python >= 3.11, git and GNU make are all a new machine needs.
# The environment is `.venv`, filled from hash-pinned requirements; a second call finds it ready.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# Stamps lie inside the environment, so that deleting it forgets them as well.
UV_STAMP := $(VENV)/.relive-uv
SYNC_STAMP := $(VENV)/.relive-synced
READY := $(VENV)/.relive-ready
# A real Ray for its tests; in an environment of its own, because it pins much and is large.
RAY_VENV := .venv-ray
RAY_READY := $(RAY_VENV)/.relive-ready
# A validator of RO-Crates, which wants an older rich than ours.
CRATE_VENV := .venv-crate
CRATE_READY := $(CRATE_VENV)/.relive-ready

PYTEST_ARGS ?=
BENCH_ARGS ?=
# `make lock UPGRADE=1` moves every pin to the newest release; without it the pins that still fit stay.
UPGRADE ?=

# uv must use this environment and never fetch an interpreter of its own.
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export UV_PYTHON_DOWNLOADS := never
# Without kept bytecode every hub and runner that a test or the demonstration starts compiles its libraries
# anew, which takes longer than the rest of its start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help:  ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

# --- what people ask for ---------------------------------------------------------------------------------

.PHONY: demo
demo: $(READY)  ## The main job on real data: push, train, gate, register, serve, replay
	$(BIN)/relive demo

.PHONY: test
test: $(READY)  ## Every test; PYTEST_ARGS="-k name" passes more
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

.PHONY: check check-format check-lint check-types check-layers check-house
check: check-format check-lint check-types check-layers check-house  ## All checks (with make -k: all, though one fails)
check-format: $(READY)  ## ... formatting
	$(BIN)/ruff format --check --quiet
check-lint: $(READY)  ## ... lint
	$(BIN)/ruff check --quiet
check-types: $(READY)  ## ... strict types
	$(BIN)/mypy
check-layers: $(READY)  ## ... import contracts
	$(BIN)/lint-imports --no-logo
check-house: $(READY)  ## ... size budgets, what agents import, documentation drift
	$(BIN)/python -m pytest -q tests/unit/test_budgets.py tests/unit/test_imports.py tests/docs

.PHONY: bench
bench: $(READY)  ## Benchmarks, as ratios measured side by side; BENCH_ARGS="--size full NAME" passes more
	$(BIN)/python -m tests.bench $(BENCH_ARGS)

.PHONY: docs
docs: $(READY)  ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir site
	@echo "open site/index.html"

.PHONY: docs-reference
docs-reference: $(READY)  ## Write the generated reference pages again
	$(BIN)/python -m tools.reference

.PHONY: format
format: $(READY)  ## Format the code and mend what the linter can mend by itself
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# --- the environment -------------------------------------------------------------------------------------

.PHONY: sync
sync: $(READY)  ## Bring .venv to the pinned packages

.PHONY: lock
lock: $(UV_STAMP)  ## Pin requirements again, with hashes and without addresses (UPGRADE=1: newest)
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  $(if $(UPGRADE),--upgrade) --all-extras --group lint --group test --group docs \
	  pyproject.toml requirements/dev.in -o requirements/dev.txt
	echo uv | $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  --no-deps --constraints requirements/dev.txt - -o requirements/uv.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  $(if $(UPGRADE),--upgrade) requirements/ray.in -o requirements/ray.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  $(if $(UPGRADE),--upgrade) requirements/crate.in -o requirements/crate.txt

.PHONY: ray-env
ray-env: $(RAY_READY)  ## A real Ray for its tests, in .venv-ray (320 MB)

$(RAY_READY): requirements/ray.txt $(UV_STAMP)
	$(BIN)/python -m venv --without-pip $(RAY_VENV)
	$(UV) pip sync --quiet --require-hashes --python $(RAY_VENV)/bin/python requirements/ray.txt
	@touch $@

.PHONY: crate-env
crate-env: $(CRATE_READY)  ## A validator of RO-Crates for its tests, in .venv-crate (50 MB)

$(CRATE_READY): requirements/crate.txt $(UV_STAMP)
	$(BIN)/python -m venv --without-pip $(CRATE_VENV)
	$(UV) pip sync --quiet --require-hashes --python $(CRATE_VENV)/bin/python requirements/crate.txt
	@touch $@

$(BIN)/python:
	@set -eu; \
	for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "making $(VENV) with $$($$python --version)"; \
	    if $$python -m venv $(VENV); then exit 0; fi; \
	    rm -rf $(VENV); \
	    echo "$$python cannot make a virtual environment: install its venv module" \
	         "(Debian, Ubuntu: apt install python3-venv), then run make again." >&2; \
	    exit 1; \
	  fi; \
	done; \
	echo "relive needs Python 3.11 or newer, and no python3 on PATH is." \
	     "Found: $$(python3 --version 2>&1 || echo none). Install one, then run make again." >&2; \
	exit 1

# Python ships pip, so pip brings uv (by hash), and uv brings everything else.
$(UV_STAMP): requirements/uv.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/uv.txt
	@touch $@

$(SYNC_STAMP): requirements/dev.txt $(UV_STAMP)
	$(UV) pip sync --quiet --require-hashes requirements/dev.txt
	@touch $@

# The sync removes what is not pinned, so also the editable install of relive itself: it always comes after.
# hatchling and editables are pinned in dev.txt, so that no build isolation fetches others.
$(READY): pyproject.toml $(SYNC_STAMP)
	$(UV) pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
