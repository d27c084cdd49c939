//! What the cluster thinks of a new credential, and of the published one.

use super::super::super::memory::REJECTIONS;
use super::super::super::verify::{Clearance, judge};
use super::super::invariants;
use super::super::state::{Check, Cleared, Held, Marks, Secret, Target, instant, tick_of};
use super::{Run, Turn};
use crate::api::Reason;
use crate::rotation::is_given_up;
use crate::target::{Rejection, Unreachability, Verdict};

/// How long after a rejection the cluster is asked again, in seconds.
const REJECTED_AGAIN_SECONDS: i64 = 60;

impl Run<'_> {
    /// The cluster says what it thinks of the new credential, and, where that matters, of the published
    /// one. It does so at once: whatever else may happen meanwhile may as well happen before or after.
    pub(super) fn ask_about(&mut self, held: Held, found: Secret) -> Turn {
        let verdict = match self.state.target {
            Target::Accepts => accepted(),
            Target::Unreachable => unreachable(),
            Target::RejectsNew | Target::RejectsAll => rejected(),
        };
        let of_published = match self.state.target {
            Target::RejectsAll => rejected(),
            _ => accepted(),
        };
        let published = found.marks().map(|_| &of_published);
        let (policy, now) = (self.state.policy.real(), self.in_seconds());
        let clearance = judge(policy, verdict, published, held.rejections.into(), now);
        if matches!(clearance, Clearance::Publish(_)) {
            invariants::swap(self.state, found)?;
        }
        match clearance {
            Clearance::Publish(verification) if verification.reason == Reason::Rejected => {
                self.clear(found, Cleared::Unconfirmed)
            }
            Clearance::Publish(_) => self.clear(found, Cleared::Yes),
            Clearance::AskAgain(seconds) => {
                let until = now + seconds;
                self.local().memory.held = Some(Held {
                    rejections: held.rejections + 1,
                    not_before: tick_of(until),
                    ..held
                });
                Ok(Some(until))
            }
            Clearance::Blocked(reason) => {
                let until = self.fail(found, reason, None, false);
                let (issued_at, expires_at) =
                    (instant(held.marks.issued), instant(held.marks.expires));
                if reason == Reason::CredentialRejected && is_given_up(issued_at, expires_at, now) {
                    self.local().memory.held = None;
                    invariants::excuse(self.state, self.who.access);
                } else {
                    self.hold_until(until);
                }
                self.settle(found, until)
            }
        }
    }

    pub(super) fn follow_published(&mut self, found: Secret) {
        let unconfirmed = self.access().status.unconfirmed;
        self.follow(found, unconfirmed);
    }

    pub(super) fn follow(&mut self, found: Secret, unconfirmed: bool) {
        let (now, suspend, off) = (self.now, self.spec.suspend, self.state.policy.is_off());
        let valid = |marks: &Marks| !off && !suspend && marks.expires > now;
        let known = self.local().memory.check;
        self.local().memory.check = found.marks().filter(valid).map(|marks| {
            let same = known.filter(|known| known.marks == marks);
            same.unwrap_or(Check {
                marks,
                at: None,
                rejections: 0,
                may_be_replaced: !unconfirmed,
            })
        });
    }

    /// The cluster says what it thinks of the published credential.
    pub(super) fn reverify(&mut self, found: Secret) -> Turn {
        let rejects = self.state.target == Target::RejectsAll;
        let again = tick_of(self.in_seconds() + REJECTED_AGAIN_SECONDS);
        let Some(check) = &mut self.local().memory.check else {
            let until = self.in_seconds() + 1;
            return self.settle(found, until);
        };
        check.rejections = if rejects { check.rejections + 1 } else { 0 };
        let among_first = (1..REJECTIONS).contains(&check.rejections.into());
        check.at = among_first.then_some(again);
        if u32::from(check.rejections) >= REJECTIONS {
            let marks = check.marks;
            invariants::note_rejected(self.state, self.who.access, marks);
        }
        self.rest(found, false)
    }
}

fn accepted() -> Verdict {
    Verdict::Accepted {
        username: "user".to_string(),
        groups: Vec::new(),
    }
}

fn rejected() -> Verdict {
    Verdict::Rejected(Rejection::Unauthorized)
}

fn unreachable() -> Verdict {
    Verdict::Unreachable(Unreachability::Timeout)
}
