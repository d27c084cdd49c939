//! What the queue holds.

use std::fmt;
use std::sync::Arc;

use crate::api::DEFAULT_TOKEN_KEY;
use crate::digitalocean::Sharer;

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// The key of `name` in `namespace`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl Sharer for ObjectKey {
    type Tenant = Arc<str>;

    fn tenant(&self) -> Arc<str> {
        self.namespace.clone()
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretKey {
    /// Namespace of the Secret.
    pub namespace: Arc<str>,
    /// Name of the Secret.
    pub name: Arc<str>,
    /// Key in the Secret.
    pub key: Arc<str>,
}

/// What an API token is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenSource {
    /// The DOAccount of this name, which says where the token is kept.
    Account(Arc<str>),
    /// The Secret of a namespace, for the accesses of that namespace alone.
    Secret(SecretKey),
}

impl fmt::Display for TokenSource {
    /// The label `account` of metrics: the DOAccount, or namespace/secret, with the key where it is an
    /// unusual one.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(name) => formatter.write_str(name),
            Self::Secret(secret) => {
                write!(formatter, "{}/{}", secret.namespace, secret.name)?;
                if *secret.key == *DEFAULT_TOKEN_KEY {
                    Ok(())
                } else {
                    write!(formatter, "/{}", secret.key)
                }
            }
        }
    }
}

/// One thing to look after; at most one run at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// An API token and the list of clusters that it sees.
    Token(TokenSource),
    /// An access.
    Access(ObjectKey),
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(source) => write!(formatter, "token {source}"),
            Self::Access(key) => write!(formatter, "access {key}"),
        }
    }
}
