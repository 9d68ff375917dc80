# `make demo` builds a base and a service container, `make test` runs every test, `make ready`
# only sees to what builds need.
.PHONY: demo ready test lint types unit functional integration test-docs test-tools setup engine clean

VENV := .venv/bin
# A package in C that Salt requires has no wheels: optimizing it takes a minute, and gains nothing.
PIP := CFLAGS=-O0 $(VENV)/pip install --quiet
# Side by side, and in the end what took longest.
PYTEST := $(VENV)/pytest --numprocesses auto --durations 25

demo: ready
	tools/demo

# Side by side: one waits for Debian's packages, the other for Python's.
ready:
	tools/host-tools
	@$(MAKE) --no-print-directory --jobs 2 engine .venv/package

test: setup .venv/dev lint types unit test-tools
	$(PYTEST) tests/integration tests/functional

lint: .venv/dev
	$(VENV)/ruff format --check
	$(VENV)/ruff check
	$(VENV)/lint-imports --no-logo
	$(VENV)/salt-lint $$(git ls-files --cached --others --exclude-standard '*.sls')

types: .venv/dev
	$(VENV)/mypy

unit: .venv/dev
	$(VENV)/pytest --numprocesses auto -p no:salt-factories-event-listener tests/unit

functional: setup .venv/dev test-tools
	$(PYTEST) tests/functional

integration: setup .venv/dev test-tools
	$(PYTEST) tests/integration

# README and pages of docs/, typed on hosts that have only what they name.
test-docs: setup .venv/dev test-tools
	$(VENV)/pytest tests/docs

test-tools:
	tools/host-tools --tests

setup:
	tools/host-tools
	tools/docker-engine

engine:
	tools/docker-engine

.venv/package: setup.cfg pyproject.toml
	python3 -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/dev: .venv/package
	$(PIP) --editable '.[dev]'
	touch $@

clean:
	tools/clean
