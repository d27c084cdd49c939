//! Target `resources`.

#![no_main]

use do_cluster_access_fuzz::RESOURCES;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: RESOURCES.start(), |input: &[u8]| RESOURCES.check(input));
