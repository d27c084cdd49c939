//! The clock, handed in as a value so that the whole operator can run in virtual time.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::rotation::EpochSeconds;

/// Tells the wall-clock time. Timers are tokio's and follow its clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that reads the real clock"
        )]
        Self::new(Timestamp::now)
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// The time in whole seconds, rounded down.
    #[must_use]
    pub fn now_seconds(&self) -> EpochSeconds {
        self.now().as_second()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Clock").field(&self.now()).finish()
    }
}
