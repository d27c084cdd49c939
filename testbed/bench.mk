# `make bench`. Included by the Makefile, beside testbed/tools.mk, which has the rules for .tools/bin; paths
# are relative to the root.

BENCH_OPERATOR := $(or $(CARGO_TARGET_DIR),target)/release/do-cluster-access
# Numbers of accesses; 10000 takes about 15 minutes for each run of every leg.
ACCESSES ?= 100,1000
# The simulator, the stub of the target and the null writer compete with the operator for the processors, so
# that they must be fast, too; without link-time optimisation they are built in a fraction of the time.
BENCH_BUILD := --profile bench --config profile.bench.opt-level=3 --config profile.bench.lto=false --config profile.bench.codegen-units=16
BENCH := cargo run --locked --quiet $(BENCH_BUILD) --package do-cluster-access-testbed -- bench --operator $(BENCH_OPERATOR)
# What the simulation measured.
BENCH_VIRTUAL := target/bench/rush.jsonl target/bench/idle.jsonl

.PHONY: bench bench-quick bench-build bench-virtual

bench: bench-build $(if $(WORKLOADS),,bench-virtual) ## what the operator costs, beside other ways, into docs/benchmarks.md (ACCESSES=100,1000 RUNS=3 WORKLOADS=W1,… LEGS=operator,… LEG_FILES='a.yaml …' RESULTS=… ALSO='b.jsonl …' PAGE=none)
	@$(BENCH) --accesses $(ACCESSES) $(if $(RUNS),--runs $(RUNS)) $(if $(RESULTS),--results $(RESULTS)) \
	    $(if $(WORKLOADS),--workloads $(WORKLOADS),$(foreach file,$(BENCH_VIRTUAL),--also $(file))) $(if $(LEGS),--legs $(LEGS)) \
	    $(foreach file,$(LEG_FILES),--leg-file $(file)) $(foreach file,$(ALSO),--also $(file)) \
	    $(if $(filter none,$(PAGE)),,--page $(or $(PAGE),docs/benchmarks.md))

bench-quick: bench-build ## the same with 300 accesses, once, in less than 5 minutes
	@$(BENCH) --accesses 300 --runs $(or $(RUNS),1) --workloads W1,W3,W5,W7

# Under DigitalOcean's real limits it takes hours: in virtual time, minutes.
bench-virtual: need-cargo
	@mkdir -p target/bench
	@echo "W6: 10,000 rotations under DigitalOcean's limits, in virtual time"
	@$(SIMULATE) rush --figures $(abspath target/bench/rush.jsonl)
	@echo "W4: an hour in which nothing is due, in virtual time"
	@$(SIMULATE) idle --figures $(abspath target/bench/idle.jsonl)

# Prerequisites are made in this order: what is missing is named before anything takes minutes.
bench-build: demo-cargo .tools/bin/controlplane .tools/bin/kubectl .tools/bin/helm
	@[ -x $(BENCH_OPERATOR) ] || echo "building the operator and the testbed (about 10 minutes on 2 cores the first time)"
	@cargo build --locked --release --package do-cluster-access
	@cargo build --locked $(BENCH_BUILD) --package do-cluster-access-testbed
