//! Is what is published right, and until when: pure functions of what is wanted, what is observed,
//! and the time.
//!
//! Times are whole seconds since 1970 by the operator's own clock. The instants of a schedule depend
//! on nothing but the access's UID and the marks of the published issue, so that a restart computes
//! the same ones.

mod decision;
mod schedule;

pub use decision::{
    AttemptKey, Decision, Failure, HeldIssue, IssueReason, Observed, OutputState, Wanted, decide,
    is_settled, is_worse,
};
pub use schedule::{
    EpochSeconds, MAX_SLEEP_SECONDS, SURELY_KNOWN_SECONDS, Schedule, VERIFICATION_SECONDS,
    earliest_renewal, is_given_up, jittered, next_verification, renew_at, retry_at,
    spacing_seconds,
};

/// The marks of one issue. Every Secret that it fed carries them as annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// When it was asked for.
    pub issued_at: EpochSeconds,
    /// When the earliest of its credentials expires.
    pub expires_at: EpochSeconds,
    /// The cluster that it is for.
    pub cluster_id: String,
    /// Hash of everything in the spec that calls for a new credential when it changes.
    pub issue_hash: String,
    /// Value of the rotate annotation that it answered.
    pub rotate: Option<String>,
}

#[cfg(test)]
mod tests;
