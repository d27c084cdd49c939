//! How a call fails: by the status code alone, never by what a body says.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use super::{Meta, Operation};
use crate::credential::CredentialError;

/// A failed call. Its sentence is stable: no bodies, times, counts or ids, so that a status which
/// quotes it does not change from one attempt to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What failed.
    pub kind: ErrorKind,
    /// The call that failed.
    pub operation: Operation,
    /// What is known besides. Boxed: results stay small.
    pub meta: Box<Meta>,
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ErrorKind {
    /// 401: the API token is not, or no longer, valid.
    #[error("DigitalOcean does not accept the API token (401)")]
    Unauthorized,
    /// 403: the API token lacks a scope.
    #[error("the API token lacks permission (403)")]
    Forbidden,
    /// 404: on the cluster, gone; on its credentials, gone or not ready yet.
    #[error("DigitalOcean does not have it (404)")]
    NotFound,
    /// 429, either limit.
    #[error("the API token's rate limit is used up (429)")]
    RateLimited {
        /// How long to wait, 1 s to 1 h, where the response says it.
        retry_after: Option<Duration>,
    },
    /// 5xx.
    #[error("DigitalOcean answered with a server error (5xx)")]
    ServerError(StatusCode),
    /// 3xx: the API has none, so it is something else that answers; never followed.
    #[error("DigitalOcean answered with a redirect, which is not followed")]
    Redirected(StatusCode),
    /// Any other status but 200.
    #[error("DigitalOcean answered with an unexpected status ({})", .0.as_u16())]
    Unexpected(StatusCode),
    /// No connection: the request was not sent.
    #[error("no connection to DigitalOcean could be made (network, name, proxy or TLS)")]
    Connect,
    /// The connection broke, before or within the response.
    #[error("the connection to DigitalOcean broke before it had answered")]
    Transport,
    /// No complete response within the deadline.
    #[error("DigitalOcean did not answer in time")]
    Timeout,
    /// The body is longer than any sound one.
    #[error("DigitalOcean's answer is too long")]
    BodyTooLarge {
        /// The longest that is read, in bytes.
        limit: usize,
    },
    /// A 200 whose body is not what it should be.
    #[error("DigitalOcean's answer is malformed: {0}")]
    Malformed(Malformed),
    /// The list changed while its pages were read, or is shorter than it says.
    #[error("DigitalOcean's list of clusters was incomplete")]
    Incomplete,
    /// The cluster's id is not one, so no request was sent.
    #[error("the cluster id is malformed: it has characters that no id has")]
    InvalidClusterId,
}

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Not JSON, or not with the documented fields and types.
    #[error("it is not the documented JSON")]
    NotTheDocumentedJson,
    /// Not UTF-8.
    #[error("it is not text")]
    NotText,
    /// Another cluster than the one asked for, or one without id or name.
    #[error("it does not describe the cluster that was asked for")]
    WrongCluster,
    /// An expiry that is no time.
    #[error("its expires_at is not a time")]
    ExpiresAt,
    /// A credential that cannot be published.
    #[error("{0}")]
    Credential(#[from] CredentialError),
}

impl Error {
    /// Whether the failure belongs to the API token (or to DigitalOcean as a whole) rather than
    /// to one cluster: every access that uses the token meets it.
    #[must_use]
    pub fn is_token_level(&self) -> bool {
        match self.kind {
            ErrorKind::Unauthorized
            | ErrorKind::RateLimited { .. }
            | ErrorKind::ServerError(_)
            | ErrorKind::Connect
            | ErrorKind::Transport
            | ErrorKind::Timeout => true,
            // On one cluster, a custom role or an SSO rule can be the cause.
            ErrorKind::Forbidden => self.operation == Operation::ListClusters,
            ErrorKind::NotFound
            | ErrorKind::Redirected(_)
            | ErrorKind::Unexpected(_)
            | ErrorKind::BodyTooLarge { .. }
            | ErrorKind::Malformed(_)
            | ErrorKind::Incomplete
            | ErrorKind::InvalidClusterId => false,
        }
    }

    /// Whether DigitalOcean may have minted a token although the call failed: the request may
    /// have been processed and its answer lost.
    #[must_use]
    pub fn may_have_minted(&self) -> bool {
        self.operation.mints()
            && match self.kind {
                ErrorKind::ServerError(status) => status == StatusCode::GATEWAY_TIMEOUT,
                ErrorKind::Transport
                | ErrorKind::Timeout
                | ErrorKind::BodyTooLarge { .. }
                | ErrorKind::Malformed(_) => true,
                ErrorKind::Unexpected(status) => status.is_success(),
                _ => false,
            }
    }

    /// How long to wait at the least, 1 s to 1 h, where the response says it.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.meta.retry_after
    }

    /// The status of the response, when there was one: a label for metrics.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self.kind {
            ErrorKind::Unauthorized => Some(StatusCode::UNAUTHORIZED),
            ErrorKind::Forbidden => Some(StatusCode::FORBIDDEN),
            ErrorKind::NotFound => Some(StatusCode::NOT_FOUND),
            ErrorKind::RateLimited { .. } => Some(StatusCode::TOO_MANY_REQUESTS),
            ErrorKind::ServerError(status)
            | ErrorKind::Redirected(status)
            | ErrorKind::Unexpected(status) => Some(status),
            ErrorKind::BodyTooLarge { .. } | ErrorKind::Malformed(_) | ErrorKind::Incomplete => {
                Some(StatusCode::OK)
            }
            ErrorKind::Connect
            | ErrorKind::Transport
            | ErrorKind::Timeout
            | ErrorKind::InvalidClusterId => None,
        }
    }
}

impl ErrorKind {
    /// Of a response that is not 200.
    pub(super) fn of(status: StatusCode, retry_after: Option<Duration>) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited { retry_after },
            status if status.is_server_error() => Self::ServerError(status),
            status if status.is_redirection() => Self::Redirected(status),
            status => Self::Unexpected(status),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ErrorKind::Forbidden => write!(
                formatter,
                "the API token lacks permission to {} (403): give it the scope {}",
                self.operation,
                self.operation.scope()
            ),
            kind => kind.fmt(formatter),
        }
    }
}

impl std::error::Error for Error {}
