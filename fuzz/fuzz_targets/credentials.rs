//! Target `credentials`.

#![no_main]

use do_cluster_access_fuzz::CREDENTIALS;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: CREDENTIALS.start(), |input: &[u8]| CREDENTIALS.check(input));
