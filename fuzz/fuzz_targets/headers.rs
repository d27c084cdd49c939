//! Target `headers`.

#![no_main]

use do_cluster_access_fuzz::HEADERS;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: HEADERS.start(), |input: &[u8]| HEADERS.check(input));
