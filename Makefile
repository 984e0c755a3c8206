# Two commands matter on a fresh machine: `make demo` and `make test`.
# Needed beforehand: Python 3.11 or newer, make, and a C compiler (durable-rules is compiled); for `make test` also
# Chromium, in which the recipients' pages are tested (Debian: apt-get install chromium).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DONE   := $(VENV)/.done
LOGS   := .cache/make
ARGS   ?=
WAITING := tests/faults tests/concurrency tests/functional
SOAK   := benchmarks/durable_soak.py
BENCH  := -m benchmarks.engines
ROUNDS ?= 10

# The rooms where every branch must be tested, and the share of it that `make test` demands there.
FULLY_TESTED       := core policyfile decide engine
FULLY_TESTED_FLOOR := 100
COMMA              := ,
IN_ROOMS           := --include='$(subst $() ,$(COMMA),$(FULLY_TESTED:%=*/guardrails/%/*))'

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
# The tests start some thousand processes, each of which would compile the whole package anew.
unexport PYTHONDONTWRITEBYTECODE

# Only what a lock file names, by hash, is installed, and nothing is fetched in order to build it.
INSTALL := $(BIN)/python -m pip install -qq --require-hashes --no-build-isolation

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:
SHELL := /bin/sh

## help: say what can be made
.PHONY: help
help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST)) | sed 's/: /|/' | awk -F'|' '{ printf "make %-14s %s\n", $$1, $$2 }'

# --- set-up: each step leaves a mark, and is done again only when what it installs has changed -----------------

$(DONE)/venv:
	@command -v $(PYTHON) >/dev/null || { echo 'guardrails needs Python 3.11 or newer: no `$(PYTHON)` found; try make PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'guardrails needs Python 3.11 or newer: `$(PYTHON)` is' "$$($(PYTHON) --version); try make PYTHON=python3.12"; exit 1; }
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null \
	  || { echo 'guardrails needs a C compiler: durable-rules is compiled when it is installed'; exit 1; }
	@echo 'setup        making $(VENV), once; about a minute'
	@$(PYTHON) -m venv --clear $(VENV)
	@mkdir -p $(DONE) && touch $@

$(DONE)/build: requirements/build.lock $(DONE)/venv
	@$(INSTALL) -r $<
	@touch $@

# durable-rules, of 2020, calls PyEval_CallObject, which Python 3.13 removed; PyObject_CallObject does the same. It is
# then built afresh, since pip may have kept a build without this, and tried, since C leaves a missing name to the import.
$(DONE)/runtime: requirements/runtime.lock $(DONE)/build
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 13))'; \
	then CPPFLAGS="$$CPPFLAGS -DPyEval_CallObject=PyObject_CallObject" $(INSTALL) --no-cache-dir -r $<; \
	else $(INSTALL) -r $<; fi
	@$(BIN)/python -c 'import durable_rules_engine'
	@touch $@

$(DONE)/package: pyproject.toml $(DONE)/runtime
	@$(BIN)/python -m pip install -qq --no-deps --no-index --no-build-isolation --editable .
	@touch $@

$(DONE)/dev: requirements/dev.lock $(DONE)/package
	@$(INSTALL) -r $<
	@$(BIN)/python -m pip check >/dev/null || { $(BIN)/python -m pip check; exit 1; }
	@touch $@

$(DONE)/bench: requirements/bench.lock $(DONE)/package
	@$(INSTALL) -r $<
	@touch $@

## setup: make .venv with everything that developers need
.PHONY: setup
setup: $(DONE)/dev $(DONE)/bench

# --- the two commands ------------------------------------------------------------------------------------------

## demo: decide a week of real candidates through the running service (ARGS=--once to end then)
.PHONY: demo
demo: $(DONE)/package
	@$(BIN)/python examples/demo.py $(ARGS)

# $(call told,name,command): one line when it holds (the last in its log), the whole log when not.
told = printf '%-9s ' '$(1)'; if $(2); then sed -n '/[^[:space:]]/h;$${g;p;}' $(LOGS)/$(1).log; \
  else echo FAILED; cat $(LOGS)/$(1).log; false; fi

# $(call step,name,command): do it, and tell what came of it.
define step
@mkdir -p $(LOGS); $(call told,$(1),$(2) >$(LOGS)/$(1).log 2>&1)
endef

# $(call steps,name,command,name,command): the same for two at once; the second leaves the first what it needs.
define steps
@mkdir -p $(LOGS); $(4) >$(LOGS)/$(3).log 2>&1 & second=$$!; \
{ $(call told,$(1),$(2) >$(LOGS)/$(1).log 2>&1); }; first=$$?; \
{ $(call told,$(3),wait $$second); } && exit $$first
endef

# What the tests reached: of the whole, and of the rooms that must be reached whole.
define measure
@$(BIN)/coverage combine --quiet
$(call step,coverage,{ $(BIN)/coverage report && $(BIN)/coverage report --format=total | sed 's/$$/ % of all branches/'; })
$(call step,rooms,{ $(BIN)/coverage report $(IN_ROOMS) --fail-under=$(FULLY_TESTED_FLOOR) \
  && $(BIN)/coverage report $(IN_ROOMS) --format=total | sed 's/$$/ % of $(FULLY_TESTED) (at least $(FULLY_TESTED_FLOOR) demanded)/'; })
endef

## test: everything: lint, types, import contracts, policy tests, every other test, coverage
.PHONY: test
test: lint policy-test unit
	@sed -nE 's/^([0-9]+) passed.*/\1/p' $(LOGS)/pytest.log $(LOGS)/waiting.log | \
	  awk '{ passed += $$1 } END { printf "tests: %d passed, 0 failed\n", passed }'

## lint: ruff, mypy and the import contracts
.PHONY: lint
lint: $(DONE)/dev
	$(call step,lint,$(BIN)/ruff check --output-format=concise .)
	$(call step,format,$(BIN)/ruff format --check .)
	$(call step,types,$(BIN)/mypy)
	$(call step,imports,$(BIN)/lint-imports --no-cache)

## policy-test: the shipped policies, by policy_tests/
.PHONY: policy-test
policy-test: $(DONE)/package
	$(call step,policies,$(BIN)/guardrails test policy_tests)

# `coverage run` and not pytest-cov: pytest imports the package's own plugin before it starts pytest-cov. What mostly
# waits, for processes, runs beside the rest, and measures nothing: it would take longer.
## unit: tests/ and policy_tests/ by pytest, with coverage (make unit ARGS='tests/unit -k retry' picks, without)
.PHONY: unit
unit: $(DONE)/dev $(DONE)/bench
ifdef ARGS
	$(call step,pytest,$(BIN)/python -m pytest $(ARGS))
else
	@$(BIN)/coverage erase
	$(call steps,pytest,$(BIN)/coverage run -m pytest $(WAITING:%=--ignore=%),waiting,$(BIN)/python -m pytest $(WAITING))
	$(measure)
endif

## soak: a million durable decisions and the memory they take, then ten times the faults (ROUNDS=10)
.PHONY: soak
soak: $(DONE)/dev
	@$(BIN)/python $(SOAK) $(ARGS)
	@FAULT_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest tests/faults

## bench: the engines beside their peers, as a table of ratios
.PHONY: bench
bench: $(DONE)/bench
	@$(BIN)/python $(BENCH) $(ARGS)

## bench-state: decisions a second on each store, beside a bare insert and commit on it
.PHONY: bench-state
bench-state: $(DONE)/dev
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.state $(ARGS)

## bench-consents: a million consents imported with flat memory, and a thousand looked up at once
.PHONY: bench-consents
bench-consents: $(DONE)/dev
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.consents $(ARGS)

## bench-offers: offer tokens signed and verified, and redemptions, a second
.PHONY: bench-offers
bench-offers: $(DONE)/dev
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.offers $(ARGS)

# --- upkeep ----------------------------------------------------------------------------------------------------

# What every lock is made by; each is held to the one before, so that they agree.
COMPILE = UV_CUSTOM_COMPILE_COMMAND='make lock' .cache/uv/bin/uv pip compile --quiet --upgrade --universal \
  --python-version 3.11 --generate-hashes --no-emit-index-url

## lock: move every locked version to the newest that pyproject.toml allows
.PHONY: lock
lock:
	@test -x .cache/uv/bin/uv || { $(PYTHON) -m venv .cache/uv && .cache/uv/bin/python -m pip install -qq uv; }
	@$(COMPILE) requirements/build.in -o requirements/build.lock
	@$(COMPILE) -c requirements/build.lock pyproject.toml -o requirements/runtime.lock
	@$(COMPILE) -c requirements/runtime.lock pyproject.toml --all-extras -o requirements/stores.lock
	@$(COMPILE) -c requirements/stores.lock pyproject.toml --group dev -o requirements/dev.lock
	@$(COMPILE) -c requirements/dev.lock pyproject.toml --group bench -o requirements/bench.lock

## clean: remove everything that make has made
.PHONY: clean
clean:
	@rm -rf .venv .cache .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist htmlcov
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@rm -rf src/*.egg-info
