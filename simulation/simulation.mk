# The whole operator in virtual time, and the tests of the tests. Included by the Makefile; paths are relative to the
# root.

SIMULATE := cargo run --quiet --profile simulation --locked --package do-cluster-access-simulation --
# Seeds of some dozen renewals each, and seeds of whole weeks with two replicas.
SEEDS ?= 10000
WEEKS ?= 300
# How long `make soak` runs, and at which seed it begins: anywhere, unless FROM is given.
MINUTES ?= 60

.PHONY: simulate storms soak replay mutants

simulate: need-cargo ## the operator under faults in virtual time, every invariant checked (SEEDS=10000, WEEKS=300)
	@$(SIMULATE) run --seeds $(SEEDS) --weeks $(WEEKS)

storms: need-cargo ## 10,000 accesses due at once; an hour in which nothing is due; either side out for ten minutes in the middle of many renewals
	@$(SIMULATE) rush
	@$(SIMULATE) idle
	@$(SIMULATE) outage

# The weeks come first and take longest: the seeds after them are as many as there is time for.
soak: need-cargo ## the same with other seeds, for an hour (MINUTES=60, FROM=…)
	@from=$(or $(FROM),$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')) && \
	    echo "from seed $$from on; the same again: make soak FROM=$$from" && \
	    $(SIMULATE) run --from $$from --seeds 1000000000 --weeks $(WEEKS) --minutes $(MINUTES)

replay: need-cargo ## one seed again, with all that happens (SEED=…, WEEK=1 for that of a week)
	@[ -n "$(SEED)" ] || { echo "which seed? make replay SEED=42, or SEED=42 WEEK=1" >&2; exit 2; }
	@$(SIMULATE) replay $(if $(WEEK),--week )$(SEED)

mutants: need-cargo ## tests of the tests: every seeded bug must be noticed (BUG=<id>, SHARE=1/4)
	@command -v python3 >/dev/null || { echo "python3 is missing: install Python 3.11 or newer" >&2; exit 1; }
	@python3 simulation/mutants/mutants.py $(BUG) $(if $(SHARE),--share $(SHARE))
