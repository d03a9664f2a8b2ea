# SmartRecover: what can be done here. Bare `make` lists it; every target makes the environment first, if it must.

PYTHON ?=
DEBTORS ?= 50000
ARGS ?=
SECONDS ?= 420
SEED ?=
# More than there are cores, because many tests wait for processes.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2)

BIN := .venv/bin
# Whole paths: processes that the tests start elsewhere are measured too, and so are migrations, which Alembic loads by path.
COVERED := libs services infra/local
PACKAGES := libs services infra

# Settings of another project's shell must not leak into this one's environment.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE VIRTUAL_ENV
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help setup demo up demo-compose up-compose down-compose test coverage test-fast faults same-bytes check format screenshots bench bench-peers clean

help: ## list these targets
	@echo "make <target>, from a bare clone; needs Python 3.11 or newer."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

setup: ## make the environment .venv (PYTHON=python3.13 chooses the Python)
	@PYTHON='$(PYTHON)' sh infra/setup.sh

demo: setup ## the whole job end to end on this machine (DEBTORS=50000)
	@$(BIN)/smartrecover demo --debtors $(DEBTORS) $(ARGS)

up: setup ## keep both services and a local SQS running until Ctrl-C
	@$(BIN)/smartrecover up $(ARGS)

# In containers: Docker with compose 2.20 or newer, no Python.

demo-compose: ## the same job in containers with MySQL, removed afterwards (DEBTORS=50000; KEEP=1 leaves it)
	@DEBTORS=$(DEBTORS) infra/docker/demo.sh

up-compose: ## keep the whole system running in containers (ARGS="--scale consumer=3")
	@docker compose up --detach --build --wait $(ARGS)
	@echo "Risk API http://127.0.0.1:$${RISK_PORT:-8001}/docs, debt API http://127.0.0.1:$${DEBT_PORT:-8002}/docs"
	@echo "Console http://127.0.0.1:$${CONSOLE_PORT:-8003}; the key of all three is:"
	@docker compose run --rm -T cli cat /keys/local-admin

down-compose: ## stop those containers; the data stays (ARGS=--volumes deletes it)
	@docker compose --profile cli down $(ARGS)

test: setup ## all tests (ARGS="tests/recovery_core -k scoring": only those)
ifeq ($(strip $(ARGS)),)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
else
	@$(BIN)/python -m pytest $(ARGS)
endif

# On Python 3.11 measuring doubles the processor time of the tests, so the gate does without.
coverage: setup ## all tests, and how much of the code they run: below 90 % is a failure
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(foreach part,$(COVERED),--cov="$(CURDIR)/$(part)") --cov-report term

test-fast: setup ## half of the tests, those without MariaDB and SQS: under a minute on two idle cores (ARGS="-k scoring")
	@$(BIN)/python -m pytest -n logical --no-processes -q $(addprefix tests/,recovery_core service_kit risk_assessment debt_processing) $(ARGS)

faults: setup ## storms over the whole system, and the accounts of every debtor (SECONDS=420 SEED=)
	@$(BIN)/python -m tests.faults --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(ARGS)

same-bytes: setup ## plans, hashes, explanations and exports on the other Pythons here: the same bytes, with and without numpy
	@infra/same_bytes.sh

check: setup ## what must be clean: format, lint, types, imports, security, workflows, lock file
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive $(PACKAGES)
	@$(BIN)/zizmor --offline --quiet --no-progress .github
	@$(BIN)/uv lock --check --quiet
	@echo "All clean."

format: setup ## put the code in its format and mend what can be mended
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

screenshots: setup ## the images of docs/console.md, of every page of the console, light and dark (needs Chromium)
	@$(BIN)/python -m tests.recovery_console.in_browser.screenshots

bench: setup ## measure the speed (ARGS=--help shows what can be measured)
	@$(BIN)/python -m benchmarks $(ARGS)

bench-peers: setup ## measure task queues doing the same work beside it (.venv-peers is made for them)
	@test -x .venv-peers/bin/taskiq || $(BIN)/uv venv --quiet --python $(BIN)/python .venv-peers
	@VIRTUAL_ENV=.venv-peers $(BIN)/uv pip install --quiet --requirement benchmarks/comparisons/peer_apps/requirements.txt
	@$(BIN)/python -m benchmarks peers $(ARGS)

clean: ## remove the environment and every cache, not the data in .smartrecover
	@rm -rf .venv .venv-peers .uv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist coverage.xml
	@rm -rf services/recovery_console/static/vendor
	@find . -name '.coverage*' -maxdepth 1 -type f -delete
	@find libs services infra tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
