#!/bin/sh
# image.sh PROGRAM DIRECTORY NAME VERSION: makes the image of a static PROGRAM in DIRECTORY, twice: `oci`, an OCI
# image layout, and `do-cluster-access.tar`, which `docker load` and `kind load image-archive` take. No engine,
# daemon or registry takes part.
set -eu
program=$1 directory=$2 name=$3 version=$4
here=$(cd "$(dirname "$0")" && pwd)

# All of it within the directory: what else buildah keeps on this machine is not touched. The driver needs no
# support by the kernel, and nothing is run in the container.
buildah() {
	command buildah --root "$directory/storage" --runroot "$directory/run" --storage-driver vfs "$@"
}

# Of the commit, so that the same sources make the same image.
created=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct)}
revision=$(git -C "$here" rev-parse HEAD)

mkdir -p "$directory/empty"
rm -rf "$directory/oci" "$directory/do-cluster-access.tar"
"$here/root-file-system.sh" "$program" "$directory/build/root-file-system"
buildah build --quiet --isolation chroot --format oci --timestamp "$created" \
	--build-context "build=$directory/build" \
	--build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
	--file "$here/../Dockerfile" --tag "$name:$version" "$directory/empty" >/dev/null
buildah push --quiet "$name:$version" "oci:$directory/oci:$version"
buildah push --quiet "$name:$version" "docker-archive:$directory/do-cluster-access.tar:$name:$version"
buildah rmi --all --force >/dev/null
