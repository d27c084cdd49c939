//! Issues that several accesses can use: waiting for one, taking it over, offering it.

use std::collections::BTreeSet;

use super::super::context::Context;
use super::super::key::{Key, ObjectKey};
use super::super::known::KnownAccess;
use super::super::memory::Draft;
use super::super::observe::Observation;
use super::super::shared::SharedKey;
use super::Run;
use crate::digitalocean::TokenFingerprint;
use crate::rotation::{EpochSeconds, IssueReason};

impl Run<'_> {
    pub(super) fn shared_key(&self) -> SharedKey {
        let cluster_id = self.subject.wanted.cluster_id.clone();
        SharedKey {
            cluster_id: cluster_id.unwrap_or_default(),
            expiry_seconds: self.subject.access.spec.effective_expiry_seconds(),
        }
    }

    pub(super) fn shared_at(&self) -> Option<EpochSeconds> {
        let tokens = self.context.tokens();
        let account = tokens.account(&self.subject.source)?;
        let now = present(self.context);
        account.shared.issued_at(&self.shared_key(), now)
    }

    /// Whether another access mints what this one needs: its end wakes this one.
    pub(super) fn awaits_shared(&self, reason: IssueReason) -> bool {
        let key = self.shared_key();
        let mut tokens = self.context.tokens();
        let account = tokens.account_mut(&self.subject.source);
        may_share(reason)
            && account.is_some_and(|account| account.shared.wait(&key, &self.subject.key))
    }

    /// Puts what another access had minted a moment ago into `draft`, unless what is published is
    /// newer, or the access was made later: a namesake inherits nothing.
    pub(super) fn complete_from_shared(
        &self,
        key: &SharedKey,
        draft: &mut Draft,
        found: &Observation,
    ) {
        let published = found.published().map(|issue| issue.issued_at);
        let created = self.subject.access.metadata.creation_timestamp.as_ref();
        let created = created.map_or(EpochSeconds::MAX, |time| time.0.as_second());
        let in_time = |at| at >= created && published.is_none_or(|published| at > published);
        if self.shared_at().is_some_and(in_time)
            && let Some(account) = self.context.tokens().account_mut(&self.subject.source)
        {
            account.shared.complete(key, draft, present(self.context));
        }
    }

    /// Lets others have what was minted, and wakes those who want it. Most accesses share with nobody: then
    /// no credential is kept.
    pub(super) fn offer(&self, key: &SharedKey, minted: &Draft) {
        let cluster = self.cluster.as_ref();
        let name = cluster.and_then(|cluster| cluster.name.as_deref());
        let caches = self.context.caches();
        let others: Vec<_> = caches
            .accesses_of_cluster(&key.cluster_id, name)
            .filter(|(user, access)| **user != self.subject.key && has_lifetime(access, key))
            .collect();
        let may_be_wanted = !others.is_empty();
        let alike: BTreeSet<ObjectKey> = others
            .into_iter()
            .filter(|(_, access)| led_to(access, key))
            .map(|(user, _)| user.clone())
            .collect();
        drop(caches);
        let mut tokens = self.context.tokens();
        let Some(account) = tokens.account_mut(&self.subject.source) else {
            return;
        };
        if may_be_wanted || account.shared.is_awaited(key) {
            account.shared.offer(key, minted);
        }
        if alike.is_empty() {
            return;
        }
        let users = tokens.users_of_token(&self.subject.source);
        drop(tokens);
        for user in users.into_iter().filter(|user| alike.contains(user)) {
            self.context.wake(Key::Access(user));
        }
    }
}

/// The time now, not that at which the run began: what another run asked for in between would look as if
/// the clock had been set back.
fn present(context: &Context) -> EpochSeconds {
    context.clock.now_seconds()
}

/// Takes the mark of a mint under way back, and wakes those who waited for it.
pub(super) struct Minting<'a> {
    context: &'a Context,
    token: TokenFingerprint,
    key: SharedKey,
}

/// `None` where another access mints what `user` can share: its end wakes that. Of several that come at
/// one instant, one mints.
pub(super) fn begin_minting<'a>(
    context: &'a Context,
    token: TokenFingerprint,
    key: &SharedKey,
    user: Option<&ObjectKey>,
) -> Option<Minting<'a>> {
    if let Some(account) = context.tokens().account_of(token) {
        if user.is_some_and(|user| account.shared.wait(key, user)) {
            return None;
        }
        account.shared.begin(key, present(context));
    }
    Some(Minting {
        context,
        token,
        key: key.clone(),
    })
}

impl Drop for Minting<'_> {
    fn drop(&mut self) {
        let mut tokens = self.context.tokens();
        let account = tokens.account_of(self.token);
        let waiting = account.map(|account| account.shared.end(&self.key));
        drop(tokens);
        for user in waiting.into_iter().flatten() {
            self.context.wake(Key::Access(user));
        }
    }
}

/// Whether a credential that was issued for another access, a moment before, answers this one, too. Who
/// asked for another one wants one that is newer than the request, and what was lost or rejected must
/// not come back.
pub(super) fn may_share(reason: IssueReason) -> bool {
    matches!(reason, IssueReason::First | IssueReason::Renewal)
}

/// Whether `access` asks for the lifetime of `key`.
fn has_lifetime(access: &KnownAccess, key: &SharedKey) -> bool {
    access.spec.effective_expiry_seconds() == key.expiry_seconds
}

/// Whether the reference of `access` led to the cluster of `key` last.
fn led_to(access: &KnownAccess, key: &SharedKey) -> bool {
    access.cluster_id.as_deref() == Some(&key.cluster_id)
}
