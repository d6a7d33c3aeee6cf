# Everything a person or CI does with this project. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo

.PHONY: help demo test check bench fuzz compliance tools

help: ## Lists the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: ## Starts the bridge with three simulated targets and pushes sample users through it
	$(CARGO) run --release -- demo

test: tools check ## Everything that CI runs: format, lints, all tests
	$(CARGO) test --workspace --locked

check: tools ## Format and lints, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings

bench: tools ## Requests per second and latencies beside a static answer and raw SQLite, in one run
	$(CARGO) run --release --locked -p bridge-tests --bin bench

fuzz: ## Runs every fuzz target for FUZZ_SECONDS (600) each; needs a nightly toolchain
	deploy/scripts/fuzz.sh $${FUZZ_SECONDS:-600}

compliance: tools ## Runs public SCIM compliance tools against the bridge; needs Python 3 and PyPI
	deploy/scripts/compliance.sh

tools: # Installs what a bare Debian machine with Rust lacks: a C compiler, for SQLite and TLS, rustfmt and Clippy
	@deploy/scripts/install-tools.sh
