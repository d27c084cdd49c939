# Every command of this repository; `make` alone lists them. Programs that are needed and missing are
# built into .tools, at pinned versions, from package registries.

SHELL := /bin/sh
.DEFAULT_GOAL := help

CARGO_DENY_VERSION := 0.20.2
GENERATED := crds deploy charts docs/reference

include testbed/tools.mk
include charts/charts.mk
include testbed/demo.mk
include testbed/clients.mk
include testbed/consumers.mk
include testbed/documentation.mk
include testbed/prometheus.mk
include testbed/bench.mk
include simulation/simulation.mk
include fuzz/fuzz.mk
include packaging/image.mk
include packaging/release.mk

.PHONY: help test test-rust test-crash-plans upgrade-fixture test-clients lint lint-rust lint-dependencies generate check-generated

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST) | sort

test: test-rust simulate storms test-go test-clients chart $(if $(filter Linux,$(shell uname)),test-image) ## every test; the demo is the last of them
	@ONCE=1 $(MAKE) --no-print-directory demo

test-rust: .tools/bin/controlplane .tools/bin/kubectl .tools/bin/helm .tools/crds need-cargo ## the tests in Rust, on a real API server
	cargo test --workspace --locked

test-crash-plans: .tools/bin/controlplane .tools/bin/kubectl .tools/bin/helm need-cargo ## the release build, killed at every point of every request
	cargo build --release --locked
	DO_CLUSTER_ACCESS_BINARY="$(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/release/do-cluster-access" cargo test --locked --test integration crash_plans

upgrade-fixture: .tools/bin/controlplane .tools/bin/helm need-cargo ## write down what this version leaves in a cluster, for the tests of later ones
	cargo test --locked --test integration -- --ignored upgrade::

lint: lint-rust lint-go lint-dependencies lint-packaging ## formats, lints, licences and sources of dependencies, workflows

lint-rust: need-cargo ## rustfmt and clippy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- --deny warnings

# The advisories need a database that is no package: CI of the repository's host checks them.
lint-dependencies: .tools/bin/cargo-deny ## cargo-deny: licences, bans, sources
	.tools/bin/cargo-deny --log-level error check bans licenses sources

.tools/bin/cargo-deny: | need-cargo
	@echo "building cargo-deny $(CARGO_DENY_VERSION), which takes about 5 minutes"
	@cargo install --quiet --locked --root .tools --version $(CARGO_DENY_VERSION) cargo-deny

generate: need-cargo ## write everything that is generated: crds/, docs/reference/, deploy/
	@cargo run --quiet --locked --example generate
	@$(MAKE) --no-print-directory generate-deploy

check-generated: generate ## fail when a generated file is not what is committed
	@git diff --exit-code -- $(GENERATED) && \
	    test -z "$$(git ls-files --others --exclude-standard -- $(GENERATED))" || \
	    { echo 'generated files are not current: run `make generate` and commit' >&2; exit 1; }

.PHONY: need-cargo
need-cargo:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.89 or newer" >&2; exit 1; }
