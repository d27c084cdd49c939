//! The time of the simulated world, and the clocks of the processes in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use do_cluster_access::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// When every simulated world begins: 2026-01-01T00:00:00Z.
const BEGINNING: i64 = 1_767_225_600;

/// What time it really is. Clones are the same time.
///
/// It follows tokio's paused clock, so that a week passes in as long as the work in it takes. Timers know
/// nothing of [`jump`](Self::jump): to them a machine that was suspended never stood still.
#[derive(Clone, Debug)]
pub struct Time(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    /// Nanoseconds that passed while the machine was suspended.
    suspended: AtomicI64,
}

impl Time {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self(Arc::new(Inner {
            began: Instant::now(),
            suspended: AtomicI64::new(0),
        }))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let running = SignedDuration::try_from(self.0.began.elapsed()).unwrap_or_default();
        let suspended = SignedDuration::from_nanos(self.0.suspended.load(Ordering::Relaxed));
        Timestamp::from_second(BEGINNING).unwrap_or_default() + running + suspended
    }

    /// Whole seconds since the beginning of this world.
    #[must_use]
    pub fn seconds_passed(&self) -> i64 {
        self.now().as_second() - BEGINNING
    }

    /// The time so many seconds after the beginning.
    #[must_use]
    pub fn after(seconds: i64) -> Timestamp {
        Timestamp::from_second(BEGINNING.saturating_add(seconds)).unwrap_or_default()
    }

    /// Lets `seconds` pass at once, unnoticed by every timer.
    pub fn jump(&self, seconds: i64) {
        let nanoseconds = seconds.saturating_mul(1_000_000_000);
        self.0.suspended.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

/// A clock that is off by some seconds, which can change. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct SkewedClock {
    time: Time,
    skew: Arc<AtomicI64>,
}

impl SkewedClock {
    /// One that is right.
    #[must_use]
    pub fn new(time: &Time) -> Self {
        Self {
            time: time.clone(),
            skew: Arc::default(),
        }
    }

    /// Steps to `seconds` ahead of the true time.
    pub fn set_skew(&self, seconds: i64) {
        self.skew.store(seconds, Ordering::Relaxed);
    }

    /// How many seconds it is ahead.
    #[must_use]
    pub fn skew(&self) -> i64 {
        self.skew.load(Ordering::Relaxed)
    }

    /// As the operator is handed it.
    #[must_use]
    pub fn handed_in(&self) -> Clock {
        let this = self.clone();
        Clock::new(move || this.time.now() + SignedDuration::from_secs(this.skew()))
    }
}
