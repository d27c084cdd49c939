//! From a credential in memory to the Secret.

use super::super::core::{self, Core};
use super::super::invariants::{self, Violation};
use super::super::state::{Cleared, Held, InProgress, Secret, State, Step, tick_of};
use super::{Run, Turn, Who, Writing};
use crate::api::Reason;
use crate::rotation::EpochSeconds;

/// Writes in a row that somebody else's may come before until that counts as a failure.
const OVERTAKEN_AT_MOST: u8 = 3;

impl<'a> Run<'a> {
    pub(super) fn publish_held(&mut self, found: Secret) -> Turn {
        let Some(held) = self.local().memory.held else {
            let until = self.in_seconds() + 1;
            return self.settle(found, until);
        };
        let question = self.question(found);
        if core::is_worse(&question, held.marks) {
            self.local().memory.held = None;
            invariants::excuse(self.state, self.who.access);
            let until = self.fail(found, Reason::ApiResponseInvalid, None, true);
            return self.settle(found, until);
        }
        match held.cleared {
            Cleared::NotYet if self.state.policy.is_off() => self.clear(found, Cleared::Yes),
            Cleared::NotYet => self.ask_about(held, found),
            Cleared::Yes | Cleared::Unconfirmed => self.call(Step::Write, found, None, None),
        }
    }

    pub(super) fn clear(&mut self, found: Secret, cleared: Cleared) -> Turn {
        if let Some(held) = &mut self.local().memory.held {
            held.cleared = cleared;
        }
        self.call(Step::Write, found, None, None)
    }

    pub(super) fn hold_until(&mut self, until: EpochSeconds) {
        if let Some(held) = &mut self.local().memory.held {
            held.not_before = tick_of(until);
        }
    }

    /// A write is answered, or a repair.
    pub(in super::super) fn answer_write(
        core: &'a Core,
        state: &'a mut State,
        who: Who,
        answer: Writing,
    ) -> Turn {
        let (mut run, at) = Self::resume(core, state, who);
        run.told = answer != Writing::Untold;
        let held = run.local().memory.held;
        if matches!(
            answer,
            Writing::Written | Writing::Untold | Writing::Unanswered
        ) {
            commit(run.state, who, &at, held)?;
            run.current = true;
        }
        let written = run.access().secret;
        let unconfirmed = held.is_some_and(|held| held.cleared == Cleared::Unconfirmed);
        match answer {
            Writing::Written | Writing::Untold => {
                run.local().secret = written;
                if at.step == Step::Write {
                    // Another credential, although the tick may be the same.
                    run.local().memory.check = None;
                    run.access().status.unconfirmed = unconfirmed && run.told;
                }
                run.finish_writing(written, unconfirmed)
            }
            Writing::Overtaken if run.local().memory.overtaken < OVERTAKEN_AT_MOST => {
                run.local().memory.overtaken += 1;
                Ok(Some(run.in_seconds() + 1))
            }
            Writing::Unanswered | Writing::Refused | Writing::Overtaken => {
                let until = run.fail(at.found, Reason::SecretWriteFailed, None, false);
                run.hold_until(until);
                run.current &= answer != Writing::Unanswered;
                run.settle(at.found, until)
            }
        }
    }

    fn finish_writing(&mut self, found: Secret, unconfirmed: bool) -> Turn {
        let memory = &mut self.local().memory;
        memory.failure = None;
        memory.held = None;
        memory.overtaken = 0;
        self.rest(found, unconfirmed)
    }
}

/// The API server takes a write over.
pub(in super::super) fn commit(
    state: &mut State,
    who: Who,
    at: &InProgress,
    held: Option<Held>,
) -> Result<(), Violation> {
    let marks = match at.step {
        Step::Repair => at.found.marks(),
        _ => held.map(|held| held.marks),
    };
    let Some(marks) = marks else {
        return Ok(());
    };
    invariants::write(state, who, at, marks)?;
    state.accesses[who.access].status.unconfirmed = false;
    let labelled = true;
    state.write(who.access, Secret::Ours { marks, labelled });
    Ok(())
}
