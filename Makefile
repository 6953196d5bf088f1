# One command a verb. Each sets up what it needs in .venv first and needs no network after that.
# Promises: a target that was set up once works offline; nothing outside this folder is written.
# On failure: the failing tool's own message and a non-zero exit.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# pip of the venv, or the caller's own where Python came without ensurepip.
PIP = $$(test -x $(VENV)/bin/pip && echo $(RUN) -m pip || echo $(PYTHON) -m pip --python $(RUN))
INSTALL = $(PIP) install -qq --no-input --disable-pip-version-check --require-hashes
TEST_HOME := $(if $(HEADWATER_HOME),$(HEADWATER_HOME),.headwater/test)

.DEFAULT_GOAL := help
.PHONY: help demo run test bench lint clean
.NOTPARALLEL:

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-6s %s\n", $$1, $$2}'

demo: $(VENV)/.site ## from nothing to the matrix: target against measured
	@$(RUN) manage.py demo

run: $(VENV)/.site ## the same, and keeps serving; prints the address and the logins
	@$(RUN) manage.py demo --serve

test: $(VENV)/.dev ## every test but the long ones, on all cores
	@HEADWATER_HOME=$(TEST_HOME) $(RUN) -m pytest -p caching.tests.workers -n logical --dist loadfile \
		--no-loadscope-reorder -m "not slow and not alone" $(ARGS)

bench: $(VENV)/.bench ## side by side with the libraries people use today
	@$(RUN) -m benchmarks $(ARGS)

lint: $(VENV)/.dev ## ruff, mypy, import-linter, hadolint, compose-lint
	@$(RUN) -m ruff format --check --quiet .
	@$(RUN) -m ruff check --quiet .
	@$(RUN) -m mypy --no-incremental .
	@$(VENV)/bin/lint-imports --no-cache
	@$(VENV)/bin/hadolint Dockerfile
	@$(VENV)/bin/compose-lint compose.yaml

clean: ## removes .venv, .headwater and caches; stops the embedded server first
	@if [ -d .headwater ] && [ -x $(RUN) ]; then \
		for home in .headwater .headwater/test $(wildcard .headwater/test/gw*); do \
			$(RUN) -P caching/keeper.py --stop $$home; done; fi
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
	@rm -rf $(VENV) .headwater .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo \
		"Headwater needs Python 3.11 or newer as '$(PYTHON)': try make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || $(PYTHON) -m venv --clear --without-pip $(VENV)
	@touch $@

$(VENV)/.site: requirements.lock | $(VENV)/.made
	@echo "Installing the site into $(VENV) ..."
	@$(INSTALL) -r requirements.lock
	@touch $@

# Each lock holds the one before it whole, at the same versions. Django's source has its own test suite.
$(VENV)/.bench: requirements-bench.lock requirements.lock | $(VENV)/.made
	@echo "Installing the site and its benchmark peers into $(VENV) ..."
	@$(INSTALL) -r requirements-bench.lock
	@touch $(VENV)/.site $@

$(VENV)/.dev: requirements-dev.lock requirements-bench.lock requirements.lock | $(VENV)/.made
	@echo "Installing the site, tests and linters into $(VENV) ..."
	@$(INSTALL) -r requirements-dev.lock
	@mkdir -p $(VENV)/src
	@sed -n '/^django==/,/[^\\]$$/p' requirements-dev.lock >$(VENV)/src/django.txt
	@$(PIP) download -qq --disable-pip-version-check --require-hashes --no-deps --no-binary Django \
		-r $(VENV)/src/django.txt -d $(VENV)/src
	@touch $(VENV)/.site $(VENV)/.bench $@
