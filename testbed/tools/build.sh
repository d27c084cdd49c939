#!/bin/sh
# build.sh WHAT USUALLY MODULE ARGUMENTS...: go build ARGUMENTS in a module's directory, saying what
# is built and how far it is.
set -eu
what=$1
usually=$2
module=$3
shift 3

if ! command -v go >/dev/null; then
    echo "go is missing: $what is built from source with Go 1.26 or newer" >&2
    exit 1
fi

# With -v, go writes a line for each package that it compiles; other lines hold a blank or a colon.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "building $what (about $usually on 2 cores the first time)"
go build -C "$module" -v "$@" 2>"$log" &
build=$!
trap 'kill "$build" 2>/dev/null; exit 130' INT TERM

begin=$(date +%s)
shown=0
while kill -0 "$build" 2>/dev/null; do
    sleep 1
    seconds=$(($(date +%s) - begin))
    # A count of zero is grep's status 1.
    fetched=$(grep -c '^go: downloading ' "$log" || true)
    compiled=$(grep -c -v '[ :]' "$log" || true)
    progress="  $fetched modules fetched, $compiled packages compiled in $seconds s"
    if [ -t 1 ]; then
        printf '\r%s' "$progress"
    elif [ $((seconds - shown)) -ge 30 ]; then
        echo "$progress"
        shown=$seconds
    fi
done
if [ -t 1 ]; then
    printf '\r\033[K'
fi

if ! wait "$build"; then
    grep '[ :]' "$log" | grep -v '^go: downloading ' >&2
    echo "building $what failed" >&2
    exit 1
fi
