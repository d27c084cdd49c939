#!/bin/sh
# sbom.sh CARGO-CYCLONEDX FILE: writes the bill of materials of the program on Linux, CycloneDX 1.5.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
cyclonedx=$(realpath "$1")
mkdir -p "$(dirname "$2")"
file=$(realpath "$2")

# It writes a file beside every manifest of the workspace, so it gets a copy: the manifests, and the sources by which
# cargo knows what they are manifests of.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT INT TERM
cd "$here"
tar -cf - Cargo.toml Cargo.lock src simulation/Cargo.toml simulation/src testbed/Cargo.toml testbed/src | tar -xf - -C "$copy"

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
"$cyclonedx" cyclonedx --quiet --manifest-path "$copy/Cargo.toml" --format json --spec-version 1.5 \
	--target "$(uname -m)-unknown-linux-gnu" --no-build-deps
# Where the sources were is of no interest to anybody.
sed "s|path+file://$copy|path+file:///source|g" "$copy/do-cluster-access.cdx.json" >"$file"
echo "$file: $(grep -c '"purl": "pkg:cargo/' "$file") packages of Rust, beside the C library and the compiler's own"
