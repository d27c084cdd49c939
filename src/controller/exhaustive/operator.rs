//! One run for one access: what [`reconcile`](super::super::reconcile) does around its decisions,
//! function by function under the same names, with every call to the outside a step of its own.

mod ask;
mod issue;
mod publish;

pub(super) use publish::commit;

use super::core::{CallFailure, Core, Question};
use super::invariants::{self, Violation};
use super::state::{
    Access, Failed, Half, InProgress, Leader, Local, Secret, Spec, State, Status, Step, Tick, Word,
    instant, tick_of,
};
use crate::api::{Reason, RetryClass};
use crate::rotation::{Decision, EpochSeconds, IssueReason, MAX_SLEEP_SECONDS, retry_at};

/// A process, and an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Who {
    pub(super) leader: usize,
    pub(super) access: usize,
}

/// How a run meets the API server and the budget when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Beginning {
    Smooth,
    /// The Secret cannot be read.
    ReadFails,
    /// It is not this access's turn to call DigitalOcean.
    NotGranted,
}

/// How an issue goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Minting {
    /// With the lifetime that was asked for.
    Issued,
    /// With a far shorter one.
    Short,
    /// With one that is over.
    Expired,
    /// `get_credentials` answers, `get_kubeconfig` does not.
    Half(CallFailure),
    Failed(CallFailure),
}

/// How a write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Writing {
    Written,
    /// Only the status that tells of it could not be written.
    Untold,
    /// The answer is lost.
    Unanswered,
    Refused,
    /// Somebody else's write came first.
    Overtaken,
}

/// When the run ended and asks to come again; `None` while it waits for a call.
pub(super) type Turn = Result<Option<EpochSeconds>, Violation>;

const TOKEN_GRACE_SECONDS: i64 = 5;

/// A run, or what is left of it after a call.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an observation of its own"
)]
pub(super) struct Run<'a> {
    core: &'a Core,
    state: &'a mut State,
    who: Who,
    now: Tick,
    spec: Spec,
    beginning: Beginning,
    /// The Secret was read afresh in this run, and nobody has written since.
    current: bool,
    told: bool,
    /// What the run came across, so that its variants can be tried as well.
    pub(super) read: bool,
    pub(super) asked_for_grant: bool,
    /// What it decided, the last time.
    pub(super) decided: Vec<Decision>,
}

impl<'a> Run<'a> {
    /// A new one.
    pub(super) fn new(core: &'a Core, state: &'a mut State, who: Who) -> Self {
        let (now, spec) = (state.now, state.leaders[who.leader].locals[who.access].spec);
        Self {
            core,
            state,
            who,
            now,
            spec,
            beginning: Beginning::Smooth,
            current: false,
            told: true,
            read: false,
            asked_for_grant: false,
            decided: Vec::new(),
        }
    }

    /// The one in progress, whose call is answered.
    fn resume(core: &'a Core, state: &'a mut State, who: Who) -> (Self, InProgress) {
        let run = state.leaders[who.leader].locals[who.access].run.take();
        let run = run.expect("nothing is in progress");
        let mut resumed = Self::new(core, state, who);
        (resumed.now, resumed.spec, resumed.current) = (run.now, run.spec, run.current);
        (resumed, run)
    }

    fn local(&mut self) -> &mut Local {
        &mut self.state.leaders[self.who.leader].locals[self.who.access]
    }

    fn leader(&mut self) -> &mut Leader {
        &mut self.state.leaders[self.who.leader]
    }

    fn access(&mut self) -> &mut Access {
        &mut self.state.accesses[self.who.access]
    }

    fn in_seconds(&self) -> EpochSeconds {
        instant(self.now)
    }

    /// From the caches to the first call, if there is one to make.
    pub(super) fn run(&mut self, beginning: Beginning) -> Turn {
        self.beginning = beginning;
        if self.spec.deleted {
            return Ok(Some(EpochSeconds::MAX));
        }
        self.attach_token();
        let cached = self.local().secret.in_cache();
        self.follow_published(cached);
        match self.decide(cached)? {
            Decision::Wait { until } | Decision::Suspended { until } => self.settle(cached, until),
            Decision::Issue(reason) => match self.token() {
                Token::Usable if self.awaits_shared(reason) => self.sleep(),
                Token::Usable => self.act(),
                view => self.wait_for_token(cached, view),
            },
            _ => self.act(),
        }
    }

    /// The outage that a failure was part of is over: no need to wait for the retry.
    fn attach_token(&mut self) {
        if self.spec.suspend {
            return;
        }
        let gate = self.leader().gate;
        let recovered_at = self.core.gate(gate).recovered_at();
        let part_of_it = |failure: &mut Failed| {
            failure.reason.0.retry() == RetryClass::Token
                && recovered_at.is_some_and(|recovered_at| recovered_at >= instant(failure.at))
        };
        self.local().memory.failure.take_if(part_of_it);
    }

    fn token(&mut self) -> Token {
        let leader = *self.leader();
        let gate = self.core.gate(leader.gate);
        match gate.closed() {
            _ if gate.is_suspected() => Token::Unknown,
            Some((_, until)) => Token::Blocked { until },
            None if leader.listed => Token::Usable,
            None => Token::Unknown,
        }
    }

    fn wait_for_token(&mut self, found: Secret, view: Token) -> Turn {
        if let Token::Blocked { until } = view {
            let until = until.max(self.in_seconds()) + TOKEN_GRACE_SECONDS;
            self.settle(found, until)
        } else {
            self.leader().list_wanted = true;
            self.sleep()
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the other ends of a run")]
    fn sleep(&self) -> Turn {
        Ok(Some(self.in_seconds() + MAX_SLEEP_SECONDS))
    }

    fn act(&mut self) -> Turn {
        self.read = true;
        if self.beginning == Beginning::ReadFails {
            let cached = self.local().secret.in_cache();
            let until = self.fail(cached, Reason::SecretWriteFailed, None, false);
            return self.settle(cached, until);
        }
        let found = self.access().secret;
        self.local().secret = found;
        self.current = true;
        match self.decide(found)? {
            Decision::Wait { until } | Decision::Suspended { until } => self.settle(found, until),
            Decision::Refuse {
                reason,
                subject,
                until,
            } => {
                let ends_at = subject.is_some().then_some(until);
                let until = self.fail(found, reason, ends_at, false);
                self.settle(found, until)
            }
            Decision::Publish => self.publish_held(found),
            Decision::Repair => {
                let now = self.now;
                self.local().memory.repairs.note(now);
                self.call(Step::Repair, found, None, None)
            }
            Decision::Verify => self.reverify(found),
            Decision::Issue(reason) => {
                invariants::is_due(self.state, self.who, self.spec, reason)?;
                match self.token() {
                    Token::Usable => self.issue(reason, found),
                    view => self.wait_for_token(found, view),
                }
            }
        }
    }

    /// Waits for the answer to a call.
    #[expect(clippy::unnecessary_wraps, reason = "as the ends of a run")]
    fn call(
        &mut self,
        step: Step,
        found: Secret,
        reason: Option<IssueReason>,
        half: Option<Half>,
    ) -> Turn {
        let run = InProgress {
            step,
            now: self.now,
            spec: self.spec,
            found,
            current: self.current,
            reason: reason.map(Word),
            half,
            after_deletion: self.access().spec.deleted,
        };
        self.local().run = Some(run);
        Ok(None)
    }

    fn question(&mut self, secret: Secret) -> Question {
        let mut memory = self.local().memory;
        // Of no interest to decisions; without it there are fewer questions.
        (memory.half, memory.overtaken) = (None, 0);
        Question {
            access: self.who.access,
            spec: self.spec,
            secret,
            memory,
            ever_issued: self.access().status.ever_issued,
            shared_at: self.offer().map(|offer| offer.requested),
            now: self.now,
        }
    }

    fn decide(&mut self, found: Secret) -> Result<Decision, Violation> {
        let question = self.question(found);
        let decision = self.core.decide(&question)?;
        self.decided.push(decision.clone());
        Ok(decision)
    }

    /// After success: what is left to do is to wait.
    fn rest(&mut self, found: Secret, unconfirmed: bool) -> Turn {
        self.follow(found, unconfirmed);
        let until = match self.decide(found)? {
            Decision::Wait { until } => until,
            _ => self.in_seconds() + 1,
        };
        self.settle(found, until)
    }

    fn fail(
        &mut self,
        found: Secret,
        reason: Reason,
        not_before: Option<EpochSeconds>,
        may_have_minted: bool,
    ) -> EpochSeconds {
        let (now, spec, uid) = (self.now, self.spec, Core::uid(self.who.access));
        let previous = self.local().memory.failure;
        let previous = previous.filter(|failure| {
            (failure.generation, failure.rotate) == (spec.generation, spec.rotate)
        });
        let since = previous.map_or(now, |failure| failure.since);
        let was_lost = previous.is_some_and(|failure| failure.may_have_minted);
        let may_have_minted = may_have_minted || (reason == Reason::IssueLimitReached && was_lost);
        let expires_at = found.marks().map(|marks| instant(marks.expires));
        let until = retry_at(uid, instant(now), instant(since), expires_at, not_before);
        self.local().memory.failure = Some(Failed {
            generation: spec.generation,
            rotate: spec.rotate,
            since,
            at: now,
            retry_at: tick_of(until),
            reason: Word(reason),
            may_have_minted,
        });
        until
    }

    /// Reports, and sleeps until `until` or until the credential expires.
    fn settle(&mut self, found: Secret, until: EpochSeconds) -> Turn {
        let question = self.question(found);
        if self.core.is_settled(&question) {
            let memory = &mut self.local().memory;
            (memory.failure, memory.held, memory.half) = (None, None, None);
        }
        if self.told {
            self.report(found)?;
        }
        let expires_at = found.marks().map(|marks| instant(marks.expires));
        let expiry = expires_at.filter(|expires_at| *expires_at > self.in_seconds());
        Ok(Some(expiry.map_or(until, |expiry| until.min(expiry))))
    }

    fn report(&mut self, found: Secret) -> Result<(), Violation> {
        let question = self.question(found);
        let (ready, ever_issued) = self.core.readiness(&question);
        let unconfirmed = self.access().status.unconfirmed;
        if ready {
            invariants::is_ready(self.state, self.who, &question, self.current)?;
        }
        // The write is for the version that the cache has: one that has changed since, or is gone, is
        // not written to.
        if self.state.accesses[self.who.access].spec == self.spec {
            self.access().status = Status {
                ready,
                ever_issued,
                unconfirmed: unconfirmed && found.marks().is_some(),
            };
        }
        Ok(())
    }
}

/// What an access can count on.
#[derive(Clone, Copy)]
enum Token {
    Usable,
    Unknown,
    Blocked { until: EpochSeconds },
}
