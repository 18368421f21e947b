# `make help` lists the targets. They need Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := api benchmarks common consumer producer sensorwatch trainer
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Compiled Python files make the start of each process of the tests faster.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long test-fast check check-full lint types fix bench bench-full bench-quality docs-plots lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/.runtime  ## run all services for a minute, with simulated sensors (DEMO_SECONDS=60)
	@$(BIN)/sensorwatch demo

setup: .venv/.dev  ## create .venv with all packages for development

test: .venv/.dev  ## run the tests; each part first prints its usual duration and the skipped tests
	@$(BIN)/sensorwatch warmup
	@echo "part 1 of 2: the tests without a real Kafka, on all cores"
	@$(BIN)/python -m pytest --numprocesses auto --cov --cov-report xml -m "not broker"
	@echo "part 2 of 2: the tests on a real Kafka, in two processes with a Kafka each"
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "broker and not long"

test-long: .venv/.dev  ## run the tests on a real Kafka that take minutes each (three brokers)
	@$(BIN)/python -m pytest -m long

test-fast: .venv/.dev  ## run the quick tests that need no Kafka
	@$(BIN)/python -m pytest --numprocesses auto -m "not broker and not chaos and not slow"

check: lint types test  ## run lint, types and test, as CI does

check-full: check test-long  ## run check, and then the tests that take minutes each

lint: .venv/.dev  ## run ruff, and check the compose file and the workflow against their schemas
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; exit 1; }
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

types: .venv/.dev  ## run mypy in strict mode
	@$(BIN)/mypy

fix: .venv/.dev  ## apply the fixes that ruff can make
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

bench: .venv/.dev  ## measure the speed, in minutes, against an empty loop; needs Java (ARGS="--only drain")
	@$(BIN)/python -m benchmarks.speed $(ARGS)

bench-full: .venv/.dev  ## measure the speed at full size, with every peer; writes docs/performance-measured.md
	@$(BIN)/python -m benchmarks.speed --full $(ARGS)

bench-quality: .venv/.dev  ## measure how well faults are detected (DATA=folder with skab/, nab/ and streams/)
	@$(BIN)/python -m benchmarks.quality --data "$(DATA)" $(ARGS)

docs-plots: .venv/.dev  ## draw the plots of the user documents again
	@$(BIN)/python -m benchmarks.docs_plots

lock: .venv/.lock-tool  ## write the lock files from pyproject.toml (UPGRADE=--upgrade: newest versions)
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
