#!/bin/sh
# rust.sh [VERSION]: makes a version of Rust the default, by rustup: the one that the Dockerfile names, or another.
set -eu
cd "$(dirname "$0")/.."
version=${1:-$(sed -n 's/^FROM .*rust:\([0-9.]*\)-.*/\1/p' Dockerfile)}
rustup toolchain install "$version" --profile minimal --component clippy --component rustfmt
rustup default "$version"
