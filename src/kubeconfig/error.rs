//! Why a kubeconfig is refused.

use std::fmt;

use thiserror::Error;

use crate::credential::CredentialError;

/// Why a kubeconfig is refused. The sentences are stable and hold nothing of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum KubeconfigError {
    /// Longer than [`MAX_BYTES`](super::MAX_BYTES).
    #[error("the kubeconfig is longer than 256 KiB")]
    TooLong,
    /// Not YAML, or not with the fields and types of a kubeconfig.
    #[error("the answer is not a kubeconfig")]
    NotAKubeconfig,
    /// A part that has to be there is absent or empty.
    #[error("the kubeconfig has no {0}")]
    Missing(Part),
    /// More than one cluster, user or context.
    #[error("the kubeconfig has more than one {0}")]
    MoreThanOne(Part),
    /// A context that names a cluster or user which is not there, or a current-context likewise.
    #[error("the kubeconfig refers to a {0} that it does not have")]
    DanglingReference(Part),
    /// A field that no published kubeconfig may have.
    #[error("the kubeconfig {0}, which is never published: only inline credentials are")]
    Refused(Refused),
    /// The credential itself is not sound.
    #[error("the kubeconfig is unusable: {0}")]
    Credential(#[from] CredentialError),
}

/// A part of a kubeconfig.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// An entry of `clusters`.
    Cluster,
    /// An entry of `users`.
    User,
    /// An entry of `contexts`.
    Context,
    /// `current-context`.
    CurrentContext,
}

/// A field that is refused wherever it has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// `exec`: a program that the consumer would run.
    Exec,
    /// `auth-provider`: likewise, inside the consumer.
    AuthProvider,
    /// `tokenFile`.
    TokenFile,
    /// `client-certificate` or `client-key`.
    ClientCertificateFile,
    /// `certificate-authority`.
    CertificateAuthorityFile,
    /// `proxy-url`.
    ProxyUrl,
    /// `insecure-skip-tls-verify: true`.
    InsecureSkipTlsVerify,
    /// `tls-server-name`: a consumer's format may have no place for it.
    TlsServerName,
    /// `username` or `password`.
    BasicAuthentication,
    /// `as`, `as-uid`, `as-groups` or `as-user-extra`.
    Impersonation,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cluster => "cluster",
            Self::User => "user",
            Self::Context => "context",
            Self::CurrentContext => "current-context",
        })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Exec => "has an exec plugin",
            Self::AuthProvider => "has an auth-provider",
            Self::TokenFile => "has a tokenFile",
            Self::ClientCertificateFile => "has the path of a client certificate or key",
            Self::CertificateAuthorityFile => "has the path of a certificate authority",
            Self::ProxyUrl => "has a proxy-url",
            Self::InsecureSkipTlsVerify => "has insecure-skip-tls-verify",
            Self::TlsServerName => "has a tls-server-name",
            Self::BasicAuthentication => "has a username or password",
            Self::Impersonation => "impersonates a user",
        })
    }
}
