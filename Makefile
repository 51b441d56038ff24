# make demo: the whole job on generated listening data.   make test: everything, Rust and Python.
# Both set up what they need: a virtual environment in .venv and a release build in target/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARGO ?= cargo
# Real data for tests and benches; without it they say what they did not run.
export NEARWOOD_DATA ?= $(abspath ../shared/data)

RUST_SOURCES := Cargo.toml python/Cargo.toml $(shell find src python/src -name '*.rs')

.PHONY: demo test test-rust test-python test-spark check bench bench-peers fuzz sanitize valgrind docs docs-rust clean

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

# The trainer beside Spark's: not part of `make test`, since it takes Java and 400 MB of pyspark.
test-spark: $(VENV)/installed $(VENV)/dev
	$(BIN)/pip install -q --group spark
	$(BIN)/python -m pytest -q python/tests/test_spark_conformance.py

check: $(VENV)/installed $(VENV)/dev
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings
	$(CARGO) clippy --release -p nearwood --no-default-features --lib -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --no-deps
	$(BIN)/ruff check python benches docs/site examples
	$(BIN)/ruff format --check python benches docs/site examples
	$(BIN)/python -m mypy.stubtest nearwood --ignore-disjoint-bases
	$(MKDOCS) --quiet

# Figures of docs/benchmarks.md. Give the machine nothing else to do meanwhile.
bench: bench-peers
	$(CARGO) bench

# The peers live in an environment of their own. Built ones are kept in BENCH_CACHE, and what a build
# took with them: take that away (or give `--rebuild`) to measure the builds again. The names of data
# sets and options of benches/peers.py go into BENCH_ARGS.
BENCH_VENV := .venv-bench
BENCH_BIN := $(BENCH_VENV)/bin
BENCH_CACHE ?= target/peers
BENCH_OUT ?= target/peers.jsonl
BENCH_ARGS ?=
bench-peers: $(BENCH_VENV)/installed
	rm -f $(BENCH_OUT)
	$(BENCH_BIN)/python benches/peers.py $(BENCH_ARGS) --cache $(BENCH_CACHE) --out $(BENCH_OUT)
	$(BENCH_BIN)/python benches/peers_report.py $(BENCH_OUT) --pictures docs/pictures > $(BENCH_OUT:.jsonl=.md)

# Every fuzz target for FUZZ_SECONDS, from whole files and what earlier runs found worth keeping,
# with AddressSanitizer. A find is left in fuzz/artifacts: see tests/fuzz_finds/README.md.
# cargo-fuzz asks for flags of the nightly compiler: RUSTC_BOOTSTRAP lets the stable one take them.
FUZZ_TARGETS ?= open payload readers annoy
FUZZ_SECONDS ?= 60
fuzz: export RUSTC_BOOTSTRAP = 1
fuzz:
	$(CARGO) fuzz --version || $(CARGO) install --locked cargo-fuzz
	set -e; for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/corpus/$$target; \
		$(CARGO) fuzz run $$target fuzz/corpus/$$target tests/golden tests/fuzz_finds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=30 -max_len=16384; \
	done

# The tests of the rooms where `unsafe` stands, kernels and store, under AddressSanitizer on every
# instruction set that the processor has, and under valgrind, which knows none above AVX2: it
# reports an older processor, and the AVX-512 kernels are left to the sanitizer.
UNSAFE_ROOMS := kernel:: store::
sanitize: export RUSTC_BOOTSTRAP = 1
sanitize: export RUSTFLAGS = -Zsanitizer=address
sanitize:
	$(CARGO) test --target $(shell rustc -vV | sed -n 's/^host: //p') --target-dir target/sanitize \
		--release -p nearwood --no-default-features --lib -- $(UNSAFE_ROOMS)

valgrind:
	CARGO_TARGET_$(shell rustc -vV | sed -n 's/^host: //p' | tr a-z- A-Z_)_RUNNER="valgrind --quiet --error-exitcode=9" \
		$(CARGO) test --release -p nearwood --no-default-features --lib -- --test-threads=1 $(UNSAFE_ROOMS)

# The site, into site/: look at it with `python -m http.server -d site`. A link to nowhere, or a page
# that the menu lacks, is an error. The variable silences an advertisement for its successor.
MKDOCS := NO_MKDOCS_2_WARNING=1 PYTHONDONTWRITEBYTECODE=1 $(BIN)/mkdocs build --strict -f docs/site/mkdocs.yml
docs: $(VENV)/installed $(VENV)/dev
	$(MKDOCS)

docs-rust:
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

# Each peer by itself, so that one that cannot be installed is named and the others still run. Those
# that can be are compiled for this processor: voyager's wheel is made for any. glass is on no
# package index; where it is installed into this environment by hand it is measured.
COMPILED := annoy,hnswlib,voyager
$(BENCH_VENV)/peers: pyproject.toml
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_BIN)/pip install -q --upgrade pip 'maturin>=1.9,<2' 'numpy>=1.23'
	$(BENCH_BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['bench'], sep='\n')" \
	| while read peer; do \
		CFLAGS='-O3 -march=native' CXXFLAGS='-O3 -march=native' \
			$(BENCH_BIN)/pip install -q --no-binary $(COMPILED) "$$peer" \
		|| $(BENCH_BIN)/pip install -q "$$peer" || echo "NOT INSTALLED: $$peer"; \
	done
	touch $@

$(BENCH_VENV)/installed: $(BENCH_VENV)/peers $(RUST_SOURCES)
	. $(BENCH_BIN)/activate && maturin develop --release
	touch $@

clean:
	$(CARGO) clean
	rm -rf $(VENV) $(BENCH_VENV) site
