# `make demo`. Included by the Makefile, beside testbed/tools.mk, which has the rules for .tools/bin; paths
# are relative to the root.

DEMO_OPERATOR := $(or $(CARGO_TARGET_DIR),target)/release/do-cluster-access

.PHONY: demo demo-cargo

# Prerequisites are made in this order: what is missing is named before anything takes minutes.
demo: demo-cargo .tools/bin/controlplane .tools/bin/kubectl .tools/bin/helm ## the main job, start to finish, on real components (ONCE=1: end after the summary)
	@[ -x $(DEMO_OPERATOR) ] || echo "building the operator and the demo (about 6 minutes on 2 cores the first time)"
	@cargo build --locked --release
	@cargo build --locked --package do-cluster-access-testbed
	@cargo run --locked --quiet --package do-cluster-access-testbed -- demo --operator $(DEMO_OPERATOR)

demo-cargo:
	@command -v cargo >/dev/null || { echo "cargo is missing: the operator is built from source with Rust 1.89 or newer" >&2; exit 1; }
