# make demo: the whole job on generated listening data.   make test: everything, Rust and Python.
# Both set up what they need: a virtual environment in .venv and a release build in target/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARGO ?= cargo
# Real data for tests and benches; without it they say what they did not run.
export NEARWOOD_DATA ?= $(abspath ../shared/data)

RUST_SOURCES := Cargo.toml python/Cargo.toml $(shell find src python/src -name '*.rs')

.PHONY: demo test test-rust test-python check bench bench-peers docs clean

demo: $(VENV)/installed
	$(BIN)/nearwood demo

test: test-rust test-python

# The workspace as a whole, so that the wheel finds its dependencies compiled with these features.
test-rust: export PYO3_BUILD_EXTENSION_MODULE = 1
test-rust:
	$(CARGO) test --release --workspace --all-targets --no-fail-fast
	$(CARGO) test --release --doc

test-python: $(VENV)/installed $(VENV)/dev
	$(BIN)/python -m pytest -q python/tests

check: $(VENV)/installed $(VENV)/dev
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings
	$(CARGO) clippy --release -p nearwood --no-default-features --lib -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --no-deps
	$(BIN)/ruff check python benches
	$(BIN)/ruff format --check python benches
	$(BIN)/python -m mypy.stubtest nearwood --ignore-disjoint-bases

# Figures of docs/benchmarks.md. Give the machine nothing else to do meanwhile.
bench: bench-peers
	$(CARGO) bench

bench-peers: $(VENV)/installed
	$(BIN)/pip install -q annoy hnswlib faiss-cpu scann
	$(BIN)/python benches/peers.py

docs:
	$(CARGO) doc --no-deps --open

$(VENV)/tools: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip 'maturin>=1.9,<2'
	touch $@

$(VENV)/dev: $(VENV)/tools
	$(BIN)/pip install -q --group dev
	touch $@

# An editable install; only what Rust compiles needs this again after a change.
$(VENV)/installed: $(VENV)/tools $(RUST_SOURCES)
	. $(BIN)/activate && maturin develop --release
	touch $@

clean:
	$(CARGO) clean
	rm -rf $(VENV)
