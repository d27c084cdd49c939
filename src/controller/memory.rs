//! What is remembered of one access between two runs, and lost with the process. Everything that must
//! not be lost stands on the Secrets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::ClusterStatus;
use crate::digitalocean::IssuedCredential;
use crate::kubeconfig::Kubeconfig;
use crate::outputs::Material;
use crate::redaction::Registration;
use crate::rotation::{EpochSeconds, Failure, HeldIssue, IssueReason};
use crate::status::Verification;

/// Unscheduled issues that are remembered: more than any limit on them.
const UNSCHEDULED_REMEMBERED: usize = 16;

/// What is remembered of one access.
#[derive(Debug, Default)]
pub struct Memory {
    /// The last attempt failed.
    pub failure: Option<Failure>,
    /// A credential that is issued and not, or not everywhere, published.
    pub held: Option<HeldCredential>,
    /// Half of an issue: the other half failed.
    pub draft: Option<Draft>,
    /// When the last issue began.
    pub last_issue_at: Option<EpochSeconds>,
    /// When unscheduled issues began, the latest last.
    pub unscheduled: Vec<EpochSeconds>,
    /// The pinned cluster was answered with 404.
    pub missing_since: Option<Missing>,
    /// Until when the seconds of an expired credential have been counted.
    pub expired_counted_until: Option<EpochSeconds>,
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
    /// Notes that a credential was, or may have been, minted beside the schedule.
    pub fn note_unscheduled(&mut self, at: EpochSeconds) {
        if self.unscheduled.len() == UNSCHEDULED_REMEMBERED {
            self.unscheduled.remove(0);
        }
        self.unscheduled.push(at);
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
