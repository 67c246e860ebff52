# Each command sets up what it needs, given rustup's stable Rust, Node 20.19 or later with npm, and apt-get as root.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TSC := tests/node_modules/.bin/tsc
# A file of tests that hangs fails, and its name is printed. The slowest one takes four minutes on two busy cores.
RUN_TESTS := node --test --test-reporter=spec --test-timeout=900000
# Listed by make, because Node 20 and later ones disagree about folders and patterns.
NODE_TESTS := $(wildcard tests/codec/*.test.mjs tests/node/*.test.mjs)
# Those that need no browser.
QUICK_PACKAGE_TESTS := $(addprefix tests/package/,contents.test.mjs loader.test.mjs types.test.mjs workerd.test.mjs)
PACKAGE_TESTS := $(wildcard tests/package/*.test.mjs)
BROWSER_TESTS := $(wildcard tests/tools/*.test.mjs tests/browser/*.test.mjs)
# In Firefox and WebKitGTK. Those that are not installed are skipped, counted, and named with what is missing.
ENGINE_TESTS := $(wildcard tests/engines/*.test.mjs)
TYPE_PROJECTS := pkg/tsconfig.json $(wildcard tests/types/tsconfig*.json)

.PHONY: help
help:
	@echo 'make demo          the page, at an address that is printed'
	@echo 'make build         pkg/ ready for npm pack'
	@echo 'make test          every check'
	@echo 'make test-quick    the checks that take under three minutes'
	@echo 'make test-long     more seeds and random programs than make test runs, for a night'
	@echo 'make bench         beside Dexie and idb, against the bounds; ARGUMENTS="--only reads" for a part'
	@echo 'make test-engines  tests in Firefox and WebKitGTK, which it installs'
	@echo 'make format        formats the Rust sources'
	@echo 'make clean         removes everything that was built'

.PHONY: setup-build setup
setup-build:
	@tests/tools/setup.sh rust npm
setup:
	@tests/tools/setup.sh rust npm chromium

.PHONY: build build-quick
build: setup-build
	cargo xtask package
# For the seconds between two edits: the same package, compiled fast and several times as large.
build-quick: setup-build
	cargo xtask package --quick

.PHONY: demo
# `make demo PORT=9000` serves it there. Nothing is compiled again unless a source has changed.
demo: build
	@node tests/tools/page.mjs $(PORT)

# ── Checks ───────────────────────────────────────────────────────────────────────────────────────────────────────

.PHONY: test test-quick
# One after the other, cheap ones first: two cores gain nothing from more, and the output stays readable.
test: setup
	$(MAKE) --no-print-directory check-format
	$(MAKE) --no-print-directory check-lints
	$(MAKE) --no-print-directory test-rust
	$(MAKE) --no-print-directory build
	$(MAKE) --no-print-directory check-types
	$(MAKE) --no-print-directory test-node
	$(MAKE) --no-print-directory test-package test-browser test-installed-engines
test-quick: setup-build
	$(MAKE) --no-print-directory check-format
	cargo clippy --quiet --all-targets -- --deny warnings
	# Fewer random programs and seeds than `make test` runs.
	cargo test --quiet --lib --test it --test tidy --test fuzz
	CASES=15 cargo test --quiet --test model random
	SEEDS=200 cargo test --quiet --features planted --test sim -- --skip planted
	$(MAKE) --no-print-directory build-quick
	$(MAKE) --no-print-directory check-types
	$(RUN_TESTS) --test-concurrency=2 $(NODE_TESTS) $(QUICK_PACKAGE_TESTS)

.PHONY: test-long
# For a night: seeds and random programs that `make test` leaves out. `make test-long FIRST=50000` goes on behind them.
test-long: FIRST ?= 0
test-long: SEEDS ?= 50000
test-long: CASES ?= 5000
test-long: setup-build
	FIRST=$(FIRST) SEEDS=$(SEEDS) cargo test --quiet --profile sim --features planted --test sim every_seed
	FIRST=$(FIRST) CASES=$(CASES) cargo test --quiet --profile sim --test model random

.PHONY: check-format check-lints check-types
check-format:
	cargo fmt --all --check
check-lints:
	cargo clippy --quiet --all-targets -- --deny warnings
	# The simulator stands behind a feature.
	cargo clippy --quiet --features planted --test sim -- --deny warnings
	cargo clippy --quiet --lib --target wasm32-unknown-unknown -- --deny warnings
	cargo clippy --quiet --package xtask --profile xtask -- --deny warnings
check-types:
	for project in $(TYPE_PROJECTS); do $(TSC) --project "$$project"; done

.PHONY: test-engines
test-engines: setup-build
	@tests/tools/setup.sh firefox webkit
	$(MAKE) --no-print-directory build test-installed-engines

.PHONY: test-rust test-node test-package test-browser test-installed-engines
test-rust:
	cargo test --quiet
	cargo test --quiet --package xtask --profile xtask
	# The simulator carries bugs planted on purpose, behind a feature that nothing else has. It is compiled to run fast.
	cargo test --quiet --profile sim --features planted --test sim
test-node:
	$(if $(NODE_TESTS),$(RUN_TESTS) $(NODE_TESTS))
test-package:
	$(if $(PACKAGE_TESTS),$(RUN_TESTS) $(PACKAGE_TESTS))
test-browser:
	$(if $(BROWSER_TESTS),$(RUN_TESTS) $(BROWSER_TESTS))
test-installed-engines:
	cargo xtask conformance
	$(if $(ENGINE_TESTS),$(RUN_TESTS) $(ENGINE_TESTS))

# ── Measuring ────────────────────────────────────────────────────────────────────────────────────────────────────

.PHONY: bench
# Timing is no test: a target that is missed is told, and fails nothing.
bench: setup
	$(MAKE) --no-print-directory build
	@node tests/bench/run.mjs $(ARGUMENTS)

# ── Housekeeping ─────────────────────────────────────────────────────────────────────────────────────────────────

.PHONY: format clean
format:
	cargo fmt --all
clean:
	cargo clean
	rm -rf build pkg/dist tests/node_modules
