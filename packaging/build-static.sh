#!/bin/sh
# Builds the operator as one file that needs nothing of the system it runs on, for the architecture of this
# machine, and prints where it is. The Dockerfile and `make image` both use this.
set -eu
cd "$(dirname "$0")/.."

target=$(uname -m)-unknown-linux-gnu
# For this target alone: build scripts and procedural macros cannot be linked statically. Static glibc rather
# than musl: it is what the tests run with, its allocator is the faster one, and since 2.34 it resolves names
# without shared libraries.
flags=CARGO_TARGET_$(echo "$target" | tr 'a-z-' 'A-Z_')_RUSTFLAGS
env "$flags=-C target-feature=+crt-static" \
	cargo build --release --locked --target "$target" --package do-cluster-access --bin do-cluster-access >&2

program=${CARGO_TARGET_DIR:-target}/$target/release/do-cluster-access
# A static program asks for no loader.
if LC_ALL=C readelf --program-headers "$program" | grep -q INTERP; then
	echo "$program is not static" >&2
	exit 1
fi
echo "$program"
