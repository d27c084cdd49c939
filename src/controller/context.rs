//! What every run needs: the doors to the outside, the clock, and what is known so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::cache::{Cache, Versioned};
use super::events::Events;
use super::key::{Key, ObjectKey};
use super::kubernetes::Kubernetes;
use super::memory::Memories;
use super::queue::Deadline;
use super::tokens::Tokens;
use crate::api::DOClusterAccess;
use crate::clock::Clock;
use crate::digitalocean::{self, RequestLimits};
use crate::metrics::Metrics;
use crate::outputs::FoundMetadata;
use crate::redaction::Redaction;
use crate::rotation::EpochSeconds;
use crate::target::Verifier;

/// A new access is wanted by somebody who waits: it should be served within this, in seconds, and
/// goes before renewals that have longer.
const FIRST_ISSUE_SECONDS: i64 = 60;

/// What every run needs.
pub struct Context {
    /// The clock.
    pub clock: Clock,
    /// DigitalOcean.
    pub digitalocean: digitalocean::Client,
    /// The clusters that credentials are for.
    pub verifier: Verifier,
    /// The management cluster.
    pub kubernetes: Kubernetes,
    /// Where events go.
    pub events: Events,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is kept out of the log.
    pub redaction: Redaction,
    /// What is remembered of each access.
    pub memories: Memories,
    caches: Mutex<Caches>,
    tokens: Mutex<Tokens>,
    wakes: mpsc::UnboundedSender<(Key, Deadline)>,
}

/// The three doors and the clock.
pub struct Doors {
    /// The clock.
    pub clock: Clock,
    /// DigitalOcean.
    pub digitalocean: digitalocean::Client,
    /// The clusters that credentials are for.
    pub verifier: Verifier,
    /// The management cluster. Its client must not retry by itself.
    pub kubernetes: kube::Client,
}

impl Context {
    /// A context, and the receiver of the keys that runs want to be woken.
    #[must_use]
    pub fn new(
        doors: Doors,
        events: Events,
        metrics: Arc<Metrics>,
        redaction: Redaction,
        limits: RequestLimits,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<(Key, Deadline)>) {
        let (wakes, woken) = mpsc::unbounded_channel();
        let context = Self {
            clock: doors.clock,
            digitalocean: doors.digitalocean,
            verifier: doors.verifier,
            kubernetes: Kubernetes::new(doors.kubernetes),
            events,
            metrics,
            redaction,
            memories: Memories::default(),
            caches: Mutex::default(),
            tokens: Mutex::new(Tokens::new(limits)),
            wakes,
        };
        (Arc::new(context), woken)
    }

    /// The caches. Never held across an await.
    pub fn caches(&self) -> MutexGuard<'_, Caches> {
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The API tokens. Never held across an await.
    pub fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `key` run as soon as possible.
    pub fn wake(&self, key: Key) {
        let deadline = self.deadline(&key);
        // The receiver goes when the loop ends; then nothing needs to run any more.
        drop(self.wakes.send((key, deadline)));
    }

    /// By when a run of `key` should be done.
    #[must_use]
    pub fn deadline(&self, key: &Key) -> Deadline {
        match key {
            // An access may be waiting for it.
            Key::Token(_) => Deadline::MIN,
            Key::Access(key) => {
                let expires_at = self.caches().expires_at(key);
                expires_at.unwrap_or_else(|| self.clock.now_seconds() + FIRST_ISSUE_SECONDS)
            }
        }
    }
}

/// What the watches have told.
#[derive(Debug, Default)]
pub struct Caches {
    /// The accesses.
    pub accesses: Cache<DOClusterAccess>,
    /// The Secrets that bear our label.
    pub secrets: Cache<FoundMetadata>,
    secrets_by_access: BTreeMap<String, BTreeSet<ObjectKey>>,
}

impl Versioned for DOClusterAccess {
    fn resource_version(&self) -> &str {
        self.metadata
            .resource_version
            .as_deref()
            .unwrap_or_default()
    }
}

impl Versioned for FoundMetadata {
    fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

impl Caches {
    /// When the published credential of an access expires, as its status says.
    #[must_use]
    pub fn expires_at(&self, key: &ObjectKey) -> Option<EpochSeconds> {
        let access = self.accesses.get(key)?;
        let credential = access.status.as_ref()?.credential.as_ref()?;
        credential
            .expires_at
            .as_ref()
            .map(|time| time.0.as_second())
    }

    /// Whether there is an access with this UID in `namespace`.
    #[must_use]
    pub fn access_exists(&self, namespace: &str, uid: &str) -> bool {
        self.accesses
            .in_namespace(namespace)
            .any(|(_, access)| access.metadata.uid.as_deref() == Some(uid))
    }

    /// The Secrets that belong to the access with this UID.
    pub fn secrets_of(&self, uid: &str) -> impl Iterator<Item = Arc<FoundMetadata>> {
        let keys = self.secrets_by_access.get(uid).into_iter().flatten();
        keys.filter_map(|key| self.secrets.get(key))
    }

    /// Takes over a Secret unless a newer version is there. Says which accesses it concerns: the
    /// one that it belongs to, and the one that it belonged to before.
    pub fn observe_secret(&mut self, secret: FoundMetadata) -> Vec<ObjectKey> {
        let key = ObjectKey::new(&secret.namespace, &secret.name);
        let before = self.secrets.get(&key);
        let uid = secret.access_uid.clone();
        if !self.secrets.observe(&key, secret) {
            return Vec::new();
        }
        let mut concerned = before
            .map(|before| self.unlink(&key, &before))
            .unwrap_or_default();
        if let Some(uid) = uid {
            self.secrets_by_access
                .entry(uid)
                .or_default()
                .insert(key.clone());
        }
        concerned.extend(
            self.secrets
                .get(&key)
                .and_then(|secret| access_key(&secret)),
        );
        concerned.sort();
        concerned.dedup();
        concerned
    }

    /// Forgets a Secret, unless what is there is newer. Says which accesses that concerns.
    pub fn remove_secret(&mut self, key: &ObjectKey, resource_version: &str) -> Vec<ObjectKey> {
        let before = self.secrets.get(key);
        if !self.secrets.remove(key, resource_version) {
            return Vec::new();
        }
        before
            .map(|before| self.unlink(key, &before))
            .unwrap_or_default()
    }

    /// Forgets the Secrets of `namespace` (of all, if `None`) that are not `listed`. Says which
    /// accesses that concerns.
    pub fn retain_listed_secrets(
        &mut self,
        namespace: Option<&str>,
        listed: &BTreeSet<ObjectKey>,
    ) -> Vec<ObjectKey> {
        let before: BTreeMap<_, _> = self
            .secrets
            .iter()
            .filter(|(key, _)| !listed.contains(*key))
            .map(|(key, secret)| (key.clone(), secret.clone()))
            .collect();
        let gone = self.secrets.retain_listed(namespace, listed);
        gone.iter()
            .filter_map(|key| Some(self.unlink(key, before.get(key)?)))
            .flatten()
            .collect()
    }

    fn unlink(&mut self, key: &ObjectKey, secret: &FoundMetadata) -> Vec<ObjectKey> {
        if let Some(uid) = &secret.access_uid
            && let Some(keys) = self.secrets_by_access.get_mut(uid)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.secrets_by_access.remove(uid);
            }
        }
        access_key(secret).into_iter().collect()
    }
}

/// The access that a Secret says it belongs to. Only a hint whom to wake: what counts is the UID.
fn access_key(secret: &FoundMetadata) -> Option<ObjectKey> {
    secret
        .access_name()
        .map(|name| ObjectKey::new(&secret.namespace, name))
}
