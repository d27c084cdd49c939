//! The library's credentials, and the fixtures of its tests.

pub(crate) use do_cluster_access::credential::*;

#[path = "../../src/credential/fixtures.rs"]
pub(crate) mod fixtures;
