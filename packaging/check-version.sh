#!/bin/sh
# check-version.sh TAG [IMAGE]: fails unless the tag, the program, the chart and the changelog speak of the same version,
# and the chart pulls the image that is about to be published.
set -eu
cd "$(dirname "$0")/.."
tag=$1 image=${2:-}

version=${tag#v}
status=0
expect() {
	[ "$2" = "$3" ] && return
	echo "$1 is $2, and should be $3" >&2
	status=1
}
first() {
	sed -n "s/^$1[:=\" ]*\([^\" ]*\).*/\1/p" "$2" | head -1
}
expect 'the tag' "$tag" "v$version"
expect 'version in Cargo.toml' "$(first version Cargo.toml)" "$version"
expect 'version in Chart.yaml' "$(first version charts/do-cluster-access/Chart.yaml)" "$version"
expect 'appVersion in Chart.yaml' "$(first appVersion charts/do-cluster-access/Chart.yaml)" "$version"
if [ -n "$image" ]; then
	expect "image.repository in the chart's values.yaml" \
		"$(first '  repository' charts/do-cluster-access/values.yaml)" "$image"
fi
if ! grep -q "^## \[$version\]" CHANGELOG.md; then
	echo "CHANGELOG.md has no section [$version]" >&2
	status=1
fi
exit "$status"
