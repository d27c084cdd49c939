#!/bin/sh
# release-notes.sh VERSION: prints the section of the changelog about that version.
set -eu
awk -v heading="## [$1]" '
	/^## / { inside = index($0, heading) == 1; next }
	inside { print; found = found || NF }
	END { exit !found }
' "$(dirname "$0")/../CHANGELOG.md" || { echo "CHANGELOG.md says nothing about $1" >&2; exit 1; }
