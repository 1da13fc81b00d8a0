# One command for each thing one does here; `make` lists them.
# Set-up runs once for each state of the requirements files and needs no network after that: a stamp in
# .venv carries their hash.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-tools test-clients soak check format lock clean

VENV := .venv
PYTHON := $(VENV)/bin/python
RUNTIME := $(VENV)/.runtime-$(shell cat requirements.txt | sha256sum | cut -c1-16)
# Those marked "alone" listen closely, or measure what a page takes.
WHOLE_CALLS := tests/browser tests/e2e
# Their callers talk in real time, which asyncio's debug mode would disturb.
KEEPS_TIME := -o asyncio_debug=false
CLIENTS := .venv-clients
# Half of the time a test waits, for programs and for sound: half as many again as there are cores.
WORKERS = $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$(( n > 2 ? 4 : n + 1 )))
# Slowest first (tests/support/slowest_first.py), not those with the most tests.
SIDE_BY_SIDE = $(PYTHON) -m pytest --dist loadfile --no-loadscope-reorder --numprocesses
BENCH = $(PYTHON) -m benchmarks
DEV := $(VENV)/.dev-$(shell cat requirements.txt requirements-dev.txt | sha256sum | cut -c1-16)

# Else pyright asks the network for a newer version of itself on each run.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environment wins over .env, as in `PORT=8000 make demo`.
demo: $(RUNTIME) ## Run the app on http://localhost:7860 (or PORT); reads .env
	@exec $(PYTHON) app.py

test: $(DEV) test-tools test-clients ## Run all tests; ARGS goes to pytest, as in ARGS='-k settings'
	@$(if $(ARGS),$(PYTHON) -m pytest $(ARGS),failed=0; \
	$(SIDE_BY_SIDE) $(WORKERS) -m "not alone" tests $(WHOLE_CALLS:%=--ignore=%) || failed=1; \
	$(SIDE_BY_SIDE) $(WORKERS) $(KEEPS_TIME) -m "not alone" $(WHOLE_CALLS) || failed=1; \
	$(PYTHON) -m pytest $(KEEPS_TIME) -m alone tests || failed=1; \
	exit $$failed)

test-tools:
	@scripts/install-test-tools.sh

# Clients that others wrote, in an environment of their own.
test-clients: $(DEV)
	@scripts/make-client-environment.sh

# Long, and for a machine that does nothing else meanwhile: what it prints are the figures of docs/PERFORMANCE.md.
soak: $(DEV) test-tools ## Half an hour of calls: hostile company, bad networks, all kinds at once
	@failed=0; \
	$(BENCH) soak --hostile --calls 4 --seconds 300 || failed=1; \
	$(BENCH) soak --kinds browser --calls 4 --seconds 300 --loss 0.01 --jitter 30 --burst 10 || failed=1; \
	$(BENCH) jitter --seconds 120 || failed=1; \
	$(BENCH) soak --seconds 600 || failed=1; \
	exit $$failed

check: $(DEV) test-tools ## Lint, formatting, types
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m pyright

format: $(DEV) ## Format the code and mend what the linter can
	@$(PYTHON) -m ruff check --fix-only .
	@$(PYTHON) -m ruff format .

lock: ## Resolve requirements*.in into requirements*.txt, keeping the versions that still fit (needs uv)
	@$(COMPILE) requirements.in -o requirements.txt
	@$(COMPILE) requirements-dev.in -o requirements-dev.txt
	@sed -i '2a -r requirements.txt' requirements-dev.txt

COMPILE := uv pip compile --quiet --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

clean: ## Remove .venv, caches and what the tests left; recordings stay
	@rm -rf $(VENV) $(CLIENTS) .pytest_cache .ruff_cache .hypothesis .gradio test-output
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PYTHON):
	@rm -rf $(VENV)
	@scripts/make-environment.sh $(VENV)

# Only the last state of the files has a stamp, so that going back to an older one installs it again.
$(RUNTIME): | $(PYTHON)
	@$(call install,requirements.txt)
	@rm -f $(VENV)/.runtime-* $(VENV)/.dev-*
	@touch $@

$(DEV): | $(PYTHON)
	@$(call install,requirements-dev.txt)
	@rm -f $(VENV)/.runtime-* $(VENV)/.dev-*
	@touch $(RUNTIME) $@

define install
	echo "Installing $(1) into $(VENV)"; \
	if command -v uv >/dev/null; then \
		uv pip install --python $(PYTHON) -r $(1); \
	else \
		$(PYTHON) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m ensurepip; \
		$(PYTHON) -m pip install --disable-pip-version-check -r $(1); \
	fi
endef
