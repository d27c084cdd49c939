//! What a Secret is made from, and what it is made of.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::{Facts, Source};
use crate::credential::{Authentication, Credential};
use crate::kubeconfig::{self, ContextName};
use crate::rotation::Issue;

/// One issued credential, with all that an output may want to say of it.
#[derive(Clone, Debug)]
pub struct Material {
    /// Marks of the issue.
    pub issue: Issue,
    /// What get_credentials gave.
    pub credential: Credential,
    /// The kubeconfig document; `None` where there is none yet.
    pub kubeconfig: Option<SecretString>,
}

impl Material {
    /// The kubeconfig document: the one that there is, else one with the credential in it.
    #[must_use]
    pub fn kubeconfig(&self, facts: &Facts) -> SecretString {
        self.kubeconfig.clone().unwrap_or_else(|| {
            let name = ContextName::new(&facts.region, &facts.cluster_name);
            kubeconfig::render(&name, &self.credential)
        })
    }
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
    /// The parts of a credential.
    #[must_use]
    pub fn of_credential(credential: &Credential) -> Self {
        Self {
            server: Some(credential.server().to_string()),
            certificate_authority_pem: Some(credential.certificate_authority_pem().to_string()),
            authentication: Some(credential.authentication().clone()),
            kubeconfig: None,
        }
    }

    /// All that `material` has.
    #[must_use]
    pub fn of_material(material: &Material) -> Self {
        Self {
            kubeconfig: material.kubeconfig.clone(),
            ..Self::of_credential(&material.credential)
        }
    }

    /// A kubeconfig alone.
    #[must_use]
    pub fn of_kubeconfig(kubeconfig: Option<SecretString>) -> Self {
        Self {
            kubeconfig,
            ..Self::default()
        }
    }

    /// These parts, and of those that are missing the `other`'s.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            server: self.server.or(other.server),
            certificate_authority_pem: self
                .certificate_authority_pem
                .or(other.certificate_authority_pem),
            authentication: self.authentication.or(other.authentication),
            kubeconfig: self.kubeconfig.or(other.kubeconfig),
        }
    }

    /// The material, where enough parts are there. A kubeconfig holds all of them.
    #[must_use]
    pub fn into_material(self, issue: Issue) -> Option<Material> {
        let document = self.kubeconfig.clone();
        let whole = document
            .as_ref()
            .and_then(|document| kubeconfig::parse(document.expose_secret()).ok())
            .map(|kubeconfig| Self::of_credential(kubeconfig.credential()));
        let parts = self.or(whole.unwrap_or_default());
        let credential = Credential::new(
            parts.server?,
            parts.certificate_authority_pem?,
            parts.authentication?,
        )
        .ok()?;
        Some(Material {
            issue,
            credential,
            kubeconfig: document,
        })
    }
}

/// Keys and values of a Secret, decoded.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contents(BTreeMap<String, Vec<u8>>);

impl Contents {
    /// The kubeconfig of `source` under `key`, and nothing else.
    #[must_use]
    pub fn kubeconfig_under(key: &str, source: &Source<'_>) -> Self {
        let mut contents = Self::default();
        contents.insert_secret(key, &source.material.kubeconfig(source.facts));
        contents
    }

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

    /// The same without the keys that are not among `keys`: what others added does not count.
    #[must_use]
    pub fn restricted_to<'a>(&self, keys: impl Iterator<Item = &'a str>) -> Self {
        keys.filter_map(|key| Some((key.to_string(), self.0.get(key)?.clone())))
            .collect()
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
