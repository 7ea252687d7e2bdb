# Set-up and the commands that README and CI call. Needs Python 3.11 or later, pip and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q
# The demo keeps its knowledge base and models here, apart from yours.
DEMO   := $(VENV)/demo
READY  := $(VENV)/ready
DEV    := $(VENV)/ready-dev

# axe-core, for the tests of the page.
AXE    := $(VENV)/axe/node_modules/axe-core/axe.min.js
# MCP's Inspector and its tests of conformance, with the Node that they want; tests look for them beside Python.
MCP    := $(VENV)/mcp/node_modules/.bin/mcp-inspector

.PHONY: demo messages check test test-light test-ui test-slow test-gpu test-weights lint bench docs clean chromium

demo: $(READY)  ## fetch the small models, ingest sample_docs, ask in English and Chinese with follow-ups
	@$(BIN)/kb models pull --home $(DEMO)
	@$(BIN)/kb ingest sample_docs --home $(DEMO)
	@$(BIN)/kb chat -k 2 --home $(DEMO) < docs/demo.txt

# A worker for each processor, as far as memory has room; the tests of a file stay together (tests/conftest.py).
QUICK := not slow and not gpu and not weights
PYTEST := $(BIN)/python -m pytest
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

check: $(DEV)  ## linters, types, and the tests that run no model: the loop while you work
	@$(MAKE) --no-print-directory -j 2 lint test-light

# Files all of whose tests bear the mark `engine` aren't even imported (tests/conftest.py); make test runs them.
test-light: $(DEV)
	$(PYTEST) $(PARALLEL) -m "not engine and $(QUICK) and not browser"

test: lint $(AXE) $(MCP) chromium  ## linters, types, and all fast tests, the page in a browser among them
	KB_AXE=$(AXE) $(PYTEST) $(PARALLEL) -m "$(QUICK)"

test-ui: $(DEV) $(AXE) chromium  ## the page in a real browser
	KB_AXE=$(AXE) $(PYTEST) -m browser tests/ui

test-slow: $(DEV)
	$(PYTEST) -m slow

test-gpu: $(DEV)
	$(PYTEST) -m gpu

test-weights: $(DEV)  ## KB_CHATGLM2=folder: what only the official weights can show
	$(PYTEST) -m weights

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(DEV)  ## write the generated reference anew
	$(BIN)/python docs/generate.py

POT    := $(VENV)/messages.pot
LOCALE := kb_assistant/locale
messages: $(DEV)  ## bring the catalogues in step with the source, and compile them
	$(BIN)/pybabel -q extract --no-default-keywords -k _ --no-location --sort-output -o $(POT) kb_assistant ingest ui
	$(BIN)/python docs/help_messages.py $(POT)
	$(BIN)/pybabel -q update -i $(POT) -d $(LOCALE) -D kb_assistant -w 115 --no-fuzzy-matching --ignore-obsolete \
		--ignore-pot-creation-date
	$(BIN)/pybabel -q compile -d $(LOCALE) -D kb_assistant

# torch comes first and by itself, so that nothing that follows swaps a CPU build for a CUDA one.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt torch
	$(PIP) install -c constraints.txt -e ".[cpu,llama,torch]"
	@touch $@

$(DEV): $(READY)
	$(PIP) install -c constraints.txt -e ".[cpu,llama,torch,nf4,train,openai,eval,ui,serve,telemetry,postgres,s3,ocr,locked,dev]"
	@touch $@

# The system's browser: installed where that can be done, else named.
chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq chromium fonts-noto-cjk; \
	else \
		echo "make test-ui needs Chromium: sudo apt-get install chromium (or your system's package)" >&2; exit 1; \
	fi

$(AXE):
	@command -v npm >/dev/null || { echo "make test-ui needs npm: sudo apt-get install npm" >&2; exit 1; }
	npm install --silent --no-audit --no-fund --prefix $(VENV)/axe axe-core@4.14.1

# Without npm or a network those tests are skipped, and say so.
$(MCP):
	-npm install --silent --no-audit --no-fund --fetch-retries 1 --prefix $(VENV)/mcp node@22.23.3 \
		@modelcontextprotocol/inspector@2.12.0 @modelcontextprotocol/conformance@0.1.16

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
