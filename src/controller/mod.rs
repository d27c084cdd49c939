//! The loop: watches wake keys, an ordered queue hands them to workers, and each run says when the
//! key is to come again.
//!
//! A run for an access reads as a story ([`reconcile`]): observe → decide → issue → verify → publish
//! → report. A run for an API token ([`tend`]) reads the token's Secret and the list of its clusters,
//! which is also the probe of a token that does not work; accesses never wait inside a run, they are
//! woken.

mod accounts;
mod cache;
mod caches;
mod context;
mod events;
#[cfg(test)]
mod exhaustive;
mod gate;
mod issue;
mod key;
mod known;
mod kubernetes;
pub mod lease;
mod memory;
mod observe;
mod outage;
mod publish;
mod queue;
mod reconcile;
mod report;
mod shared;
mod subject;
mod tend;
mod tokens;
mod verify;
mod watch;
pub(crate) mod watched;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{mpsc, watch as channel};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{Instrument, debug, error, info, info_span, warn};

pub use context::{Context, Doors};
pub use events::Events;
pub use key::{Key, ObjectKey, SecretKey, TokenSource};
pub use kubernetes::READ_TIMEOUT;

use lease::Leadership;
use queue::{Deadline, Queue};
use watch::{ToldStream, Watches};

use crate::digitalocean::RequestLimits;
use crate::metrics::{Metrics, RunResult};
use crate::redaction::Redaction;
use crate::rotation::EpochSeconds;

/// How long one run may take.
const RUN_DEADLINE: Duration = Duration::from_secs(90);
/// How soon a run that was cut short, or panicked, is repeated, in seconds.
const REPEAT_SECONDS: i64 = 30;
/// The loop turns at least this often: liveness is measured by it.
const LONGEST_TURN: Duration = Duration::from_secs(30);
/// What a clock may be off by without notice, in seconds.
const CLOCK_TOLERANCE_SECONDS: i64 = 2;
/// How long runs in progress may go on after the order to stop.
const DRAIN_DEADLINE: Duration = Duration::from_secs(20);

/// What the loop is told at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespaces to watch; all where there are none.
    pub watch_namespaces: Vec<String>,
    /// Namespace of the operator itself, which holds the tokens of DOAccounts.
    pub operator_namespace: String,
    /// Runs at the same time.
    pub workers: usize,
    /// DigitalOcean's limits on one API token.
    pub limits: RequestLimits,
    /// Name of this process in events.
    pub instance: String,
}

/// What the outside may know of the loop.
#[derive(Debug, Default)]
pub struct Health {
    synced: AtomicBool,
    last_turn: AtomicI64,
}

impl Health {
    /// Whether every watch has told all there is.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Relaxed)
    }

    /// When the loop turned last, in whole seconds by the operator's clock; 0 before the first time.
    #[must_use]
    pub fn last_turn(&self) -> EpochSeconds {
        self.last_turn.load(Ordering::Relaxed)
    }
}

/// The operator, ready to run.
pub struct Controller {
    context: Arc<Context>,
    woken: mpsc::UnboundedReceiver<(Key, Deadline)>,
    watches: Watches,
    told: ToldStream,
    queue: Queue<Key>,
    runs: JoinSet<Option<EpochSeconds>>,
    running: BTreeMap<Id, Running>,
    health: Arc<Health>,
    workers: usize,
    /// How far the wall clock was ahead of the steady one in the turn before.
    ahead: Option<EpochSeconds>,
    /// Outages of the API server that had ended by the turn before.
    recoveries: u64,
    /// Delivers events, and probes the API server; ends with the rest.
    _background: JoinSet<()>,
}

/// A run in progress.
struct Running {
    key: Key,
    /// UID of the access that it is for.
    uid: Option<String>,
    abort: AbortHandle,
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop, and runs in progress have ended.
    Stopped,
    /// Leadership was lost: nothing may be written any more.
    LeadershipLost,
}

impl Controller {
    /// An operator that reaches the outside through `doors` alone.
    #[must_use]
    pub fn new(
        doors: Doors,
        settings: &Settings,
        metrics: Arc<Metrics>,
        redaction: Redaction,
    ) -> Self {
        let (events, waiting) = Events::channel(&settings.instance);
        let (watches, told) = Watches::start(&doors.kubernetes, &settings.watch_namespaces);
        let (context, woken) = Context::new(
            doors,
            events,
            metrics,
            redaction,
            settings.limits,
            &settings.operator_namespace,
        );
        let mut background = JoinSet::new();
        let kubernetes = context.kubernetes.clone();
        background.spawn(events::deliver(kubernetes.clone(), waiting));
        // A namespace in which Secrets may be read.
        let namespace = settings.watch_namespaces.first();
        let namespace = namespace.unwrap_or(&settings.operator_namespace).clone();
        let outage = kubernetes.outage.clone();
        background.spawn(outage.probe(move || {
            let (kubernetes, namespace) = (kubernetes.clone(), namespace.clone());
            async move { kubernetes.answers(&namespace).await }
        }));
        Self {
            ahead: None,
            recoveries: 0,
            _background: background,
            context,
            woken,
            watches,
            told,
            queue: Queue::default(),
            runs: JoinSet::new(),
            running: BTreeMap::new(),
            health: Arc::default(),
            workers: settings.workers.max(1),
        }
    }

    /// What runs share; for metrics.
    #[must_use]
    pub fn context(&self) -> Arc<Context> {
        self.context.clone()
    }

    /// What the outside may know.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        self.health.clone()
    }

    /// Runs until `stop` turns true or leadership is lost. Works only while `leadership` says so;
    /// the caches are kept current all along.
    pub async fn run(
        mut self,
        mut leadership: channel::Receiver<Leadership>,
        mut stop: channel::Receiver<bool>,
    ) -> Ended {
        let mut outage = self.context.kubernetes.outage.changes();
        loop {
            self.read_clock();
            self.follow_outage();
            let idle = match *leadership.borrow_and_update() {
                Leadership::Lost => {
                    self.runs.abort_all();
                    return Ended::LeadershipLost;
                }
                Leadership::Leading if self.may_start_runs() => self.start_runs(),
                Leadership::Leading | Leadership::Following => false,
            };
            let turn = Instant::now() + LONGEST_TURN;
            let next = self
                .queue
                .next_wake()
                .filter(|_| idle)
                .map_or(turn, |at| at.min(turn));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                _ = leadership.changed() => {}
                () = outage.next() => {}
                Some(done) = self.runs.join_next_with_id() => self.finish(done),
                Some((key, deadline)) = self.woken.recv() => self.queue.wake(key, deadline),
                Some(told) = self.told.next() => self.take_over(told),
                () = sleep_until(next) => {}
            }
        }
        info!(
            runs = self.runs.len(),
            "stopping: no new work, waiting for what is in progress"
        );
        let drained = timeout(DRAIN_DEADLINE, async {
            while self.runs.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            info!(
                runs = self.runs.len(),
                "runs in progress took too long and are cut short"
            );
        }
        Ended::Stopped
    }

    /// Reads the wall clock, and sees whether it has been set since the turn before.
    fn read_clock(&mut self) {
        let now = self.context.clock.now_seconds();
        self.health.last_turn.store(now, Ordering::Relaxed);
        let steady = self.context.steady_millis() / 1000;
        let ahead = now - steady;
        let step = ahead - self.ahead.replace(ahead).unwrap_or(ahead);
        if step < -CLOCK_TOLERANCE_SECONDS {
            warn!(seconds = step, "the clock was set back");
            self.context.clock_was_set_back(now);
        }
        if step.abs() > CLOCK_TOLERANCE_SECONDS {
            // A machine that was suspended may have slept through a renewal: timers stood still.
            self.queue.wake_all();
        }
    }

    /// After an outage of the API server everybody looks again: what failed in it must not wait for its
    /// time.
    fn follow_outage(&mut self) {
        let recoveries = self.context.kubernetes.outage.recoveries();
        if std::mem::replace(&mut self.recoveries, recoveries) != recoveries {
            self.queue.wake_all();
        }
    }

    fn may_start_runs(&self) -> bool {
        // An empty cache would make every output look missing; and without the API server nothing can be
        // published.
        self.watches.are_synced() && !self.context.kubernetes.outage.is_suspected()
    }

    fn take_over(&mut self, told: watch::Told) {
        for key in self.watches.take_over(&self.context, told) {
            self.end_if_gone(&key);
            let deadline = self.context.deadline(&key);
            self.queue.wake(key, deadline);
        }
        if !self.health.is_synced() && self.watches.are_synced() {
            info!("the watches are synced");
            self.health.synced.store(true, Ordering::Relaxed);
        }
    }

    /// Ends the run for an access that is gone, wherever it is: nothing is minted or written for it any
    /// more.
    fn end_if_gone(&self, key: &Key) {
        let running = self.running.values().find(|running| running.key == *key);
        if let Some(running) = running.filter(|running| running.uid != self.uid(key)) {
            debug!(%key, "the access is gone: its run ends");
            running.abort.abort();
        }
    }

    /// UID of the access with that key, unless it is gone or being deleted.
    fn uid(&self, key: &Key) -> Option<String> {
        let Key::Access(key) = key else {
            return None;
        };
        let access = self.context.caches().accesses.get(key)?;
        let uid = access.uid.as_deref().map(str::to_owned);
        uid.filter(|_| access.deleted_at.is_none())
    }

    /// Starts what can run; says whether a worker is left without work.
    fn start_runs(&mut self) -> bool {
        while self.runs.len() < self.workers {
            let Some(key) = self.queue.pop(Instant::now()) else {
                return true;
            };
            let span = match &key {
                Key::Access(key) => info_span!("reconcile", access = %key),
                Key::Token(source) => info_span!("tend", token = %source),
            };
            let run = run(self.context.clone(), key.clone()).instrument(span);
            let uid = self.uid(&key);
            let abort = self.runs.spawn(run);
            self.running.insert(abort.id(), Running { key, uid, abort });
        }
        false
    }

    fn finish(&mut self, done: Result<(Id, Option<EpochSeconds>), JoinError>) {
        let (id, next) = match done {
            Ok((id, next)) => (id, next),
            // The access is gone. One of the same name may have come.
            Err(ended) if ended.is_cancelled() => {
                (ended.id(), Some(self.context.clock.now_seconds()))
            }
            Err(failure) => {
                error!(%failure, "a run panicked: this is a defect, please report it");
                self.context.metrics.count_run(RunResult::Panicked);
                (
                    failure.id(),
                    Some(self.context.clock.now_seconds() + REPEAT_SECONDS),
                )
            }
        };
        let Some(Running { key, .. }) = self.running.remove(&id) else {
            return;
        };
        let next = next.map(|at| (self.instant(at), self.context.deadline(&key)));
        self.queue.finish(key, next);
    }

    /// The instant at which the clock will show `at`; never now.
    fn instant(&self, at: EpochSeconds) -> Instant {
        let now = self.context.clock.now();
        let wait = i128::from(at) * 1_000_000_000 - now.as_nanosecond();
        let wait = u64::try_from(wait).map_or(Duration::ZERO, Duration::from_nanos);
        Instant::now() + wait.max(Duration::from_millis(1))
    }
}

async fn run(context: Arc<Context>, key: Key) -> Option<EpochSeconds> {
    let began = Instant::now();
    let (next, result) = if let Ok(next) = timeout(RUN_DEADLINE, work(&context, &key)).await {
        (next, RunResult::Done)
    } else {
        error!(%key, "a run took too long and was cut short");
        (
            Some(context.clock.now_seconds() + REPEAT_SECONDS),
            RunResult::TimedOut,
        )
    };
    context.metrics.count_run(result);
    context.metrics.observe_run(began.elapsed());
    debug!(%key, ?next, "run ended");
    next
}

async fn work(context: &Context, key: &Key) -> Option<EpochSeconds> {
    match key {
        Key::Access(key) => reconcile::reconcile(context, key).await,
        Key::Token(source) => tend::tend(context, source).await,
    }
}
