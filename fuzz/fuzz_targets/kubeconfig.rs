//! Target `kubeconfig`.

#![no_main]

use do_cluster_access_fuzz::KUBECONFIG;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: KUBECONFIG.start(), |input: &[u8]| KUBECONFIG.check(input));
