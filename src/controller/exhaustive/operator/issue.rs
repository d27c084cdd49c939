//! An issue: what there is already, the calls, and what their failure means.

use super::super::super::issue::reason_of;
use super::super::core::{CallFailure, Core, GateEvent};
use super::super::invariants;
use super::super::state::{
    Cleared, Half, Held, InProgress, Marks, Offer, Secret, State, Step, Tick, Word, instant,
};
use super::{Beginning, Minting, Run, Turn, Who};
use crate::api::Reason;
use crate::digitalocean::Operation;
use crate::rotation::IssueReason;

/// Ticks for which a short-lived credential lasts.
const SHORT_LIFETIME: Tick = 3;

impl<'a> Run<'a> {
    /// What another access of the same process has just had issued, and this one can have.
    pub(super) fn offer(&mut self) -> Option<Offer> {
        let (kind, now) = (self.spec.kind, self.state.now);
        let offer = self.leader().offer.filter(|offer| offer.kind == kind)?;
        self.core.can_be_had(offer, now).then_some(offer)
    }

    pub(super) fn awaits_shared(&mut self, reason: IssueReason) -> bool {
        let (other, kind) = (1 - self.who.access, self.spec.kind);
        let other = self.leader().locals[other].run;
        let mints = |run: InProgress| run.step == Step::Mint && run.spec.kind == kind;
        may_share(reason) && other.is_some_and(mints)
    }

    /// The half of an issue that succeeded before, while it is worth it.
    fn take_half(&mut self) -> Option<Half> {
        let (kind, now) = (self.spec.kind, self.in_seconds());
        self.local().memory.half.take().filter(|half| {
            let lifetime = instant(half.expires) - instant(half.requested);
            half.kind == kind && now - instant(half.requested) < lifetime / 10
        })
    }

    pub(super) fn issue(&mut self, reason: IssueReason, found: Secret) -> Turn {
        let had_half = self.local().memory.half.is_some();
        let half = self.take_half();
        if had_half && half.is_none() {
            invariants::excuse(self.state, self.who.access);
        }
        if self.awaits_shared(reason) {
            self.local().memory.half = half;
            return self.sleep();
        }
        let published = found.marks();
        let newer = |offer: &Offer| published.is_none_or(|marks| offer.requested > marks.issued);
        let offer = self
            .offer()
            .filter(|offer| may_share(reason) && newer(offer));
        if offer.is_none() {
            self.asked_for_grant = true;
            if self.beginning == Beginning::NotGranted {
                self.local().memory.half = half;
                return Ok(Some(self.in_seconds() + 1));
            }
        }
        let memory = &mut self.local().memory;
        let after_loss = memory
            .failure
            .is_some_and(|failure| failure.may_have_minted);
        if matches!(reason, IssueReason::Lost | IssueReason::Rejected) || after_loss {
            let now = self.now;
            self.local().memory.unscheduled.note(now);
            invariants::limit(&self.local().memory.unscheduled, reason, now)?;
        }
        match offer {
            Some(offer) => {
                let (requested, expires) = match half {
                    Some(half) => (
                        half.requested.min(offer.requested),
                        half.expires.min(offer.expires),
                    ),
                    None => (offer.requested, offer.expires),
                };
                self.minted(reason, found, requested, expires)
            }
            None => self.call(Step::Mint, found, Some(reason), half),
        }
    }

    /// The calls of an issue are answered.
    pub(in super::super) fn answer_mint(
        core: &'a Core,
        state: &'a mut State,
        who: Who,
        answer: Minting,
    ) -> Turn {
        let (mut run, at) = Self::resume(core, state, who);
        let requested = run.now;
        let lasts = match answer {
            Minting::Short => SHORT_LIFETIME,
            _ => at.spec.kind.lifetime(),
        };
        let expires = requested + lasts;
        let reason = at.reason.map_or(IssueReason::First, |reason| reason.0);
        invariants::mint(run.state, who, &at, answer)?;
        match answer {
            Minting::Issued | Minting::Short => {
                let half = at.half;
                let requested = half.map_or(requested, |half| half.requested.min(requested));
                let expires = half.map_or(expires, |half| half.expires.min(expires));
                run.leader().offer = Some(Offer {
                    kind: at.spec.kind,
                    requested,
                    expires,
                });
                run.minted(reason, at.found, requested, expires)
            }
            Minting::Expired => {
                run.local().memory.half = at.half;
                let until = run.fail(at.found, Reason::ApiResponseInvalid, None, true);
                run.settle(at.found, until)
            }
            Minting::Half(failure) => {
                run.local().memory.half = at.half.or(Some(Half {
                    kind: at.spec.kind,
                    requested,
                    expires,
                }));
                run.call_failed(at.found, failure)
            }
            Minting::Failed(failure) => {
                run.local().memory.half = at.half;
                run.call_failed(at.found, failure)
            }
        }
    }

    fn minted(
        &mut self,
        reason: IssueReason,
        found: Secret,
        requested: Tick,
        expires: Tick,
    ) -> Turn {
        let marks = Marks {
            issued: requested,
            expires,
            kind: self.spec.kind,
            rotate: self.spec.rotate,
        };
        let now = self.now;
        let memory = &mut self.local().memory;
        memory.last_issue_at = Some(now);
        memory.held = Some(Held {
            marks,
            reason: Word(reason),
            not_before: 0,
            rejections: 0,
            cleared: Cleared::NotYet,
        });
        self.publish_held(found)
    }

    fn call_failed(&mut self, found: Secret, failure: CallFailure) -> Turn {
        let error = failure.error(Operation::GetKubeconfig);
        let reason = reason_of(&error);
        let wait = error.retry_after().map(|wait| wait.as_secs().cast_signed());
        let not_before = wait.map(|seconds| self.in_seconds() + seconds);
        if error.is_token_level() {
            let event = GateEvent::Suspect(reason, not_before);
            let (gate, now) = (self.leader().gate, self.now);
            self.leader().gate = self.core.after(gate, event, now);
        }
        let until = self.fail(found, reason, not_before, error.may_have_minted());
        self.settle(found, until)
    }
}

/// As the controller's own.
fn may_share(reason: IssueReason) -> bool {
    matches!(reason, IssueReason::First | IssueReason::Renewal)
}
