//! Whether the API server answers. While it does not, one probe at a time asks, no run begins, and
//! nothing else is sent: hundreds of accesses that each tried again by themselves would keep an API
//! server busy that is struggling, and would still be waiting when it is back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};

use crate::signal::{Listener, Signal};

/// The probes of an outage come this far apart at first, doubling.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// And never further: work goes on within this, and a probe's deadline, of the API server's return.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is known of the API server. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Outage(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Signal,
    recoveries: AtomicU64,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        *self.state() = state;
        self.changed.tell();
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Answers,
    /// One request found no answer. Until the probe has asked, no run begins; those in progress go on,
    /// because the failure may be that one request's own.
    Suspected,
    /// A probe found none either: nothing is sent.
    Confirmed,
}

impl Outage {
    /// A request found no answer: the probe asks at once.
    pub(super) fn suspect(&self) {
        let mut state = self.0.state();
        if *state == State::Answers {
            *state = State::Suspected;
            drop(state);
            self.0.changed.tell();
        }
    }

    /// Whether no run is to begin.
    #[must_use]
    pub(super) fn is_suspected(&self) -> bool {
        *self.0.state() != State::Answers
    }

    /// Whether nothing is to be sent.
    #[must_use]
    pub(super) fn is_confirmed(&self) -> bool {
        *self.0.state() == State::Confirmed
    }

    /// How many outages have ended that a probe had confirmed. What failed in one is tried again once it
    /// is over, whenever it would have been.
    #[must_use]
    pub(super) fn recoveries(&self) -> u64 {
        self.0.recoveries.load(Ordering::Relaxed)
    }

    /// Tells of every change.
    #[must_use]
    pub(super) fn changes(&self) -> Changes {
        Changes {
            changed: self.0.changed.listen(),
            outage: self.clone(),
        }
    }

    /// Asks by `answers` whenever an outage is suspected, until it is over. Never ends.
    pub(super) async fn probe<A: Future<Output = bool>>(self, answers: impl Fn() -> A) {
        let mut changes = self.changes();
        loop {
            changes.until(|state| state != State::Answers).await;
            let mut pause = SHORTEST_PAUSE;
            while !answers().await {
                if !self.is_confirmed() {
                    warn!("the API server does not answer: everything waits until it does");
                    self.0.set(State::Confirmed);
                }
                sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
            if self.is_confirmed() {
                info!("the API server answers again");
                self.0.recoveries.fetch_add(1, Ordering::Relaxed);
            }
            self.0.set(State::Answers);
        }
    }
}

/// Tells when what is known of the API server changes.
pub(super) struct Changes {
    outage: Outage,
    changed: Listener,
}

impl Changes {
    /// Until the next change.
    pub(super) async fn next(&mut self) {
        self.changed.next().await;
    }

    /// Until the API server answers, as far as anybody knows.
    pub(super) async fn until_answers(&mut self) {
        self.until(|state| state == State::Answers).await;
    }

    async fn until(&mut self, is_so: impl Fn(State) -> bool) {
        while !is_so(*self.outage.0.state()) {
            self.next().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;

    /// An API server that answers or not, and when it was asked.
    #[derive(Clone, Default)]
    struct Server {
        is_out: Arc<AtomicBool>,
        asked: Arc<std::sync::Mutex<Vec<Instant>>>,
    }

    impl Server {
        fn set_out(&self, is_out: bool) {
            self.is_out.store(is_out, Ordering::Relaxed);
        }

        fn asked(&self) -> Vec<u64> {
            let asked = self.asked.lock().unwrap();
            let pauses = asked.windows(2).map(|two| (two[1] - two[0]).as_secs());
            pauses.collect()
        }

        fn probe(&self, outage: &Outage) -> JoinHandle<()> {
            let (this, outage) = (self.clone(), outage.clone());
            tokio::spawn(outage.probe(move || {
                this.asked.lock().unwrap().push(Instant::now());
                std::future::ready(!this.is_out.load(Ordering::Relaxed))
            }))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_the_probe_does_not_confirm_is_no_outage() {
        let (outage, server) = (Outage::default(), Server::default());
        let probe = server.probe(&outage);
        let mut changes = outage.changes();
        outage.suspect();
        assert!(outage.is_suspected() && !outage.is_confirmed());
        changes.until_answers().await;
        assert_eq!((outage.is_suspected(), outage.recoveries()), (false, 0));
        probe.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn probes_come_after_1_2_4_and_then_every_5_seconds_until_one_is_answered() {
        let (outage, server) = (Outage::default(), Server::default());
        let probe = server.probe(&outage);
        server.set_out(true);
        outage.suspect();
        sleep(Duration::from_secs(23)).await;
        assert!(outage.is_confirmed());
        // Further failures change nothing.
        outage.suspect();
        server.set_out(false);
        outage.changes().until_answers().await;
        assert_eq!(server.asked(), [1, 2, 4, 5, 5, 5, 5]);
        assert_eq!((outage.is_suspected(), outage.recoveries()), (false, 1));
        sleep(Duration::from_secs(60)).await;
        assert_eq!(server.asked().len(), 7, "asked although nothing failed");
        probe.abort();
    }
}
