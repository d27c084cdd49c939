# prometheus.sh VERSION DIRECTORY: unpacks Debian's package of Prometheus into DIRECTORY/prometheus, and links its
# programs into DIRECTORY/bin. Takes the release's own version where it does not have VERSION.
set -eu
version=$1
tools=$2

link() {
    mkdir -p "$tools/bin"
    ln -sf "$1" "$tools/bin/prometheus"
    ln -sf "$2" "$tools/bin/promtool"
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
        link "$(command -v prometheus)" "$(command -v promtool)"
        echo "this is not Debian: the installed Prometheus is used"
        exit
    fi
    echo "Prometheus is missing: install it with promtool (on Debian and Ubuntu it is fetched)" >&2
    exit 1
fi

mkdir -p "$tools/bin"
unpacked=$(mktemp -d "$tools/prometheus.XXXXXX")
trap 'rm -rf "$unpacked"' EXIT
cd "$unpacked"
chmod 755 .

# $1: further options of apt-get
fetch() {
    # shellcheck disable=SC2086
    apt-get $1 -q=2 download "prometheus=$version*" 2>/dev/null || {
        apt-get $1 -q=2 download prometheus && echo "this release has no Prometheus $version: its own is taken"
    }
}

echo "fetching Prometheus $version, Debian's package"
if ! fetch "" 2>/dev/null; then
    # The machine's lists of packages are missing or old. Nobody has to be root for lists of their own.
    mkdir -p lists/partial cache/archives/partial
    own="-o Dir::State::Lists=$unpacked/lists -o Dir::Cache=$unpacked/cache"
    # shellcheck disable=SC2086
    apt-get $own -q=2 update
    fetch "$own" || {
        echo "apt offers no package of Prometheus: see above" >&2
        exit 1
    }
fi

dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin
rm -rf "$tools/prometheus"
mkdir "$tools/prometheus"
mv usr/bin/prometheus usr/bin/promtool "$tools/prometheus"
touch "$tools"/prometheus/*
link ../prometheus/prometheus ../prometheus/promtool
