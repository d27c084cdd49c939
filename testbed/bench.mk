# `make bench`. Included by the Makefile, beside testbed/tools.mk, which has the rules for .tools/bin; paths
# are relative to the root.

BENCH_OPERATOR := $(or $(CARGO_TARGET_DIR),target)/release/do-cluster-access
# Numbers of accesses. 10000 takes about 15 minutes a run: make bench ACCESSES=100,1000,10000
ACCESSES ?= 100,1000
# The simulator, the stub of the target and the null writer compete with the operator for the processors, so
# that they must be fast, too; without link-time optimisation they are built in a fraction of the time.
BENCH_BUILD := --profile bench --config profile.bench.lto=false --config profile.bench.codegen-units=16

.PHONY: bench bench-quick bench-build

bench: bench-build ## what the operator costs, beside the floor of this machine (ACCESSES=100,1000, RUNS=3)
	@cargo run --locked --quiet $(BENCH_BUILD) --package do-cluster-access-testbed -- bench --operator $(BENCH_OPERATOR) --accesses $(ACCESSES) $(if $(RUNS),--runs $(RUNS))

bench-quick: bench-build ## the same with 300 accesses, in less than 5 minutes
	@cargo run --locked --quiet $(BENCH_BUILD) --package do-cluster-access-testbed -- bench --operator $(BENCH_OPERATOR) --accesses 300 $(if $(RUNS),--runs $(RUNS))

# Prerequisites are made in this order: what is missing is named before anything takes minutes.
bench-build: demo-cargo .tools/bin/controlplane .tools/bin/kubectl .tools/bin/helm
	@[ -x $(BENCH_OPERATOR) ] || echo "building the operator and the testbed (about 10 minutes on 2 cores the first time)"
	@cargo build --locked --release --package do-cluster-access
	@cargo build --locked $(BENCH_BUILD) --package do-cluster-access-testbed
