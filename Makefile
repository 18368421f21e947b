# One verb each; `make help` lists them. Only Python 3.11 or newer is needed.
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := api benchmarks common consumer producer sensorwatch trainer
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long test-fast check lint types fix bench bench-full bench-quality docs-plots lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/.runtime  ## show the whole path of a row, live, in a minute (DEMO_SECONDS=60)
	@$(BIN)/sensorwatch demo

setup: .venv/.dev  ## create .venv with everything that development needs

test: .venv/.dev  ## run the tests; each part says first how long it takes and what it leaves out
	@$(BIN)/sensorwatch warmup
	@echo "part 1 of 2: the tests without a real Kafka, on all cores"
	@$(BIN)/python -m pytest --numprocesses auto --cov --cov-report xml -m "not broker"
	@echo "part 2 of 2: the tests on a real Kafka, in two processes with a Kafka each"
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "broker and not long"

test-long: .venv/.dev  ## run the tests on a real Kafka that take minutes each (three brokers)
	@$(BIN)/python -m pytest -m long

test-fast: .venv/.dev  ## run the quick tests that need no Kafka
	@$(BIN)/python -m pytest --numprocesses auto -m "not broker and not chaos and not slow"

check: lint types test  ## lint, types, tests: what CI runs

lint: .venv/.dev  ## ruff, and the compose file and the workflow against their schemas
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; exit 1; }
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

types: .venv/.dev  ## mypy, strict
	@$(BIN)/mypy

fix: .venv/.dev  ## apply the fixes that ruff can make
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

bench: .venv/.dev  ## how fast, in minutes: ratios to an empty loop; needs Java (ARGS="--only drain")
	@$(BIN)/python -m benchmarks.speed $(ARGS)

bench-full: .venv/.dev  ## the same at full size, with every peer; writes docs/performance-measured.md
	@$(BIN)/python -m benchmarks.speed --full $(ARGS)

bench-quality: .venv/.dev  ## how well faults are found (DATA=folder with skab/, nab/ and streams/)
	@$(BIN)/python -m benchmarks.quality --data "$(DATA)" $(ARGS)

docs-plots: .venv/.dev  ## draw the plots of the user documents again
	@$(BIN)/python -m benchmarks.docs_plots

lock: .venv/.lock-tool  ## lock what pyproject.toml adds (UPGRADE=--upgrade: newest version of all)
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal $(UPGRADE) \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--extra build --output-file requirements.lock pyproject.toml
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal $(UPGRADE) \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--extra build --extra parquet --extra dev --constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml

clean:  ## remove the files that the other targets create
	@rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@rm -f .coverage .coverage.* coverage.xml
	@find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sensorwatch needs Python 3.11 or newer; this is $$($(PYTHON) --version)." \
		"Name one with: make PYTHON=python3.12 ..."; exit 1; }
	@echo "creating .venv ..."
	@$(PYTHON) -m venv .venv

.venv/.runtime: .venv/bin/python requirements.lock pyproject.toml
	@echo "installing requirements.lock into .venv (a minute, the first time) ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	@echo "installing requirements-dev.lock into .venv ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

.venv/.lock-tool: .venv/bin/python
	@$(PIP) install uv
	@touch $@
