//! Target `secrets`.

#![no_main]

use do_cluster_access_fuzz::SECRETS;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: SECRETS.start(), |input: &[u8]| SECRETS.check(input));
