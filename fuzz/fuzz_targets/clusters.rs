//! Target `clusters`.

#![no_main]

use do_cluster_access_fuzz::CLUSTERS;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: CLUSTERS.start(), |input: &[u8]| CLUSTERS.check(input));
