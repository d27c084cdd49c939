//! The kubeconfig: what DigitalOcean answers is read strictly, and one of our own is written.
//!
//! A document is never handed on: [`parse`] takes the credential out of it and [`render`] writes
//! a fresh one, so nothing that was not looked at can reach a consumer. What a consumer would
//! obey and we would lose (an exec plugin, a proxy …) is refused rather than dropped.

mod document;
mod error;
mod render;

use std::fmt;

use secrecy::SecretString;

use crate::credential::{Credential, EncodedCredential};

pub use error::{KubeconfigError, Part, Refused};

/// The longest document that is read, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// A kubeconfig with exactly one cluster, user and context. `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubeconfig {
    context: String,
    credential: Credential,
}

/// The name of the one context: `do-<region>-<cluster>`, as DigitalOcean itself names it. The
/// cluster entry has the same name and the user is `…-admin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextName(String);

impl Kubeconfig {
    /// The name of its context.
    #[must_use]
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The credential that it holds.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.credential
    }
}

impl ContextName {
    /// The name for the cluster of that name in that region (a slug such as `nyc1`).
    #[must_use]
    pub fn new(region: &str, cluster: &str) -> Self {
        Self(format!("do-{region}-{cluster}"))
    }
}

impl fmt::Display for ContextName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Reads a kubeconfig and refuses what must not be published.
///
/// # Errors
/// When the text is not one kubeconfig with one cluster, user and context, inline data only, an
/// https server, a PEM certificate authority and exactly one way to log in.
pub fn parse(text: &str) -> Result<Kubeconfig, KubeconfigError> {
    document::parse(text)
}

/// Writes the kubeconfig of a credential, ending in a newline. The same arguments give the same
/// bytes.
#[must_use]
pub fn render(name: &ContextName, credential: &Credential) -> SecretString {
    render::render(&name.0, &EncodedCredential::from(credential)).into()
}

#[cfg(test)]
mod tests;
