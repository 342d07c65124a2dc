# Every target does its own set-up, in .venv and .cache of this checkout, and does it once.
# Needs make and a Python >= 3.11 (choose one with PYTHON=...); Node and npm only add a peer.

PYTHON    ?= python3
TRANSPORT ?= trio
HOST      ?= 127.0.0.1
PORT      ?= 8765
# More arguments for pytest (make test ARGS="-k handshake") or for the conformance run.
ARGS      ?=

VENV   := .venv
BIN    := $(VENV)/bin
CACHE  := .cache
NODE   := tests/interop/node
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK   := requirements-dev.txt
BENCH_LOCK := requirements-bench.txt

.DEFAULT_GOAL := help
.PHONY: help demo test coverage compiled matrix sanitize conformance bench lint format types dist smoke lock clean

help:
	@echo "make demo [TRANSPORT=trio|threads|…] [PORT=8765] the chat demo, in your browser"
	@echo "make test                                        the whole test suite"
	@echo "make coverage                                    the tests of the core, which cover all of it"
	@echo "make compiled                                    most of the tests, with all that a wheel compiles"
	@echo "make matrix                                      the support matrix of the docs, anew"
	@echo "make conformance [ARGS='--quick trio-server']    the Autobahn test suite"
	@echo "make bench [ARGS='--quick']                      the benchmarks; --help says more"
	@echo "make lint | format | types | dist | smoke | sanitize   what .ci/run checks besides"
	@echo "make lock                                        pin the development dependencies anew"
	@echo "make clean                                       remove all that these made"

# -- set-up ------------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "windsock needs Python 3.11 or newer; choose one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# windsock itself, with what the demo needs. The build backend comes from the lock, too.
ACCELERATORS := core/windsock/core/protocol/_accelerator.c core/windsock/core/app/_steps.c
$(VENV)/.demo-ready: pyproject.toml $(LOCK) hatch_build.py $(ACCELERATORS) | $(BIN)/python
	@test -d core/windsock && test -d transports/windsock
	$(PIP) install -c $(LOCK) hatchling editables setuptools
	$(PIP) install -c $(LOCK) --no-build-isolation -e '.[trio]'
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.demo-ready
	$(PIP) install -r $(LOCK)
	$(PIP) check
	@touch $@

# The peers of the benchmarks besides: nothing else needs them.
$(VENV)/.bench-ready: $(VENV)/.dev-ready $(BENCH_LOCK)
	$(PIP) install -r $(BENCH_LOCK)
	$(PIP) check
	@touch $@

# What users get: a wheel with all that can be compiled. Python finds it before the editable install
# where PYTHONPATH says so.
WHEEL   := $(CACHE)/wheel
SOURCES := pyproject.toml hatch_build.py $(shell find core transports -name '*.py' -o -name '*.c')
COMPILE ?= 1
$(WHEEL)/.ready: $(SOURCES) | $(VENV)/.dev-ready
	@rm -rf $(WHEEL)
	WINDSOCK_COMPILE=$(COMPILE) $(PIP) install --no-deps --no-build-isolation --target $(WHEEL) .
	@touch $@

# Node's `ws`, a peer of the interop tests. Where npm cannot get it, those tests say so and skip.
$(NODE)/node_modules/.ready: $(NODE)/package.json $(NODE)/package-lock.json
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	    npm ci --prefix $(NODE) --cache $(abspath $(CACHE))/npm --ignore-scripts \
	        --no-audit --no-fund --no-update-notifier --loglevel=error && touch $@ || \
	    echo "make: npm could not install the Node peer: its interop tests will be skipped" >&2; \
	else echo "make: no Node with npm here: the interop tests with Node will be skipped" >&2; fi

# -- what a person runs ------------------------------------------------------------------------

demo: $(VENV)/.demo-ready
	@exec $(BIN)/windsock demo --transport $(TRANSPORT) --host $(HOST) --port $(PORT)

# Everything, with the coverage of the core; only what ARGS selects, where it is given.
test: $(VENV)/.dev-ready $(NODE)/node_modules/.ready
	$(BIN)/python -m pytest $(or $(ARGS),--cov)

# The core's own tests must reach every branch of it, without the help of any transport.
coverage: $(VENV)/.dev-ready
	WINDSOCK_PURE=1 $(BIN)/python -m pytest tests/core --cov

# The modules that are compiled, by the tests of what goes through them.
compiled: $(WHEEL)/.ready
	PYTHONPATH=$(abspath $(WHEEL)) $(BIN)/python -m pytest $(or $(ARGS),tests/core \
	    tests/transports/asyncio tests/transports/trio tests/transports/threads tests/transports/asgi)
	$(if $(ARGS),,PYTHONPATH=$(abspath $(WHEEL)) $(BIN)/python -m pytest tests/behaviour \
	    -k "(asyncio or trio or threads or memory) and not hypercorn")

# What every transport supports, as the behaviour suite finds it, into the docs.
matrix: $(VENV)/.dev-ready
	WINDSOCK_FINDINGS=tests/behaviour/found.json $(BIN)/python -m pytest tests/behaviour
	$(BIN)/python docs/generate.py

# The accelerators under the address and undefined-behaviour sanitizers, built beside the checkout.
SANITIZE := -g -fsanitize=address,undefined -fno-sanitize-recover=all
sanitize: $(VENV)/.dev-ready
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && set -ex && \
	WINDSOCK_COMPILE=0 WINDSOCK_ACCELERATOR_FLAGS="$(SANITIZE)" $(PIP) install --no-deps --no-build-isolation \
	    --target "$$dir" . && \
	LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 PYTHONPATH="$$dir" $(BIN)/python -m pytest -p no:cacheprovider \
	    tests/core/test_accelerator.py tests/core/app/test_steps.py tests/core/test_payload.py \
	    tests/core/test_large_messages.py tests/core/test_frames.py tests/core/test_differential.py

conformance: $(VENV)/.dev-ready
	$(BIN)/python -m tests.conformance $(ARGS)

# make bench ARGS="--only 'windsock-*' --scenario '8x*'"
bench: $(VENV)/.bench-ready $(WHEEL)/.ready
	PYTHONPATH=$(abspath $(WHEEL)) $(BIN)/python -m benchmarks $(ARGS)

lint: $(VENV)/.dev-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev-ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev-ready
	$(BIN)/mypy
	PYRIGHT_PYTHON_CACHE_DIR=$(abspath $(CACHE))/pyright PYRIGHT_PYTHON_IGNORE_WARNINGS=1 \
	    $(BIN)/pyright

# The sdist, and the wheel built from the unpacked sdist.
dist: $(VENV)/.dev-ready
	rm -rf dist
	$(BIN)/python -m build --no-isolation

# The wheel, installed by itself in an environment outside the checkout; then without what is
# compiled in it, and then a wheel in which nothing is.
smoke: dist
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && set -ex && \
	$(BIN)/python -m venv "$$dir/venv" && \
	"$$dir/venv/bin/python" -m pip --disable-pip-version-check --quiet install \
	    -c $(LOCK) "$$(echo dist/windsock-*.whl)[trio,asgi]" && \
	"$$dir/venv/bin/python" -I tests/smoke/smoke.py && \
	WINDSOCK_PURE=1 "$$dir/venv/bin/python" -I tests/smoke/smoke.py && \
	WINDSOCK_PURE=1 $(PIP) wheel --no-deps --no-build-isolation --wheel-dir "$$dir" . && \
	"$$dir/venv/bin/python" -m pip --disable-pip-version-check --quiet install \
	    --no-deps --force-reinstall "$$dir"/windsock-*-py3-none-any.whl && \
	"$$dir/venv/bin/python" -I tests/smoke/smoke.py

# -- upkeep ------------------------------------------------------------------------------------

lock: | $(BIN)/python
	@test -x $(CACHE)/uv/bin/uv || { $(BIN)/python -m venv $(CACHE)/uv && \
	    $(CACHE)/uv/bin/python -m pip --disable-pip-version-check --quiet install uv==0.13.8; }
	$(CACHE)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 \
	    --all-extras --group dev --no-annotate --no-header --no-emit-index-url \
	    --no-emit-find-links --upgrade pyproject.toml --output-file $(CACHE)/lock.txt
	@{ echo "# The lock of all development dependencies, for Python 3.11 and newer."; \
	   echo "# Written by 'make lock' from pyproject.toml; not to be edited by hand."; \
	   cat $(CACHE)/lock.txt; } > $(LOCK)
	$(CACHE)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 \
	    --all-extras --group bench --no-annotate --no-header --no-emit-index-url \
	    --no-emit-find-links --upgrade --constraint $(LOCK) pyproject.toml \
	    --output-file $(CACHE)/lock.txt
	@{ echo "# The lock of the development dependencies with what the benchmarks compare besides."; \
	   echo "# Written by 'make lock' from pyproject.toml; not to be edited by hand."; \
	   cat $(CACHE)/lock.txt; } > $(BENCH_LOCK)

clean:
	rm -rf $(VENV) $(CACHE) build dist $(NODE)/node_modules .mypy_cache .pytest_cache .ruff_cache \
	    .hypothesis .coverage
