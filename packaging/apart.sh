#!/bin/sh
# apart.sh COMMAND…: runs a command as root of namespaces of its own, with a loopback and no other network. It may
# mount, become another user and bind port 53 there, and nothing of it is seen outside.
set -eu
# Where Debian has ip, and does not tell everybody.
PATH=$PATH:/usr/sbin:/sbin
# shellcheck disable=SC2016
begin='ip link set lo up && exec "$@"'
if [ "$(id -u)" = 0 ]; then
	exec unshare --mount --net sh -c "$begin" apart "$@"
fi
# buildah maps the user's subordinate ids, of which 65532 is one.
exec buildah unshare unshare --mount --net sh -c "$begin" apart "$@"
