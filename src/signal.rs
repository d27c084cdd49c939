//! Tells those who wait for it that something has changed, in the order in which they wait: tokio's `watch` draws that
//! order, so that no two runs of a simulation were the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Something that changes. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Signal(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    changes: AtomicU64,
    changed: Notify,
}

impl Signal {
    /// Tells of a change.
    pub fn tell(&self) {
        self.0.changes.fetch_add(1, Ordering::Relaxed);
        self.0.changed.notify_waiters();
    }

    /// Hears of every change from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener {
            seen: self.0.changes.load(Ordering::Relaxed),
            signal: self.clone(),
        }
    }
}

/// Hears of changes.
#[derive(Debug)]
pub struct Listener {
    signal: Signal,
    seen: u64,
}

impl Listener {
    /// Until there has been a change since the last one that was heard of; several count as one.
    pub async fn next(&mut self) {
        loop {
            // Who waits from here on misses no change.
            let woken = self.signal.0.changed.notified();
            let changes = self.signal.0.changes.load(Ordering::Relaxed);
            if std::mem::replace(&mut self.seen, changes) != changes {
                return;
            }
            woken.await;
        }
    }
}
