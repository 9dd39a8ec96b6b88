# Everything people and CI run. `make` alone shows this list.
# Needs Python 3.11 or newer, git and make; everything else comes pinned into .venv.

PYTHON ?= python3
BIN = .venv/bin
READY = .venv/.ready
JOBS ?= 2

.PHONY: help demo test test-host chaos lint format lock clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing pinned packages into .venv (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: $(READY) ## Run the whole bridge against a local site (ONCE=1: then stop and tell whether all went well)
	@$(BIN)/bridge demo $(if $(ONCE),--once)

lint: $(READY) ## Check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## Run every check and test that needs no root
	$(BIN)/bridge rules check
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test-host: $(READY) ## Run the tests that need root or a browser
	tests/host/prepare
	$(BIN)/python -m pytest -o addopts="-ra --import-mode=importlib" tests/host

chaos: $(READY) ## Kill everything at random and see that nothing is lost or done twice (SEED=, DELIVERIES=, KILLS=, DATABASE=, RECALL=off)
	@SEED="$(SEED)" DELIVERIES="$(DELIVERIES)" KILLS="$(KILLS)" DATABASE="$(DATABASE)" RECALL="$(RECALL)" KEEP="$(KEEP)" $(BIN)/python -W ignore -m tests.chaos

format: $(READY) ## Bring the code into form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

verbs: $(READY) ## Write rules/VERBS.md, the page of everything a rule can do
	$(BIN)/bridge rules verbs --page > rules/VERBS.md

lock: $(READY) ## Pin the newest versions that pyproject.toml allows (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade --extra dev pyproject.toml -o requirements.lock

clean: ## Remove the virtual environment and everything generated
	rm -rf .venv .bridge *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
