//! Leader election by client-go's rule: another candidate's lease counts as expired when it has not
//! been *seen* to change for its duration, by the local clock. The times inside the lease are for
//! people; clocks are never compared. Every write carries the resource version that it is based on.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::clock::Clock;

/// The times of an election. client-go's defaults: 15 s, 10 s, and a little more than its 2 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a lease holds after it was last renewed, in whole seconds.
    pub duration: Duration,
    /// A leader that could not renew for this long stops: well before anybody else takes over.
    pub renew_deadline: Duration,
    /// Time between two renewals, and between two looks at another's lease.
    pub period: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            period: Duration::from_secs(3),
        }
    }
}

/// A request that takes longer has failed. A busy API server takes seconds, and a leader has time for two such
/// requests before its deadline.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// Whether this process leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Another one does, or nobody knows yet.
    Following,
    /// This one does.
    Leading,
    /// This one did, and cannot be sure any more: it must stop at once.
    Lost,
}

/// One candidate.
pub struct Candidate {
    leases: Api<Lease>,
    name: String,
    identity: String,
    clock: Clock,
    timing: Timing,
    seen: Option<(Lease, Instant)>,
}

impl Candidate {
    /// A candidate for the lease of that name in `namespace`; `identity` is unique to the process.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        identity: String,
        clock: Clock,
    ) -> Self {
        let leases = Api::namespaced(client, namespace);
        Self {
            leases,
            name: name.to_string(),
            identity,
            clock,
            timing: Timing::default(),
            seen: None,
        }
    }

    /// The same with other times; all candidates must have the same ones.
    #[must_use]
    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Campaigns until it leads, then renews until it cannot: ends with [`Leadership::Lost`]. When
    /// `stop` turns true the lease is given up, so that a successor need not wait.
    pub async fn run(mut self, tell: watch::Sender<Leadership>, mut stop: watch::Receiver<bool>) {
        let mut renewed_at: Option<Instant> = None;
        loop {
            let began = Instant::now();
            let remaining = renewed_at.map_or(Duration::MAX, |last| {
                self.timing.renew_deadline.saturating_sub(last.elapsed())
            });
            let leads = self.attempt(REQUEST_TIMEOUT.min(remaining)).await;
            match (leads, renewed_at) {
                (Some(true), _) => {
                    if renewed_at.is_none() {
                        info!(lease = self.name, identity = self.identity, "leading");
                        tell.send_replace(Leadership::Leading);
                    }
                    renewed_at = Some(began);
                }
                (Some(false), Some(_)) => {
                    warn!(lease = self.name, "another process took the lease");
                    tell.send_replace(Leadership::Lost);
                    return;
                }
                (None, Some(last)) if last.elapsed() >= self.timing.renew_deadline => {
                    warn!(lease = self.name, "the lease could not be renewed in time");
                    tell.send_replace(Leadership::Lost);
                    return;
                }
                _ => {}
            }
            let mut pause = self.timing.period;
            if leads.is_none() && renewed_at.is_some() {
                // Before the deadline a leader has to try more than once.
                pause = (pause / 3).saturating_sub(began.elapsed());
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                () = sleep(pause) => {}
            }
        }
        if renewed_at.is_some() {
            self.release().await;
        }
    }

    /// Whether it leads, unless no answer tells within `patience`.
    async fn attempt(&mut self, patience: Duration) -> Option<bool> {
        match timeout(patience, self.acquire_or_renew()).await {
            Ok(Ok(leads)) => Some(leads),
            Ok(Err(error)) => {
                debug!(%error, "the lease could not be read or written");
                None
            }
            Err(_) => {
                self.forget_own();
                None
            }
        }
    }

    async fn acquire_or_renew(&mut self) -> kube::Result<bool> {
        let now = self.clock.now();
        if let Some((lease, _)) = self.seen.as_ref().filter(|(lease, _)| self.is_mine(lease)) {
            // Nobody else writes a lease that holds, so nothing needs to be read first.
            match self.write(self.next(lease.clone(), now)).await {
                // Our last write may have taken effect although no answer came.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                written => return written,
            }
        }
        let Some(lease) = self.leases.get_opt(&self.name).await? else {
            let lease = self
                .leases
                .create(&PostParams::default(), &self.first(now))
                .await?;
            self.observe(lease);
            return Ok(true);
        };
        self.observe(lease.clone());
        if !self.is_mine(&lease) && !self.is_free(&lease) {
            return Ok(false);
        }
        self.write(self.next(lease, now)).await
    }

    async fn write(&mut self, lease: Lease) -> kube::Result<bool> {
        let written = self
            .leases
            .replace(&self.name, &PostParams::default(), &lease)
            .await;
        match written {
            Ok(lease) => {
                self.observe(lease);
                Ok(true)
            }
            Err(error) => {
                self.forget_own();
                Err(error)
            }
        }
    }

    /// Whether a write of ours took effect, and what is there now, the next look tells.
    fn forget_own(&mut self) {
        self.seen = self.seen.take().filter(|(lease, _)| !self.is_mine(lease));
    }

    /// Gives the lease up, if it is still ours.
    async fn release(&mut self) {
        let released = async {
            let Some(mut lease) = self.leases.get_opt(&self.name).await? else {
                return Ok(());
            };
            if self.is_mine(&lease) {
                let spec = lease.spec.get_or_insert_default();
                spec.holder_identity = Some(String::new());
                spec.lease_duration_seconds = Some(1);
                self.leases
                    .replace(&self.name, &PostParams::default(), &lease)
                    .await?;
            }
            Ok::<_, kube::Error>(())
        };
        if let Ok(Err(error)) = timeout(REQUEST_TIMEOUT, released).await {
            debug!(%error, "the lease could not be released: a successor waits for its end");
        }
    }

    /// Remembers when a version of the lease was first seen.
    fn observe(&mut self, lease: Lease) {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        let known = self
            .seen
            .as_ref()
            .is_some_and(|(seen, _)| version(seen) == version(&lease));
        if !known {
            self.seen = Some((lease, Instant::now()));
        }
    }

    fn is_mine(&self, lease: &Lease) -> bool {
        let holder = lease
            .spec
            .as_ref()
            .and_then(|spec| spec.holder_identity.as_deref());
        holder == Some(self.identity.as_str())
    }

    fn is_free(&self, lease: &Lease) -> bool {
        let spec = lease.spec.as_ref();
        if spec
            .and_then(|spec| spec.holder_identity.as_deref())
            .is_none_or(str::is_empty)
        {
            return true;
        }
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
        let duration = seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(self.timing.duration, Duration::from_secs);
        self.seen
            .as_ref()
            .is_some_and(|(_, since)| since.elapsed() > duration)
    }

    fn first(&self, now: Timestamp) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                acquire_time: Some(MicroTime(now)),
                lease_transitions: Some(0),
                ..self.renewed(now)
            }),
        }
    }

    fn next(&self, mut lease: Lease, now: Timestamp) -> Lease {
        let before = lease.spec.take().unwrap_or_default();
        let mine = before.holder_identity.as_deref() == Some(self.identity.as_str());
        let transitions = before.lease_transitions.unwrap_or_default();
        lease.spec = Some(LeaseSpec {
            acquire_time: if mine {
                before.acquire_time
            } else {
                Some(MicroTime(now))
            },
            lease_transitions: Some(if mine { transitions } else { transitions + 1 }),
            ..self.renewed(now)
        });
        lease
    }

    fn renewed(&self, now: Timestamp) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.timing.duration.as_secs()).ok(),
            renew_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        }
    }
}
