# weft: the two commands of a fresh machine are `make demo` and `make test`.
# Debian 12 or Ubuntu, as root or with sudo. A Rust toolchain (rustup) is presumed, all else is installed by `make setup`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
JOBS ?= $(shell nproc)
VENV := .venv
PY := $(VENV)/bin/python
TARGET := $(or $(CARGO_TARGET_DIR),target)
WEFT := $(TARGET)/release/weft
export WEFT := $(abspath $(WEFT))

.PHONY: help setup packages browser toolchain build demo test check unit harness conformance methods models malformed bench saturation bench-methods simplifiers faults bless-onnx clean

help: ## Shows the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: packages toolchain $(VENV)/.complete ## Installs what is missing: Debian packages, the Python environment

packages:
	@.ci/packages

toolchain:
	@.ci/toolchain

$(VENV)/.complete: tests/requirements.txt
	@echo "setup: making $(VENV) from tests/requirements.txt"
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r tests/requirements.txt
	@touch $@

build: setup ## Builds weft in release
	cargo build --release --locked

demo: build ## Compiles a real model to a native program, reads the text in a picture with it
	@$(PY) tests/models/demo.py $(if $(IMAGE),--image $(IMAGE))

test: check unit build harness conformance methods malformed models ## Everything that CI runs
	@echo "test: formatting, lints, documentation, Rust tests, onnx.backend.test, the methods, malformed models and real models are green"

check: setup ## Formatting, clippy, documentation: no warning
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

unit: setup ## The Rust tests
	cargo test --workspace --locked

methods: build ## The methods: experts and computed weights in all their spellings, from PyTorch's exporters, too
	$(PY) -m pytest -q -n $(JOBS) tests/methods

harness: setup ## The tests' own tools
	$(PY) -m pytest -q tests/python

conformance: build ## onnx.backend.test, every CPU case, through weft
	$(PY) -m pytest -q -n $(JOBS) tests/onnx

malformed: build ## Malformed and hostile models: a clear error each, never a crash
	$(PY) -m pytest -q tests/malformed

browser: # For the page of `weft inspect --html`; where a distribution has none, its test is skipped
	@command -v chromium >/dev/null || .ci/packages chromium || echo "models: there is no Chromium, a test is skipped"

models: build browser ## The real models against onnxruntime
	$(PY) tests/models/fetch.py
	$(PY) -m pytest -q tests/models

bench: build ## Speed against onnxruntime, kernels against the machine's peak
	$(PY) tests/models/fetch.py
	$(PY) benches/peers.py
	$(PY) benches/gemm.py

saturation: build ## What saturation gains per model, and how long it takes on graphs of up to 3,000 nodes
	$(PY) tests/models/fetch.py
	$(PY) benches/saturation.py
	cargo bench --locked --bench saturate

bench-methods: build ## What lossy passes cost and what they are worth, beside llama.cpp, which is built from its sources
	$(PY) tests/models/fetch.py
	$(PY) benches/methods/quantize.py
	$(PY) benches/methods/sparsity.py
	$(PY) benches/methods/choose.py
	$(PY) benches/methods/decode.py --ggml $(VENV)-bench/ggml
	$(PY) benches/methods/gemv.py --ggml $(VENV)-bench/ggml | tee $(TARGET)/gemv.txt
	$(PY) benches/methods/sparse.py | tee $(TARGET)/sparse.txt
	@tail -qn1 $(TARGET)/gemv.txt $(TARGET)/sparse.txt

simplifiers: build ## Nodes and speed in onnxruntime, beside onnxsim, onnxslim and onnxruntime's own optimiser
	@test -x $(VENV)-bench/bin/python || $(PYTHON) -m venv $(VENV)-bench
	@$(VENV)-bench/bin/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r benches/requirements.txt
	$(VENV)-bench/bin/python benches/simplifiers.py

faults: setup ## Plants the known faults one by one; each must turn a test red
	$(PY) tests/faults/plant.py

bless-onnx: ## Rewrites tests/onnx/expected_failures.txt from the last conformance run
	$(PY) tests/onnx/bless.py

clean: ## Removes what was built; keeps fetched models
	cargo clean
	rm -rf $(VENV)
