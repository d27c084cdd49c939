//! Issues that several accesses can use: those with the same API token, cluster and lifetime that are
//! due together. State only.

use std::collections::{BTreeMap, BTreeSet};

use super::key::ObjectKey;
use super::memory::{Draft, Minted};
use crate::digitalocean::IssuedCredential;
use crate::kubeconfig::Kubeconfig;
use crate::rotation::{EpochSeconds, SURELY_KNOWN_SECONDS};

/// How long an issue can be had by others, in seconds: no longer than it takes to tell them.
const SHARED_SECONDS: i64 = 60;

// What one access has given up as unknown to its cluster must not come to it again from another.
const _: () = assert!(SHARED_SECONDS <= SURELY_KNOWN_SECONDS);

/// What accesses must have in common, beside the API token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharedKey {
    /// Id of the cluster, in lower case.
    pub cluster_id: String,
    /// Lifetime that is asked for.
    pub expiry_seconds: i64,
}

/// The issues of one API token that can be shared now.
#[derive(Debug, Default)]
pub struct SharedIssues(BTreeMap<SharedKey, SharedIssue>);

#[derive(Debug, Default)]
struct SharedIssue {
    minting: bool,
    waiting: BTreeSet<ObjectKey>,
    credentials: Option<Minted<IssuedCredential>>,
    kubeconfig: Option<Minted<Kubeconfig>>,
}

impl SharedIssue {
    fn expire(&mut self, now: EpochSeconds) {
        let old = |at: EpochSeconds| now - at >= SHARED_SECONDS || at > now;
        self.credentials
            .take_if(|minted| old(minted.expiry.requested_at));
        self.kubeconfig
            .take_if(|minted| old(minted.expiry.requested_at));
    }

    fn is_empty(&self) -> bool {
        !self.minting && self.credentials.is_none() && self.kubeconfig.is_none()
    }
}

impl SharedIssues {
    /// When the issue was asked for that can be had for `key` now.
    #[must_use]
    pub fn issued_at(&self, key: &SharedKey, now: EpochSeconds) -> Option<EpochSeconds> {
        let issue = self.0.get(key)?;
        let at = issue.credentials.as_ref()?.expiry.requested_at;
        (at <= now && now - at < SHARED_SECONDS).then_some(at)
    }

    /// Whether somebody mints for `key`; `user` is woken at the end of it.
    pub fn wait(&mut self, key: &SharedKey, user: &ObjectKey) -> bool {
        let Some(issue) = self.0.get_mut(key).filter(|issue| issue.minting) else {
            return false;
        };
        issue.waiting.insert(user.clone());
        true
    }

    /// Whether somebody waits for the end of the mint for `key`.
    #[must_use]
    pub fn is_awaited(&self, key: &SharedKey) -> bool {
        self.0
            .get(key)
            .is_some_and(|issue| !issue.waiting.is_empty())
    }

    /// Puts what there is for `key` into `draft`, as far as that lacks it.
    pub fn complete(&mut self, key: &SharedKey, draft: &mut Draft, now: EpochSeconds) {
        let Some(issue) = self.0.get_mut(key) else {
            return;
        };
        issue.expire(now);
        draft.credentials = draft.credentials.take().or(issue.credentials.clone());
        draft.kubeconfig = draft.kubeconfig.take().or(issue.kubeconfig.clone());
    }

    /// Somebody begins to mint for `key`.
    pub fn begin(&mut self, key: &SharedKey, now: EpochSeconds) {
        self.0.retain(|_, issue| {
            issue.expire(now);
            !issue.is_empty()
        });
        self.0.entry(key.clone()).or_default().minting = true;
    }

    /// What was minted for `key` can be had by others.
    pub fn offer(&mut self, key: &SharedKey, minted: &Draft) {
        let issue = self.0.entry(key.clone()).or_default();
        issue.credentials.clone_from(&minted.credentials);
        issue.kubeconfig.clone_from(&minted.kubeconfig);
    }

    /// Nobody mints for `key` any more. Returns who waited for that.
    pub fn end(&mut self, key: &SharedKey) -> BTreeSet<ObjectKey> {
        let Some(issue) = self.0.get_mut(key) else {
            return BTreeSet::new();
        };
        issue.minting = false;
        std::mem::take(&mut issue.waiting)
    }
}

#[cfg(test)]
mod tests;
