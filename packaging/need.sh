#!/bin/sh
# need.sh PROGRAM=PACKAGE…: installs, with apt-get, Debian's packages of those programs that are missing.
set -eu
PATH=$PATH:/usr/sbin:/sbin

packages=
for pair; do
	command -v "${pair%%=*}" >/dev/null || packages="$packages ${pair#*=}"
done
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "please install what Debian calls:$packages" >&2
	exit 1
fi
echo "*** installing Debian's packages that are missing:$packages"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update --quiet
# shellcheck disable=SC2086 # several packages
$sudo apt-get install --quiet --yes --no-install-recommends $packages
