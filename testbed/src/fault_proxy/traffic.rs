//! What both doors know together: the calls so far, the one that is to be stalled, and what is on its way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use tokio::sync::watch;

use super::call::{Call, CallName};
use super::strike::{Stall, Stalled, Strike};

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Traffic {
    state: Mutex<State>,
    /// Requests that were passed on and not answered yet.
    under_way: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    armed: Option<Armed>,
    closed: bool,
}

#[derive(Debug)]
struct Armed {
    strike: Strike,
    seen: usize,
    stall: Stall,
}

/// A request on its way upstream. Dropped when its answer is there.
pub(super) struct UnderWay(Arc<Traffic>);

impl Traffic {
    pub(super) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    pub(super) fn arm(&self, strike: Strike) -> Stalled {
        let (stall, stalled) = Stall::new(strike.point);
        self.state().armed = Some(Armed {
            strike,
            seen: 0,
            stall,
        });
        stalled
    }

    /// Notes a call that has come. Returns its number, and its stall where it is the one that was chosen.
    pub(super) fn note(&self, name: &CallName) -> (usize, Option<Stall>) {
        let mut state = self.state();
        let number = state.calls.len() + 1;
        state.calls.push(Call {
            number,
            name: name.clone(),
            status: None,
        });
        let Some(armed) = state
            .armed
            .as_mut()
            .filter(|armed| armed.strike.call == *name)
        else {
            return (number, None);
        };
        armed.seen += 1;
        let chosen = armed.seen == armed.strike.occurrence;
        (number, chosen.then(|| armed.stall.clone()))
    }

    pub(super) fn note_status(&self, number: usize, status: StatusCode) {
        if let Some(call) = self.state().calls.get_mut(number - 1) {
            call.status = Some(status);
        }
    }

    /// Leave to pass a request on; `None` where the proxy was shut.
    pub(super) fn depart(self: &Arc<Self>) -> Option<UnderWay> {
        // Under the lock: nothing departs once it is closed.
        let state = self.state();
        (!state.closed).then(|| {
            self.under_way.send_modify(|number| *number += 1);
            UnderWay(self.clone())
        })
    }

    /// Lets nothing more depart, and waits for what is on its way.
    pub(super) async fn close(&self) {
        self.state().closed = true;
        let mut under_way = self.under_way.subscribe();
        // The other end is this.
        drop(under_way.wait_for(|number| *number == 0).await);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|number| *number -= 1);
    }
}
