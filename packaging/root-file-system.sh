#!/bin/sh
# root-file-system.sh PROGRAM DIRECTORY: puts all that the image holds into a new directory.
set -eu
program=$1 directory=$2
here=$(cd "$(dirname "$0")" && pwd)

# Debian's package as it was shipped. The bundle in /etc would hold what an administrator added to it, too.
authorities=/usr/share/ca-certificates/mozilla
if [ ! -d "$authorities" ]; then
	echo "$authorities is missing: install Debian's (or Ubuntu's) package ca-certificates" >&2
	exit 1
fi

rm -rf "$directory"
mkdir -p "$directory/etc/ssl/certs" "$directory/usr/share/doc/do-cluster-access"
cp "$program" "$directory/do-cluster-access"
cat "$authorities"/*.crt >"$directory/etc/ssl/certs/ca-certificates.crt"
cp "$here/../LICENSE" "$directory/usr/share/doc/do-cluster-access/LICENSE"
(cd "$here/.." && packaging/notices.py) >"$directory/usr/share/doc/do-cluster-access/NOTICES"
find "$directory" -type d -exec chmod 0755 {} +
find "$directory" -type f -exec chmod 0644 {} +
chmod 0755 "$directory/do-cluster-access"
