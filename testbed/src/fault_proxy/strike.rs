//! A call that was chosen, and its stall.

use tokio::sync::watch;

use super::call::CallName;
use super::point::Point;

/// Which call to stall, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    /// What the call is about.
    pub call: CallName,
    /// The how-many-th of that name, from 1.
    pub occurrence: usize,
    /// Where in its course.
    pub point: Point,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has not come yet.
    Awaited,
    /// It is at its point.
    Here,
    /// It may go on.
    Released,
}

/// A call that was chosen. Dropping it releases the call.
#[derive(Debug)]
pub struct Stalled {
    phase: watch::Sender<Phase>,
}

impl Stalled {
    /// Returns when the call is at its point, where it stays. Waits as long as that takes.
    pub async fn here(&self) {
        let mut phase = self.phase.subscribe();
        // The other end is this.
        drop(phase.wait_for(|phase| *phase != Phase::Awaited).await);
    }

    /// Whether the call has come to its point.
    #[must_use]
    pub fn is_here(&self) -> bool {
        *self.phase.borrow() != Phase::Awaited
    }

    /// Lets the call go on, or pass unhindered if it has not come yet.
    pub fn release(&self) {
        self.phase.send_replace(Phase::Released);
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        self.release();
    }
}

/// The call's own side of [`Stalled`].
#[derive(Clone, Debug)]
pub(super) struct Stall {
    point: Point,
    phase: watch::Sender<Phase>,
}

impl Stall {
    /// Both sides.
    pub(super) fn new(point: Point) -> (Self, Stalled) {
        let (phase, _) = watch::channel(Phase::Awaited);
        let stalled = Stalled {
            phase: phase.clone(),
        };
        (Self { point, phase }, stalled)
    }

    /// Whether it is to be stalled at this point.
    pub(super) fn is_at(&self, point: Point) -> bool {
        self.point == point
    }

    /// Says that the call is at its point. Returns when it may go on.
    pub(super) async fn stay(&self) {
        self.phase.send_if_modified(|phase| {
            let awaited = *phase == Phase::Awaited;
            if awaited {
                *phase = Phase::Here;
            }
            awaited
        });
        let mut phase = self.phase.subscribe();
        // The other end is this.
        drop(phase.wait_for(|phase| *phase == Phase::Released).await);
    }
}
