//! The checks of `src/hostile`, for the fuzz targets: the very module that the operator's own tests
//! compile, here against the library's public functions.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fuzz target says by a panic what it has found"
)]
#![allow(
    dead_code,
    reason = "of the fixtures and checks some are for the tests alone"
)]

pub(crate) use do_cluster_access::{api, digitalocean, kubeconfig, outputs, redaction, rotation};

mod credential;

#[path = "../../src/hostile/mod.rs"]
mod hostile;

use std::path::Path;
use std::{env, fs};

use hostile::answers::Given;
use hostile::seeds;

/// Names the folder that gets the seeds of a target when it starts.
pub const SEED_FOLDER: &str = "SEED_FOLDER";

/// A kind of input: how it is checked, and real ones to start from.
pub struct Target {
    check: fn(&[u8]) -> bool,
    seeds: fn() -> Vec<Vec<u8>>,
}

impl Target {
    /// Writes real inputs, one a file, into the folder that the environment names, if it does: libFuzzer
    /// reads it afterwards.
    pub fn start(&self) {
        let Some(folder) = env::var_os(SEED_FOLDER) else {
            return;
        };
        for (number, seed) in (self.seeds)().iter().enumerate() {
            let file = Path::new(&folder).join(format!("seed-{number:02}"));
            fs::write(file, seed).expect("a folder that can be written to");
        }
    }

    /// Reads `input`, and panics when a rule is broken.
    pub fn check(&self, input: &[u8]) {
        (self.check)(input);
    }
}

/// The document of get_kubeconfig.
pub const KUBECONFIG: Target = Target {
    check: |bytes| hostile::answers::check_kubeconfig(&Given::body(bytes)),
    seeds: seeds::kubeconfigs,
};

/// The document of get_credentials.
pub const CREDENTIALS: Target = Target {
    check: |bytes| hostile::answers::check_credentials(&Given::body(bytes)),
    seeds: seeds::credentials,
};

/// A cluster, and a page of the list.
pub const CLUSTERS: Target = Target {
    check: |bytes| hostile::answers::check_clusters(&Given::body(bytes)),
    seeds: seeds::clusters,
};

/// Status and headers of an answer.
pub const HEADERS: Target = Target {
    check: |bytes| hostile::answers::check_headers(&Given::parse(bytes)),
    seeds: seeds::responses,
};

/// `DOClusterAccess` and `DOAccount`.
pub const RESOURCES: Target = Target {
    check: hostile::resources::check,
    seeds: seeds::resources,
};

/// Secrets, ours and others'.
pub const SECRETS: Target = Target {
    check: hostile::secrets::check,
    seeds: seeds::secrets,
};
