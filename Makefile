# What there is to do here; `make` alone explains it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check corpus bench obs release web fixtures clean build-packages test-packages test-tools lint

NODE_DIRS := $(patsubst %/package.json,%,$(wildcard tests/e2e/package.json))
PLAYER_DIR := $(patsubst %/package.json,%,$(firstword $(wildcard src/web/package.json src/web/*/package.json)))

help: ## Explain the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build-packages ## Build, start a server, upload a clip, print where to watch it
	cargo run --locked -- demo

test: test-tools lint ## Run every test, with its own PostgreSQL, S3 server and browser
	cargo test --locked

check: build-packages ## Formatting, lints, documentation, licences and advisories
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	if cargo deny --version >/dev/null 2>&1; then cargo deny check; else echo "cargo-deny is not installed: licences and advisories not checked"; fi

corpus: test-tools ## Put every file of ../shared/corpus (or POLICAST_CORPUS) through the pipeline
	cargo test --locked --test corpus

bench: test-tools ## Compare the ladder with one FFmpeg process per rung, and broadcasts with nginx-rtmp's
	tests/setup.sh bench || echo "nginx can't be installed: its figures will be missing"
	cargo bench --locked --bench ladder --bench live

obs: test-tools ## Push from OBS Studio, on a display without a screen
	tests/setup.sh obs
	cargo test --locked --test e2e -- live::obs

release: build-packages ## Build target/release/policast
	cargo build --locked --release

web: test-packages ## Rebuild the bundle of the player (needs Node)
	$(if $(PLAYER_DIR),npm --prefix $(PLAYER_DIR) ci --no-audit --no-fund && npm --prefix $(PLAYER_DIR) run build,echo "there is no player to bundle")

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

# A toolchain without rustfmt or clippy can still run the tests.
lint: build-packages
	if cargo fmt --version >/dev/null 2>&1; then cargo fmt --check; fi
	if cargo clippy --version >/dev/null 2>&1; then cargo clippy --locked --all-targets -- -D warnings; fi

tests/.venv/ready: tests/requirements.txt | test-packages
	python3 -m venv --clear tests/.venv
	tests/.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

%/node_modules/.package-lock.json: %/package-lock.json | test-packages
	npm --prefix $* ci --no-audit --no-fund
	touch $@
