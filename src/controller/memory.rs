//! What is remembered of one access between two runs, and lost with the process. Everything that must
//! not be lost stands on the Secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::subject::Subject;
use crate::api::{ClusterStatus, DOClusterAccessStatus, Output, Reason};
use crate::digitalocean::IssuedCredential;
use crate::kubeconfig::Kubeconfig;
use crate::outputs::{Facts, FoundMetadata, Material};
use crate::redaction::Registration;
use crate::rotation::{
    AttemptKey, EpochSeconds, Failure, HeldIssue, Issue, IssueReason, VERIFICATION_SECONDS,
};
use crate::status::Verification;

/// Unscheduled issues, and repairs, that are remembered: more than any limit on them.
const TIMES_REMEMBERED: usize = 16;

/// What is remembered of one access. What is there for a moment only is boxed: most of the time there are
/// thousands of these with nothing in them.
#[derive(Debug, Default)]
pub struct Memory {
    /// The last attempt failed.
    pub failure: Option<Box<Failure>>,
    /// A credential that is issued and not, or not everywhere, published.
    pub held: Option<Box<HeldCredential>>,
    /// Half of an issue: the other half failed.
    pub draft: Option<Box<Draft>>,
    /// When the last issue began.
    pub last_issue_at: Option<EpochSeconds>,
    /// When unscheduled issues began, the latest last.
    pub unscheduled: Vec<EpochSeconds>,
    /// The pinned cluster was answered with 404.
    pub missing_since: Option<Missing>,
    /// The reason of `Synced` that was told of last.
    pub told: Option<Reason>,
    /// What the cluster said of an issue that was published, until status tells of it.
    pub verdict: Option<Box<(Issue, Verification)>>,
    /// When what is published is asked about, and what came of it.
    pub reverification: Option<Reverification>,
    /// When the outputs were repaired.
    pub repairs: Repairs,
    /// Writes in a row that somebody else's write came before.
    pub overtaken: u32,
    /// Outputs whose format the credential has no form for.
    pub unsupported: Option<Box<(AttemptKey, BTreeSet<String>)>>,
    /// Versions (UID, resource version) of Secrets that were read and found right, although their
    /// metadata does not look it; with a digest of the fields that were asked for then.
    pub accepted: BTreeMap<(String, String), String>,
    /// Until when the seconds of an expired credential have been counted.
    pub expired_counted_until: Option<EpochSeconds>,
    /// How many outages of the API server had ended when the access was looked at last.
    pub outages: u64,
    /// How often the clock had been set back when the access was looked at last.
    pub times_set_back: u64,
}

/// A credential in memory.
#[derive(Debug, Clone)]
pub struct HeldCredential {
    /// The credential.
    pub material: Material,
    /// Second credential of the issue, inside the kubeconfig, which is verified, too.
    pub kubeconfig: Option<Kubeconfig>,
    /// Why it was issued.
    pub reason: IssueReason,
    /// When to go on with it.
    pub not_before: EpochSeconds,
    /// How often the cluster has rejected it.
    pub rejections: u32,
    /// What the cluster said, once that is the verdict.
    pub verification: Option<Verification>,
    /// The cluster that it is for.
    pub cluster: ClusterStatus,
    /// Facts of that cluster.
    pub facts: Facts,
    /// Keep what is secret in it out of the log.
    pub registrations: Vec<Arc<Registration>>,
}

impl HeldCredential {
    /// What decisions need of it.
    #[must_use]
    pub fn summary(&self) -> HeldIssue {
        HeldIssue {
            issue: self.material.issue.clone(),
            not_before: self.not_before,
        }
    }
}

/// The answers of an issue so far. Each cost a mint, so what succeeded is not asked for again.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Hash of what the issue is for.
    pub issue_hash: String,
    /// The cluster that it is for.
    pub cluster_id: String,
    /// Answer of get_credentials.
    pub credentials: Option<Minted<IssuedCredential>>,
    /// Answer of get_kubeconfig.
    pub kubeconfig: Option<Minted<Kubeconfig>>,
}

/// The answer of a call that mints.
#[derive(Debug, Clone)]
pub struct Minted<T> {
    /// What is in it.
    pub value: T,
    /// When that expires.
    pub expiry: Expiry,
    /// Keeps what is secret in it out of the log.
    pub registration: Arc<Registration>,
}

/// From when until when a credential is good, by the operator's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// When it was asked for.
    pub requested_at: EpochSeconds,
    /// When it expires.
    pub expires_at: EpochSeconds,
}

/// A cluster that GET answers with 404.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its id.
    pub cluster_id: String,
    /// When that was first so.
    pub since: EpochSeconds,
    /// When that was last so.
    pub checked_at: EpochSeconds,
}

impl Memory {
    /// Puts right what was noted before the clock was set back, `times_set_back` times so far: nothing
    /// was noted later than `now`, and what waits does so no longer than it would have.
    pub fn follow_clock(&mut self, times_set_back: u64, now: EpochSeconds) {
        if std::mem::replace(&mut self.times_set_back, times_set_back) == times_set_back {
            return;
        }
        if let Some(failure) = &mut self.failure {
            failure.since = failure.since.min(now);
            failure.at = failure.at.min(now);
            failure.retry_at = now;
        }
        if let Some(held) = &mut self.held {
            held.not_before = now;
        }
        self.missing_since
            .take_if(|missing| missing.checked_at > now);
        if let Some(reverification) = &mut self.reverification {
            reverification.at = reverification.at.min(now + VERIFICATION_SECONDS);
        }
    }

    /// After an outage of the API server, `outages` so far: what it kept from being read or written does
    /// not wait for its time.
    pub fn follow_outages(&mut self, outages: u64, now: EpochSeconds) {
        if std::mem::replace(&mut self.outages, outages) == outages {
            return;
        }
        let failure = self.failure.as_mut();
        let Some(failure) = failure.filter(|failure| failure.reason == Reason::SecretWriteFailed)
        else {
            return;
        };
        // What is held for another reason waits for that.
        if let Some(held) = &mut self.held
            && held.not_before == failure.retry_at
        {
            held.not_before = now;
        }
        failure.retry_at = now;
    }

    /// Notes that a credential was, or may have been, minted beside the schedule.
    pub fn note_unscheduled(&mut self, at: EpochSeconds) {
        remember(&mut self.unscheduled, at);
    }

    /// Takes back what was noted at `at`: nothing was minted.
    pub fn forget_unscheduled(&mut self, at: EpochSeconds) {
        self.unscheduled.retain(|noted| *noted != at);
    }

    /// The fields that were asked for when this version of a Secret was read and found right.
    #[must_use]
    pub fn accepted(&self, secret: &FoundMetadata) -> Option<&str> {
        let version = (secret.uid.clone(), secret.resource_version.clone());
        self.accepted.get(&version).map(String::as_str)
    }

    /// Whether the credential turned out to have no form for `output`. That holds until the spec
    /// changes. After a restart status tells, of an access without any output that could be written.
    #[must_use]
    pub(super) fn is_unsupported(&self, subject: &Subject, output: &Output) -> bool {
        let attempt = subject.wanted.attempt();
        match self.unsupported.as_deref() {
            Some((known, names)) => *known == attempt && names.contains(&output.secret_name),
            None => told_of_unsupported(subject).is_some_and(|status| status.outputs.is_empty()),
        }
    }

    /// Whether `output`, which is not there, may be one that the credential has no form for: it was not
    /// written before a restart, and status tells of such. Nothing is to be minted to find that out.
    #[must_use]
    pub(super) fn may_be_unsupported(&self, subject: &Subject, output: &Output) -> bool {
        let status = told_of_unsupported(subject).filter(|_| self.unsupported.is_none());
        status.is_some_and(|status| {
            let mut written = status.outputs.iter();
            written.all(|written| written.secret_name != output.secret_name)
        })
    }
}

/// Status, where it tells of an output of the present spec that the credential has no form for.
fn told_of_unsupported(subject: &Subject) -> Option<&DOClusterAccessStatus> {
    let unsupported = Reason::FormatNotSupported.as_str();
    let status = subject.access.status.as_ref()?;
    let mut conditions = status.conditions.iter();
    let told = status.observed_generation == Some(subject.wanted.generation)
        && status.last_rotate_request == subject.wanted.rotate
        && conditions.any(|condition| condition.reason == unsupported);
    told.then_some(status)
}

fn remember(times: &mut Vec<EpochSeconds>, at: EpochSeconds) {
    if times.len() == TIMES_REMEMBERED {
        times.remove(0);
    }
    times.push(at);
}

/// Rejections in a row of a published credential until that is the verdict.
pub(super) const REJECTIONS: u32 = 3;

/// When the published credential is asked about, and what came of it.
#[derive(Debug)]
pub struct Reverification {
    /// The issue that it is about.
    pub issue: Issue,
    /// When to ask again.
    pub at: EpochSeconds,
    /// Rejections in a row.
    pub rejections: u32,
    /// Another credential may fare better.
    pub may_be_replaced: bool,
}

impl Reverification {
    /// Whether the cluster has rejected the credential for good, and another may fare better.
    #[must_use]
    pub fn calls_for_another(&self) -> bool {
        self.may_be_replaced && self.rejections >= REJECTIONS
    }
}

/// When the outputs were repaired, for one spec: a changed one starts afresh.
#[derive(Debug, Default)]
pub struct Repairs(Option<Box<(AttemptKey, Vec<EpochSeconds>)>>);

impl Repairs {
    /// Notes a repair.
    pub fn note(&mut self, attempt: AttemptKey, at: EpochSeconds) {
        let before = self.0.take().filter(|repairs| repairs.0 == attempt);
        let repairs = self
            .0
            .insert(before.unwrap_or_else(|| Box::new((attempt, Vec::new()))));
        remember(&mut repairs.1, at);
    }

    /// The repairs for `attempt`, the latest last.
    #[must_use]
    pub fn times(&self, attempt: &AttemptKey) -> Vec<EpochSeconds> {
        let repairs = self.0.as_ref().filter(|repairs| repairs.0 == *attempt);
        repairs.map_or_else(Vec::new, |repairs| repairs.1.clone())
    }
}

/// The memories of all accesses, by UID.
#[derive(Debug, Default)]
pub struct Memories(Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Memory>>>>);

impl Memories {
    /// The memory of the access with this UID. Held across a run, it survives when the run is cut
    /// short.
    #[must_use]
    pub fn of(&self, uid: &str) -> Arc<tokio::sync::Mutex<Memory>> {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memories.entry(uid.to_string()).or_default().clone()
    }

    /// Forgets the access with this UID.
    pub fn forget(&self, uid: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }
}

#[cfg(test)]
mod tests;
