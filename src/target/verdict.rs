//! What a review can come to.

use std::fmt;

use http::StatusCode;
use thiserror::Error;

use super::TlsFailure;

/// What a cluster makes of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It knows the credential's owner.
    Accepted {
        /// The owner's name in the cluster.
        username: String,
        /// The owner's groups in the cluster.
        groups: Vec<String>,
    },
    /// It refuses the credential, or is not what the credential says to trust.
    Rejected(Rejection),
    /// Nothing was learned about the credential.
    Unreachable(Unreachability),
}

/// Why a credential is rejected: a stable sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Rejection {
    /// 401.
    #[error("the cluster does not accept the credential (401)")]
    Unauthorized,
    /// The cluster saw nobody in particular.
    #[error("the cluster takes the credential for nobody's (system:anonymous)")]
    Anonymous,
    /// TLS failed against the credential's certificate authority.
    #[error(transparent)]
    Tls(#[from] TlsFailure),
}

/// Why nothing was learned: a stable sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unreachability {
    /// No connection: name resolution, routing, a firewall, nothing listening.
    Connect,
    /// The connection broke.
    Connection,
    /// No TLS for a reason that does not lie in the credential: a server without, or with versions
    /// or certificates that are beyond us.
    Tls,
    /// No answer within [`Verifier::DEADLINE`](super::Verifier::DEADLINE).
    Timeout,
    /// An answer that is about something else than the credential.
    Status(StatusCode),
    /// A success that is no SelfSubjectReview.
    NotAReview,
    /// The request could not be built.
    Unsendable,
}

impl Verdict {
    /// The worse of two verdicts, this one when they are equally bad: a rejection is worse than
    /// having learned nothing, and that is worse than acceptance.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        if other.badness() > self.badness() {
            other
        } else {
            self
        }
    }

    fn badness(&self) -> u8 {
        match self {
            Self::Accepted { .. } => 0,
            Self::Unreachable(_) => 1,
            Self::Rejected(_) => 2,
        }
    }
}

impl fmt::Display for Unreachability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => formatter.write_str(
                "no connection to the cluster could be made (name resolution, network, or the \
                 cluster's control plane firewall)",
            ),
            Self::Connection => {
                formatter.write_str("the connection to the cluster broke before it had answered")
            }
            Self::Tls => formatter.write_str("no TLS with the cluster's address was possible"),
            Self::Timeout => formatter.write_str("the cluster did not answer in time"),
            Self::Status(status) => {
                write!(
                    formatter,
                    "the cluster answered with status {}",
                    status.as_u16()
                )
            }
            Self::NotAReview => {
                formatter.write_str("the cluster's answer is not a SelfSubjectReview")
            }
            Self::Unsendable => formatter.write_str("the credential cannot be sent"),
        }
    }
}
