//! Why the benchmark failed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{control_plane, demo, simulator};

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("interrupted")]
    Interrupted,
    #[error("{0} is missing: `make bench` builds it")]
    Missing(PathBuf),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is not as expected: {content:?}")]
    Unreadable { path: PathBuf, content: String },
    #[error("{path} is not a leg file: {why}")]
    LegFile { path: PathBuf, why: String },
    #[error(transparent)]
    Output(#[from] io::Error),
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    ControlPlane(#[from] control_plane::Error),
    #[error("the simulator: {0}")]
    Simulator(#[from] simulator::Error),
    #[error("the API server: {0}")]
    Kube(#[from] kube::Error),
    #[error("the stub of the target cluster: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("the stub of the target cluster: {0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
    #[error(transparent)]
    Operator(#[from] demo::error::Error),
    #[error("the operator has ended by itself")]
    OperatorEnded,
    #[error("{what} within {} s: only {done} of {wanted}", .within.as_secs())]
    TooLong {
        what: &'static str,
        within: Duration,
        done: usize,
        wanted: usize,
    },
    #[error("the audit log holds no {0}")]
    NotAudited(&'static str),
    #[error("the operator's log does not tell when it was ready")]
    NotLogged,
    #[error("a watch ended before everything was seen")]
    WatchEnded,
    #[error("there is no operator whose writes the null writer could imitate")]
    NothingToImitate,
    #[error("the object {0} is not as expected")]
    Unexpected(String),
}

impl Error {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
