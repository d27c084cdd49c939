//! What every run needs: the doors to the outside, the clock, and what is known so far.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::caches::Caches;
use super::events::Events;
use super::key::Key;
use super::kubernetes::Kubernetes;
use super::memory::Memories;
use super::queue::Deadline;
use super::tokens::Tokens;
use crate::clock::Clock;
use crate::digitalocean::{self, EpochMillis, RequestLimits};
use crate::metrics::Metrics;
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
    /// Namespace of the operator itself, which holds the tokens of DOAccounts.
    pub operator_namespace: Arc<str>,
    caches: Mutex<Caches>,
    tokens: Mutex<Tokens>,
    wakes: mpsc::UnboundedSender<(Key, Deadline)>,
    began: Instant,
    /// How often the wall clock was set back.
    set_back: AtomicU64,
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
        operator_namespace: &str,
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
            operator_namespace: operator_namespace.into(),
            caches: Mutex::default(),
            tokens: Mutex::new(Tokens::new(limits)),
            wakes,
            began: Instant::now(),
            set_back: AtomicU64::new(0),
        };
        (Arc::new(context), woken)
    }

    /// Milliseconds since the start, by a clock that nobody sets: budgets are measured by it.
    #[must_use]
    pub fn steady_millis(&self) -> EpochMillis {
        EpochMillis::try_from(self.began.elapsed().as_millis()).unwrap_or(EpochMillis::MAX)
    }

    /// What was noted by the wall clock so far was noted by one that was ahead of what it shows `now`.
    pub fn clock_was_set_back(&self, now: EpochSeconds) {
        self.set_back.fetch_add(1, Ordering::Relaxed);
        self.tokens().forget_the_future(now);
    }

    /// How often the wall clock was set back.
    #[must_use]
    pub fn times_set_back(&self) -> u64 {
        self.set_back.load(Ordering::Relaxed)
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
