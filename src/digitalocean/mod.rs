//! DigitalOcean's API: the first door to the outside.
//!
//! [`Client`] makes the four calls that the operator needs, each as one HTTP request through the
//! [`HttpService`] that it is given (the list: one a page). It holds no API token, keeps no state,
//! repeats nothing and waits for no budget: when to call is for others to decide, by what the
//! [`Meta`] of every answer and of every [`Error`] says.
//!
//! Two of the calls mint: every successful [`Client::get_kubeconfig`] and
//! [`Client::get_credentials`] makes a new token that lives until it expires, whether or not its
//! answer arrives ([`Error::may_have_minted`]).

mod base_url;
mod budget;
mod client;
mod error;
mod headers;
mod listing;
#[cfg(test)]
pub(crate) mod loopback;
mod service;
mod text;
mod token;
mod types;

pub use base_url::{BaseUrl, BaseUrlError};
pub use budget::{Budget, EpochMillis, RequestLimits, Sharer, Turn};
pub use client::{Answer, Client, Operation};
pub use error::{Error, ErrorKind, Malformed};
pub use headers::{Meta, RateLimit};
pub use listing::{Listing, Progress};
pub use service::{ConnectError, HttpService, ResponseBody, boxed_service, production_service};
pub use token::{ApiToken, ApiTokenError, TokenFingerprint};
pub use types::{Cluster, ClusterState, IssuedCredential, Sso};

/// What we call ourselves: `do-cluster-access/<version>`.
pub const USER_AGENT: &str = concat!("do-cluster-access/", env!("CARGO_PKG_VERSION"));
