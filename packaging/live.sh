#!/bin/sh
# live.sh OPERATOR CLUSTER: the main job against the real DigitalOcean, for one cluster of the account of
# DIGITALOCEAN_TOKEN. Prints a line for each thing that is assumed of DigitalOcean, and whether it is so; docs/live.md
# says what is done and what is left behind. The management cluster is made on this machine for the time of the run,
# unless MANAGEMENT_KUBECONFIG names one that has the CustomResourceDefinitions.
set -eu
operator=$1 cluster=${2:-}

fail() {
	echo "live: $1" >&2
	exit 2
}
[ -n "$cluster" ] || fail 'name a cluster of the account: make live CLUSTER=prod-cluster-01'
[ -n "${DIGITALOCEAN_TOKEN:-}" ] || fail 'DIGITALOCEAN_TOKEN is not set: put an API token there (kubernetes:read, kubernetes:access_cluster)'
case $cluster in *[!a-z0-9-]* | -*) fail "no cluster is called '$cluster'" ;; esac
command -v curl >/dev/null || fail 'curl is missing: install it'

directory=$(mktemp -d)
chmod 0700 "$directory"
# What kubectl finds out about an API server goes with the rest.
export KUBECACHEDIR="$directory/cache"
processes=
finish() {
	for process in $processes; do
		kill "$process" 2>/dev/null || true
		wait "$process" 2>/dev/null || true
	done
	rm -rf "$directory"
}
trap finish EXIT
trap 'exit 130' INT TERM

lifetime=${LIFETIME:-600}
failed=0
confirmed() { echo "  yes  $1"; }
refuted() {
	echo "  NO   $1"
	failed=$((failed + 1))
}
# check WHAT COMMAND…: whether the command succeeds.
check() {
	what=$1
	shift
	if "$@" >"$directory/output" 2>&1; then confirmed "$what"; else
		refuted "$what"
		sed 's/^/         /' "$directory/output"
	fi
}
# within SECONDS COMMAND…: waits until the command succeeds.
within() {
	end=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 1
	done
}

if [ -n "${MANAGEMENT_KUBECONFIG:-}" ]; then
	KUBECONFIG=$MANAGEMENT_KUBECONFIG
else
	echo 'A control plane starts on this machine'
	.tools/bin/controlplane up --crds crds >"$directory/controlplane" 2>"$directory/controlplane.log" &
	processes=$!
	within 60 test -s "$directory/controlplane" || fail "it does not start: $(cat "$directory/controlplane.log")"
	KUBECONFIG=$(sed -n 's/.*"kubeconfig": *"\([^"]*\)".*/\1/p' "$directory/controlplane")
fi
export KUBECONFIG
kubectl() { .tools/bin/kubectl --namespace live "$@"; }
kubectl create namespace live >/dev/null
printf %s "$DIGITALOCEAN_TOKEN" | kubectl create secret generic digitalocean --from-file=access-token=/dev/stdin >/dev/null

# Starts the operator, on a free port, and waits until it has seen everything.
start() {
	"$operator" run --leader-elect=false --operator-namespace=live --watch-namespace=live --admin-address=127.0.0.1:0 \
		2>"$directory/operator.log" &
	running=$!
	processes="$running $processes"
	within 60 grep -q 'address=127.0.0.1:' "$directory/operator.log" || fail "the operator: $(cat "$directory/operator.log")"
	admin=http://$(sed -n 's/.*address=\(127\.0\.0\.1:[0-9]*\).*/\1/p' "$directory/operator.log")
	within 60 curl -fs "$admin/readyz" || fail "the operator: $(cat "$directory/operator.log")"
}
metrics() { curl -fs "$admin/metrics" >"$directory/metrics" || fail 'the operator no longer serves its metrics'; }
metric() { metrics && grep "^do_cluster_access_$1{" "$directory/metrics"; }
start

access() { kubectl get doca live --output "jsonpath={$1}"; }
secret() { kubectl get secret live-kubeconfig --output "go-template={{index .data \"$1\" | base64decode}}"; }
seconds() { date --date "$1" +%s; }
mints() { metric mints_total >"$directory/mints" && awk '{ sum += $NF } END { print sum }' "$directory/mints"; }
target() { .tools/bin/kubectl --kubeconfig "$directory/$1" auth whoami; }
equal() { [ "$1" = "$2" ] || { echo "$1 is not $2" && false; }; }
different() { [ "$1" != "$2" ] || { echo 'they are the same' && false; }; }
near() { echo "$1 s, and not $2 s" && [ $(($1 - $2)) -ge -10 ] && [ $(($1 - $2)) -le 10 ]; }

echo "An access for $cluster, with credentials for $lifetime seconds"
asked=$(date +%s)
kubectl apply --filename - >/dev/null <<ACCESS
{"apiVersion": "doclusteraccess.dev/v1alpha1", "kind": "DOClusterAccess", "metadata": {"name": "live"}, "spec": {
  "cluster": {"name": "$cluster"}, "tokenSecretRef": {"name": "digitalocean"}, "expirySeconds": $lifetime}}
ACCESS
if ! kubectl wait doca/live --for=condition=Ready --timeout=2m >/dev/null 2>&1; then
	refuted 'DigitalOcean gives out credentials for the cluster'
	kubectl get doca live --output 'jsonpath={range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}'
	exit 1
fi
confirmed 'DigitalOcean gives out credentials for the cluster, and its kubeconfig passes every check'
check 'the list of clusters has id, region, version, state and endpoint' test -n "$(access .status.cluster.id)" -a \
	-n "$(access .status.cluster.region)" -a -n "$(access .status.cluster.version)" -a \
	-n "$(access .status.cluster.state)" -a -n "$(access .status.cluster.endpoint)"
check 'the lifetime that was asked for is the one that is given' \
	near "$(($(seconds "$(access .status.credential.expiresAt)") - asked))" "$lifetime"
check 'the cluster knows the token within a minute (Verified)' \
	equal "$(access '.status.conditions[?(@.type=="Verified")].reason')" Accepted
kubeconfig=$(secret kubeconfig)
secret kubeconfig >"$directory/first.kubeconfig"
check 'kubectl works with the kubeconfig in the Secret' target first.kubeconfig
check 'the kubeconfig and the credentials hold different tokens: each request mints' \
	different "$(printf '%s\n' "$kubeconfig" | sed -n 's/^ *token: *//p' | tr -d '"')" "$(secret token)"
check 'the remaining requests are told (ratelimit-remaining)' \
	metric digitalocean_ratelimit_remaining
check 'an issue takes two mints' equal "$(mints)" 2

echo 'A forced renewal'
kubectl annotate doca live doclusteraccess.dev/rotate=now >/dev/null
kubectl wait doca/live --for=jsonpath='{.status.lastRotateRequest}'=now --timeout=2m >/dev/null
secret kubeconfig >"$directory/second.kubeconfig"
check 'there is another token' different "$(cat "$directory/first.kubeconfig")" "$(cat "$directory/second.kubeconfig")"
check 'the new one works' target second.kubeconfig
check 'the old one works, too: overlap is free' target first.kubeconfig

echo 'A restart'
kill "$running"
wait "$running" || true
start
ready() { metric ready | grep -q ' 1'; }
check 'it finds the credential as good as it was' within 60 ready
check 'it mints nothing' equal "$(mints)" 0
kubectl patch doca live --type=merge --patch '{"spec": {"suspend": true}}' >/dev/null

echo "The end of the first token, in at most $lifetime seconds"
refused() { ! target first.kubeconfig; }
remaining=$((asked + lifetime + 60 - $(date +%s)))
check 'a token is refused once it has expired, and not accepted any longer' within "$remaining" refused

# Of no namespace itself, which kubectl would remark on.
.tools/bin/kubectl delete namespace live >/dev/null
echo
echo "$failed of what is assumed is not so. What was minted is valid until it expires: there is no call to revoke it."
[ "$failed" = 0 ]
