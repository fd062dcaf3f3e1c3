# What one does with this checkout. `make` alone lists it.

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install run demo test check bench soak drill clean requirements

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(VENV)/.development ## everything needed to run, test and change the product, in .venv

run: $(VENV)/.runtime ## the whole site on this machine: http://127.0.0.1:8000 (PORT=...)
	@$(BIN)/python manage.py run --port $(PORT)

demo: $(VENV)/.development ## the story in this terminal: who pays whom, what the ledger did, ten days of income
	@$(BIN)/python manage.py demo

test: $(VENV)/.development ## all tests (ARGS="tests/wallet -k hold")
	@$(BIN)/python -m pytest $(or $(ARGS),--numprocesses auto --maxprocesses 2 --dist loadfile --no-loadscope-reorder)

check: $(VENV)/.development ## format, lint, types, import contracts, migrations, schema, deployment settings
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy .
	@$(BIN)/lint-imports
	@# The database may not be there yet: only the files are compared.
	@$(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	@$(BIN)/python manage.py schema --check
	@$(BIN)/python manage.py charts --check
	@SUPERAPP_MODE=production ALLOWED_HOSTS=superapp.example SUPERAPP_LOCAL_DIR=$(CURDIR)/.local \
	SECRET_KEY=only-to-check-the-settings-0123456789-abcdefghijklmnopqrstuvwxyz \
	PAYMENT_PIN_KEY=only-to-check-the-settings-of-pins-0123456789-abcdefghij \
	DATABASE_URL=postgresql://superapp_owner:nobody-connects@127.0.0.1:1/superapp \
	REDIS_URL=redis://127.0.0.1:1/0 CELERY_BROKER_URL=redis://127.0.0.1:1/1 \
	$(BIN)/python manage.py check --deploy --fail-level WARNING

bench: $(VENV)/.development ## all benchmarks, each with its limit beside it
	@set -e; for name in ledger settlement income api; do $(BIN)/python manage.py benchmark $$name; done

soak: $(VENV)/.development ## everything long: faults under load, hand edits, rings of accounts, deliberate bugs, each rule taken away (ARGS="--moves 20000 --kills 30")
	@$(BIN)/python -m tests.faults.soak $(or $(ARGS),--moves 20000 --kills 30)
	@$(BIN)/python -m tests.faults.hand_edits --edits 200 --clean-runs 20
	@$(BIN)/python -m tests.concurrency.cycles --seconds 60 --connections 64
	@LEDGER_MACHINE_EXAMPLES=1000 $(BIN)/python -m pytest -q tests/properties/test_ledger_machine.py --timeout 3600
	@$(BIN)/python -m pytest -q -m hypothesis --hypothesis-profile search --timeout 3600
	@$(BIN)/python -m tests.deliberate_bugs
	@$(BIN)/python -m tests.held_rules

drill: $(VENV)/.development ## back up, restore to an instant and upgrade a site at work (ARGS="--moves 200 --transfers 50000")
	@$(BIN)/python -m tests.faults.drill $(ARGS)

clean: ## stop the embedded engines; remove .local (all data of this sandbox!) and .venv
	@if [ -x $(BIN)/python ] && [ -d .local ]; then $(BIN)/python manage.py engines stop; fi
	@rm -rf .local $(VENV) static-collected .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

requirements: $(VENV)/.development ## compile requirements/*.in into hashed *.txt for every platform
	@for name in runtime development; do \
	  UV_CUSTOM_COMPILE_COMMAND="make requirements" \
	  $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --quiet --output-file requirements/$$name.txt requirements/$$name.in || exit 1; \
	done

# A half-made .venv (no stamp, no working pip) is made again; a whole one only gets what changed.
$(VENV)/.runtime: requirements/runtime.txt
	@$(MAKE) --no-print-directory venv
	@echo "Installing what the product needs ..."
	@$(BIN)/python -m pip install --quiet --require-hashes -r $<
	@touch $@

$(VENV)/.development: requirements/development.txt
	@$(MAKE) --no-print-directory venv
	@echo "Installing what is needed to run and change the product ..."
	@$(BIN)/python -m pip install --quiet --require-hashes -r $<
	@touch $(VENV)/.runtime $@

.PHONY: venv
venv:
	@command -v $(PYTHON) > /dev/null || { echo "There is no $(PYTHON): install Python 3.11 or newer." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1): Python 3.11 or newer is needed (make PYTHON=python3.12 ...)." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2> /dev/null \
	  || { echo "$(PYTHON) comes without venv or ensurepip: install them (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
