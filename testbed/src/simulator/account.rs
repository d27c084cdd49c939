//! DigitalOcean accounts: who owns clusters, and which API tokens open them.

use serde::{Deserialize, Serialize};

use super::limits::{Limits, SlidingWindow};

/// A DigitalOcean account (a team), with clusters of its own.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    /// The name that the history, faults and the control endpoints know it by.
    pub label: String,
    /// Who a minted credential acts as in the target cluster.
    pub user: User,
    /// The limits of each of its API tokens; absent: the simulator's.
    pub limits: Option<Limits>,
}

impl Account {
    /// An account whose user is `<label>@example.com`.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            user: User {
                username: format!("{label}@example.com"),
                groups: vec!["k8saas:authenticated".to_owned()],
            },
            limits: None,
        }
    }
}

impl Default for Account {
    fn default() -> Self {
        Self::new("default")
    }
}

/// The identity that a cluster sees behind a minted credential.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The e-mail address of the DigitalOcean user.
    pub username: String,
    /// Kubernetes groups. A client certificate carries the first alone.
    pub groups: Vec<String>,
}

/// What an API token may do.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// `kubernetes:read` and `kubernetes:access_cluster`.
    #[default]
    Full,
    /// `kubernetes:read` alone: 403 on kubeconfig and credentials.
    ReadOnly,
    /// Neither: 403 on everything.
    None,
}

/// An API token as the simulator keeps it.
#[derive(Debug)]
pub(crate) struct ApiToken {
    pub(crate) account: String,
    pub(crate) scope: Scope,
    pub(crate) revoked: bool,
    pub(crate) requests: SlidingWindow,
}
