# All targets except help, lock, clean, explorer, image, lane-b and test-system run setup first; a second call skips it.
# Options: make setup PYTHON=/path/to/python3.10, make run CITY=nyc ARGS="--data FILE".

SHELL := bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
CITY ?= chicago
IMAGE ?= farebox
CHECKS := "ruff check" "ruff format --check" "mypy farebox $(wildcard benchmarks/*.py)"
# The tests of one file run in one process, so shared fixtures are made once. A process takes up to 2 GB.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# Each process reads all tests, whose asserts pytest rewrites: six CPU seconds, unless it may keep them for the next time.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
export LANE PYTHON

.PHONY: help setup run test test-fast test-system lint lock wheel explorer flink image lane-b clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## choose the lane, create .venv, install the locked packages and farebox
	@tools/env.sh setup

run: setup ## train, judge and push a fare model: CITY=chicago ARGS=...
	@$(BIN)/farebox run --city $(CITY) $(ARGS)

test: setup ## run all tests
	@$(PYTEST) $(SIDE_BY_SIDE) $(ARGS)

test-fast: setup ## run the tests not marked slow
	@$(PYTEST) $(SIDE_BY_SIDE) -m "not slow" $(ARGS)

test-system: ## install what some tests start: PostgreSQL, MariaDB, Chromium, npm packages; needs apt and root
	@tools/test_system.sh

lint: setup ## run ruff (rules and format) and mypy
	@failed=0; for check in $(CHECKS); do $(BIN)/$$check || failed=1; done; exit $$failed

lock: ## rewrite requirements/*.txt from setup.py: ARGS=--upgrade for newer versions
	@tools/env.sh lock $(ARGS)

wheel: setup ## build dist/farebox-*.whl, for Beam workers elsewhere: docs/engines.md
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

explorer: ## fetch LiteRT.js, and axe-core for tests, by hash, with npm: for the page of `farebox explore`
	@tools/litert_js.sh

flink: setup ## run Apache Flink and Beam workers on this machine until Ctrl-C: ARGS="--job-port N"
	@$(BIN)/python tools/flink.py $(ARGS)

image: ## build the image of a clean checkout with Docker, tagged with its commit: IMAGE=REGISTRY/farebox
	@git diff --quiet HEAD || { echo "farebox: commit your changes first: the image's tag is the commit" >&2; exit 1; }
	@docker build --tag $(IMAGE):$$(git rev-parse --short=12 HEAD) \
		--build-arg COMMIT=$$(git rev-parse HEAD) $(ARGS) .

lane-b: ## run test-fast on lane B; on an older system, as root, inside a Debian 13 root
	@tools/lane_b.sh

clean: ## remove .venv, .lanes, .flink and caches; runs/ and models/ stay
	@rm -rf --one-file-system .venv .lanes .flink .node pipeline/commands/explorer/vendor build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
