# Everything is done by `make demo` and `make test`; both install what is missing and build only what has changed.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PORT ?= 8787
DATA ?= corella-data
SEEDS ?= 200
SEED_FROM ?= 1
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help demo test pkg pkg-core hub www check fix bench soak sim clean

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

demo: ## build everything and serve the demo (PORT, DATA)
	@scripts/setup-wasm.sh
	@scripts/build-pkg.sh
	@scripts/build-www.sh
	@$(MAKE) --no-print-directory hub
	@scripts/demo.sh $(TARGET)/release/corella-hub $(PORT) $(DATA)

test: ## every test there is, headless browsers included
	@scripts/test.sh

pkg: ## the npm package in pkg/
	@scripts/setup-wasm.sh
	@scripts/build-pkg.sh

pkg-core: ## a smaller package in pkg-core/, without JSON updates, JSONPath, diagnostic members, records and backups
	@scripts/setup-wasm.sh
	@scripts/build-pkg.sh --core
	@node scripts/size.mjs --check pkg-core

hub: ## target/release/corella-hub
	@echo "==> building the hub" >&2
	@cargo build --quiet --release --features hub --bin corella-hub

www: ## the demo page in www/dist
	@scripts/setup-wasm.sh
	@scripts/build-pkg.sh
	@scripts/build-www.sh

check: ## formatting, lints, documentation, API snapshot; changes nothing
	@scripts/check.sh

fix: ## repair formatting and lints
	@cargo fmt
	@cargo clippy --quiet --fix --allow-dirty --allow-staged --features hub --all-targets

bench: ## benchmarks, with tables
	@cargo bench --quiet --bench synchronizer
	@cargo bench --quiet --features hub --bench hub
	@cargo bench --quiet --bench records
	@cargo test --quiet --release --test sim -- --nocapture --test-threads 1 each_change_reaches neighbours_and_nothing_twice presence_costs 2>&1 | grep -v '^running\|^test result\|^$$'
	@cargo test --quiet --release --lib -- --nocapture what_differs_is_found 2>&1 | grep 'of 10,000'
	@scripts/setup-wasm.sh --test
	@scripts/build-pkg.sh
	@npm ci --silent --no-fund --no-audit --prefix bench
	@node bench/run.mjs
	@node bench/records.mjs
	@$(MAKE) --no-print-directory hub
	@CORELLA_HUB=$(abspath $(TARGET))/release/corella-hub node bench/storage.mjs

soak: ## the long forms of the fault tests
	@SEEDS=20000 $(MAKE) --no-print-directory sim
	@CORELLA_SOAK=1 cargo test --quiet --features hub --test hub
	@$(MAKE) --no-print-directory www hub
	@CORELLA_SOAK=1 CORELLA_HUB=$(abspath $(TARGET))/release/corella-hub npm run --silent --prefix www e2e -- storage.spec.ts

sim: ## random worlds under random faults (SEEDS, SEED_FROM, SIM_TRACE=1)
	@SEEDS=$(SEEDS) SEED_FROM=$(SEED_FROM) cargo test --quiet --release --test sim -- --ignored --exact --nocapture chaos::as_many_worlds_as_asked_for

clean: ## remove what was built
	@cargo clean
	@rm -rf pkg pkg-core pkg-failpoints www/dist www/node_modules tools/node_modules bench/node_modules
