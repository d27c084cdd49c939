# Fuzz targets: libFuzzer on the stable compiler. Neither cargo-fuzz nor a nightly compiler is needed.
# SECONDS is the time for each target; TARGETS the targets, all by default.

FUZZ_TARGETS := kubeconfig credentials clusters headers resources secrets
TARGETS ?= $(FUZZ_TARGETS)
SECONDS ?= 60
FUZZ_HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
FUZZ_TARGET_DIR := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target/fuzz)
FUZZ_WORK := $(FUZZ_TARGET_DIR)/corpus
# What lets libFuzzer see which code an input reaches and what it is compared with.
FUZZ_FLAGS := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1

.PHONY: fuzz fuzz-build
fuzz: fuzz-build ## fuzz what comes from outside (SECONDS=60 for each of TARGETS)
	@for target in $(TARGETS); do \
	    corpus="$(FUZZ_WORK)/$$target"; mkdir -p "$$corpus"; \
	    echo "fuzzing $$target for $(SECONDS) s"; \
	    SEED_FOLDER="$$corpus" RUST_BACKTRACE=0 \
	        "$(FUZZ_TARGET_DIR)/$(FUZZ_HOST)/release/$$target" \
	        -max_total_time=$(SECONDS) -dict=fuzz/dictionary.txt -max_len=262145 -timeout=10 \
	        -rss_limit_mb=1024 -malloc_limit_mb=256 -print_final_stats=1 \
	        -artifact_prefix="$(FUZZ_WORK)/$$target-" "$$corpus" 2>&1 \
	    | awk '/panicked/ { print; getline; print } \
	           /INITED|DONE/ || (/pulse/ && ++pulses % 4 == 0) || /ERROR|SUMMARY|Test unit written/ || \
	           /number_of_executed|average_exec|peak_rss/ { print "  " $$0; fflush() } \
	           /ERROR: libFuzzer/ { failed = 1 } END { exit failed }' || \
	        { echo "$$target: the input that was found is in $(FUZZ_WORK)/$$target-*" >&2; exit 1; }; \
	done

fuzz-build: need-cargo
	@cd fuzz && CARGO_TARGET_DIR="$(abspath $(FUZZ_TARGET_DIR))" RUSTFLAGS="$(FUZZ_FLAGS)" \
	    cargo build --quiet --locked --release --target $(FUZZ_HOST) --bins
