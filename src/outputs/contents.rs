//! What a Secret is made from, and what it is made of.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use crate::credential::{Authentication, Credential};
use crate::rotation::Issue;

/// One issued credential, with all that an output may want to say of it.
#[derive(Clone, Debug)]
pub struct Material {
    /// Marks of the issue.
    pub issue: Issue,
    /// What get_credentials gave.
    pub credential: Credential,
    /// The kubeconfig document; `None` where no output asked for one.
    pub kubeconfig: Option<SecretString>,
}

/// What a Secret of some format says of the credential in it: each part that it holds.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// URL of the cluster's API server.
    pub server: Option<String>,
    /// Certificate authority, PEM.
    pub certificate_authority_pem: Option<String>,
    /// Token, or certificate and key.
    pub authentication: Option<Authentication>,
    /// The kubeconfig document.
    pub kubeconfig: Option<SecretString>,
}

impl Parts {
    /// The material, where enough parts are there.
    #[must_use]
    pub fn into_material(self, issue: Issue) -> Option<Material> {
        let credential = Credential::new(
            self.server?,
            self.certificate_authority_pem?,
            self.authentication?,
        )
        .ok()?;
        Some(Material {
            issue,
            credential,
            kubeconfig: self.kubeconfig,
        })
    }
}

/// Keys and values of a Secret, decoded.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contents(BTreeMap<String, Vec<u8>>);

impl Contents {
    /// Sets a key.
    pub fn insert(&mut self, key: &str, value: &str) {
        self.0.insert(key.to_string(), value.as_bytes().to_vec());
    }

    /// Sets a key to a secret value.
    pub fn insert_secret(&mut self, key: &str, value: &SecretString) {
        self.insert(key, value.expose_secret());
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice)
    }

    /// The value of a key, where it is there and is text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0
            .get(key)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The secret value of a key, where it is there and is text.
    #[must_use]
    pub fn secret(&self, key: &str) -> Option<SecretString> {
        self.text(key).map(SecretString::from)
    }

    /// The keys and values, in order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_slice()))
    }

    /// The keys, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// The same without the keys that are not among `keys`: what others added does not count.
    #[must_use]
    pub fn restricted_to(&self, keys: &[String]) -> Self {
        let wanted = self.0.iter().filter(|(key, _)| keys.contains(key));
        Self(
            wanted
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        )
    }
}

impl FromIterator<(String, Vec<u8>)> for Contents {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl std::fmt::Debug for Contents {
    /// The keys alone: the values are credentials.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}
