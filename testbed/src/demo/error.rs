//! Why the demo failed.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::{control_plane, simulator};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("interrupted")]
    Interrupted,
    #[error("{0} is missing: `make demo` builds it")]
    Missing(PathBuf),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("cannot write to the terminal: {0}")]
    Output(#[from] io::Error),
    #[error(transparent)]
    ControlPlane(#[from] control_plane::Error),
    #[error("the simulator: {0}")]
    Simulator(#[from] simulator::Error),
    #[error("the API server: {0}")]
    Kube(#[from] kube::Error),
    #[error("the operator's lease: {0}")]
    Lease(#[source] kube::runtime::wait::Error),
    #[error("`{command}` failed: {complaint}")]
    Command { command: String, complaint: String },
    #[error("the chart does not render as YAML: {0}")]
    Chart(String),
    #[error("the operator ended by itself: {0}")]
    OperatorEnded(ExitStatus),
    #[error("the watch on {0} ended")]
    WatchEnded(&'static str),
    #[error("no client for the target cluster: {0}")]
    Target(#[from] reqwest::Error),
    #[error("{what} did not come within {} s{state}", .within.as_secs())]
    TooLong {
        what: String,
        within: Duration,
        /// What is known of the access: a clause that begins with a colon, or nothing.
        state: String,
    },
    #[error(
        "for {seconds} s the credential in the Secret was refused: it should work at every moment"
    )]
    CredentialRefused { seconds: String },
}

impl Error {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// Whether logs can tell more.
    pub(super) fn has_traces(&self) -> bool {
        !matches!(
            self,
            Self::Interrupted
                | Self::Missing(_)
                | Self::ControlPlane(control_plane::Error::Missing { .. })
        )
    }
}
