# make demo: the whole job on generated listening data.   make test: everything, Rust and Python.
# Both set up what they need: a virtual environment in .venv and a release build in target/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARGO ?= cargo
# Real data for tests and benches; without it they say what they did not run.
export NEARWOOD_DATA ?= $(abspath ../shared/data)

# What tests install, apart from dist/, which is for others.
PACKAGES := target/packages

RUST_SOURCES := Cargo.toml python/Cargo.toml $(shell find src python/src -name '*.rs')

.PHONY: demo test test-rust test-python browser test-spark test-wheel check bench bench-peers \
	instructions wheel sdist fuzz sanitize valgrind miri docs docs-rust clean

demo: $(VENV)/installed
	$(BIN)/nearwood demo

test: test-rust test-python

# The workspace as a whole, so that the wheel finds its dependencies compiled with these features. Benches and
# examples are for `make check`, whose clippy reads all targets; a test runs the examples as modules.
test-rust: export PYO3_BUILD_EXTENSION_MODULE = 1
test-rust:
	$(CARGO) test --release --workspace --tests --no-fail-fast
	$(CARGO) test --release --workspace --doc

test-python: export NEARWOOD_PACKAGES = $(PACKAGES)
test-python: $(VENV)/installed $(VENV)/dev $(PACKAGES)/built browser
	$(BIN)/python -m pytest -q -n 2 --dist loadfile python/tests

# The page of `nearwood report` is tested in chromium. Where it is missing and cannot be installed,
# the tests that need it say so.
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null; \
	} || echo "NOT INSTALLED: chromium and chromium-driver"

# The wheel in an empty environment, and what the source distribution holds.
test-wheel: export NEARWOOD_PACKAGES = $(PACKAGES)
test-wheel: $(VENV)/dev $(PACKAGES)/built
	$(BIN)/python -m pytest -q python/tests/test_wheel.py

# For others: into dist/. A wheel built here wants a C library no older than this machine's.
wheel: $(VENV)/tools
	. $(BIN)/activate && maturin build --release --locked --out dist

sdist: $(VENV)/tools
	. $(BIN)/activate && maturin sdist --out dist

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
	$(MKDOCS) --quiet

# Under callgrind, beside the table in benches/instructions.json; INSTRUCTIONS=--update writes it anew.
# Compiled like the tests, whose dependencies it shares.
INSTRUCTIONS ?=
INSTRUCTIONS_RUN = PYO3_BUILD_EXTENSION_MODULE=1 $(PYTHON) benches/instructions.py $(INSTRUCTIONS)
instructions:
	$(INSTRUCTIONS_RUN)

# Every figure of docs/benchmarks.md that its regions hold: the peers are installed, all is measured in
# one run, the page's tables and pictures are renewed. Give the machine nothing else to do meanwhile.
# The peers live in an environment of their own. Built ones are kept in BENCH_CACHE, and what a build
# took with them: take that away (or give `--rebuild`) to measure the builds again. Names of data sets,
# folders and options of benches/everything.py go into BENCH_ARGS (`--resume`: on from where a run was
# ended), sets of interactions into BENCH_TRAINERS. Counting instructions wants valgrind, without which
# that alone is not run, says so, and ends with 3.
BENCH_VENV := .venv-bench
BENCH_BIN := $(BENCH_VENV)/bin
BENCH_CACHE ?= target/peers
BENCH_OUT ?= target/bench.jsonl
BENCH_ARGS ?=
BENCH_TRAINERS ?= gowalla ml-1m generated-power-law
BENCH_RUN = $(BENCH_BIN)/python benches/everything.py $(BENCH_ARGS) --cache $(BENCH_CACHE) --out $(BENCH_OUT)
bench: $(BENCH_VENV)/installed
	$(BENCH_RUN) --trainers "$(BENCH_TRAINERS)"
	$(CARGO) bench
	$(INSTRUCTIONS_RUN) || [ $$? = 3 ]

# The indexes alone.
bench-peers: $(BENCH_VENV)/installed
	$(BENCH_RUN) --trainers "" --more ""

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
			-max_total_time=$(FUZZ_SECONDS) -timeout=30 -max_len=65536; \
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

# Tests of what `unsafe` code does, by the rules of Rust and not by what a processor makes of it, under both
# of Miri's models of borrowing. Miri takes minutes for what a processor does in milliseconds, so these are
# the tests that it ends within an hour. It wants a nightly compiler with its component:
# `rustup toolchain install nightly --component miri,rust-src`.
MIRI_TESTS := index::spans kernel::dense::gradients kernel::dense::side::tests::a_row \
	kernel::dense::equations::tests::what_cannot kernel::dense::dual::tests::a_lost
miri:
	set -e; for model in "" -Zmiri-tree-borrows; do \
		MIRIFLAGS="-Zmiri-disable-isolation $$model" $(CARGO) +nightly miri test --target-dir target/miri \
			-p nearwood --no-default-features --lib -- $(MIRI_TESTS); \
	done

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

# Seconds: the compiler has done its work for the editable install.
PYTHON_SOURCES := $(shell find python/nearwood -name '*.py' -o -name '*.pyi')
$(PACKAGES)/built: $(VENV)/installed $(PYTHON_SOURCES) pyproject.toml README.md
	rm -rf $(PACKAGES)
	. $(BIN)/activate && maturin build --release --locked --out $(PACKAGES) && maturin sdist --out $(PACKAGES)
	touch $@

# Each peer by itself, so that one that cannot be installed is named and the others still run; what was
# not is tried again the next time. Those that can be are compiled for this processor: voyager's wheel is
# made for any. glass is on no package index, and its source says nothing of what it is built with.
COMPILED := annoy,hnswlib,voyager
GLASS := git+https://github.com/zilliztech/pyglass@8c69018deb7cd1fa1dfc7b1f8d1d49129e17d86c\#subdirectory=python
$(BENCH_VENV)/peers: pyproject.toml
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_BIN)/pip install -q --upgrade pip 'maturin>=1.9,<2' 'numpy>=1.23'
	$(BENCH_BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['bench'], sep='\n')" \
	| { all=yes; while read peer; do \
		CFLAGS='-O3 -march=native' CXXFLAGS='-O3 -march=native' \
			$(BENCH_BIN)/pip install -q --no-binary $(COMPILED) "$$peer" \
		|| $(BENCH_BIN)/pip install -q "$$peer" || { echo "NOT INSTALLED: $$peer"; all=no; }; \
	done; \
	$(BENCH_BIN)/python -c 'import glass' 2>/dev/null \
		|| { $(BENCH_BIN)/pip install -q 'pybind11<3' setuptools wheel psutil \
			&& $(BENCH_BIN)/pip install -q --no-build-isolation --no-deps "$(GLASS)"; } \
		|| { echo "NOT INSTALLED: glass"; all=no; }; \
	[ $$all = no ] || touch $@; }

$(BENCH_VENV)/installed: $(BENCH_VENV)/peers $(RUST_SOURCES)
	. $(BENCH_BIN)/activate && maturin develop --release
	touch $@

clean:
	$(CARGO) clean
	rm -rf $(VENV) $(BENCH_VENV) dist site
