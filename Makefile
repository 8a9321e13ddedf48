# Every target installs what it needs first, into .venv and web/node_modules. The browser tests need a Chromium; where
# there is none, and only as root on Debian, they install it.
# Options go through ARGS:  make demo ARGS="--seconds 30 --json"   make test ARGS="tests/core -k lease"

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
RUNNABLE := $(VENV)/.runnable
READY := $(VENV)/.ready
WEB := web/node_modules/.ready
DASHBOARD := src/holdfast/server/static/index.html
NPM := npm --prefix web --silent
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# The decisions and the words: no clock and no socket, so that every branch of them can be tested, and is.
PURE := tests/core tests/protocol tests/conformance
PURE_COVERED := --cov=holdfast.core --cov=holdfast.protocol --cov-report=term-missing:skip-covered --cov-fail-under=100

.DEFAULT_GOAL := help
.PHONY: help demo serve test coverage torture check bench wheel screenshots docs lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-11s %s\n", $$1, $$2 }'

demo: $(RUNNABLE) ## a connection that outlives many tokens, in your terminal
	@$(BIN)/holdfast demo $(ARGS)

serve: $(RUNNABLE) $(DASHBOARD) ## the server, on http://127.0.0.1:8000
	@$(BIN)/holdfast serve $(ARGS)

test: $(READY) $(DASHBOARD) ## all tests, of the server, the SDK and the dashboard; with ARGS only pytest's
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/python -m pytest $(PURE) $(PURE_COVERED)
	@# Most of these wait for something, so three at a time on any machine; a file stays whole, for its servers' sake.
	@$(BIN)/python -m pytest --numprocesses=3 --dist=loadfile $(PURE:%=--ignore=%) --ignore=tests/browser
	@# In processes of their own: Playwright leaves its event loop running, which no asyncio test after it would stand.
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile tests/browser
	@$(NPM) run test
endif

coverage: $(READY) ## how much of the Python code its tests run, line by line; fails below 93 %
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --ignore=tests/browser --ignore=tests/wire --ignore=tests/chaos \
		--cov --cov-report=term-missing:skip-covered --cov-fail-under=93 $(ARGS)

torture: $(READY) ## cut sockets, freeze the network, kill the server, for ARGS seconds (300); nothing may be lost
	@TORTURE_SECONDS=$(or $(ARGS),300) $(BIN)/python -m pytest -s tests/chaos

check: $(READY) $(WEB) ## style, types, layers, sizes, and docs that match the code
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python tools/sizes.py
	@$(BIN)/python tools/docs.py --check
	@$(NPM) run check

bench: $(RUNNABLE) ## Holdfast beside the endpoint that people write by hand, on this machine
	@$(BIN)/python benchmarks/bench.py $(ARGS)

wheel: $(RUNNABLE) $(DASHBOARD) ## the package with the dashboard in it, into dist/
	@test -f $(DASHBOARD) || { echo 'The dashboard is missing; it needs Node.js 20.19 or newer.' >&2; exit 2; }
	@$(BIN)/python -m hatchling build

screenshots: $(READY) $(DASHBOARD) ## pictures of every page of the dashboard, into docs/images; look at them
	@$(BIN)/python -m pytest tests/browser/screenshots.py
	@$(BIN)/python tools/palette.py docs/images/*.png

docs: $(READY) ## write again the pages that are made from the code
	@$(BIN)/python tools/docs.py

lock: $(READY) ## resolve requirements/ anew from pyproject.toml
	@test -x $(BIN)/uv || $(PIP) uv
	@$(COMPILE) --upgrade --all-extras --group dev --output-file requirements/dev.txt
	@$(COMPILE) --constraint requirements/dev.txt --extra server --group build --output-file requirements/run.txt

clean: ## remove .venv, caches and what was built
	@rm -rf $(VENV) web/node_modules web/*/node_modules web/*/dist src/holdfast/server/static .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage dist build .build
	@find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
	@find src -name '*.abi3.so' -delete

# Built anew when a source of it has changed. A machine without Node serves without a dashboard.
$(DASHBOARD): $(WEB) $(shell find web/sdk/src web/dashboard/src web/dashboard/index.html -type f 2>/dev/null)
	@if test -d web/node_modules; then echo 'Building the dashboard ...' >&2; $(NPM) run build -w dashboard >&2; fi

$(WEB): web/package-lock.json
	@if command -v npm >/dev/null; then \
		echo 'Installing the tools of the dashboard, once ...' >&2; $(NPM) ci >&2 && touch $@; \
	else echo 'No npm here, so there will be no dashboard; with Node 20 or newer there is one.' >&2; fi

# Extras stay in the names: older pips hold `coverage[toml]` to no pin of plain `coverage`, and then refuse it for its hash.
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-strip-extras --no-emit-index-url --no-emit-find-links --no-header --quiet

# Set-up speaks only on stderr, so that what a target prints can be read by a program.
$(READY): requirements/dev.txt $(RUNNABLE)
	@echo 'Installing the development tools, once ...' >&2
	@$(PIP) --require-hashes -r requirements/dev.txt >&2
	@touch $@

$(RUNNABLE): requirements/run.txt pyproject.toml tools/wheel_hook.py $(shell find src -name '*.c')
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Holdfast needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 2; }
	@echo 'Setting up .venv, once ...' >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) >&2 || { \
		echo 'No venv module here; on Debian: apt-get install python3-venv' >&2; rm -rf $(VENV); exit 2; }
	@$(PIP) --require-hashes -r requirements/run.txt >&2
	@$(PIP) --no-deps --no-build-isolation -e . >&2
	@touch $@
