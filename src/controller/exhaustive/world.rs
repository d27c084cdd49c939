//! What can happen next, and what it leads to: a process goes on, a call is answered in any of the ways
//! that there are, the world or a user interferes, time passes.

use super::actions::{Action, BAD_ISSUES, BAD_TARGETS, BAD_WRITES, EDITS, OUTAGES};
use super::core::{CallFailure, Core, GateEvent};
use super::events::{apply, cut_short, is_possible, restart};
use super::invariants::{self, Violation};
use super::operator::{Beginning, Minting, Run, Turn, Who, Writing};
use super::state::{Memory, Secret, Service, State, Step, Target, Tick, instant};
use crate::digitalocean::{ErrorKind, Operation};
use crate::rotation::{Decision, EpochSeconds};

/// Of the two accesses, users interfere with the first: the other is there to be disturbed by that.
const EDITED: usize = 1;
/// Ticks for which a watch can be behind: shorter than any credential is good.
const LONGEST_LAG: Tick = 3;

/// What an action led to.
#[derive(Debug)]
pub(super) struct After {
    pub(super) state: State,
    /// A run ended, and asks to come again then.
    pub(super) ended: Option<(Who, EpochSeconds)>,
    /// The run read the Secret afresh, and asked the budget.
    pub(super) read: bool,
    pub(super) asked_for_grant: bool,
    pub(super) decided: Vec<Decision>,
}

/// The rules by which one state follows another.
pub(super) struct World<'a> {
    pub(super) core: &'a Core,
}

type Next = (Action, Result<After, Violation>);

impl World<'_> {
    /// Everything that can happen next.
    pub(super) fn next(&self, state: &State) -> Vec<Next> {
        let mut next = Vec::new();
        for leader in 0..2 {
            if !state.leaders[leader].leads {
                continue;
            }
            // Nobody waits for the list inside of a run, so it may as well come first.
            if self.is_list_due(state, leader) {
                next.push(self.after(state, Action::List(leader)));
                continue;
            }
            for access in 0..2 {
                self.go_on(state, Who { leader, access }, &mut next);
            }
        }
        let busy = !next.is_empty();
        if state.left.faults > 0 {
            self.faults(state, &mut next);
        }
        self.recoveries(state, &mut next);
        self.edits(state, &mut next);
        let may_pass = !some_run_is_old(state) && !some_watch_is_long_behind(state);
        if state.now < state.left.end && (!busy || state.left.faults > 0) && may_pass {
            next.push(self.after(state, Action::Tick(busy)));
        }
        next
    }

    /// What happens to one access in one process without a fault, then with one.
    fn go_on(&self, state: &State, who: Who, next: &mut Vec<Next>) {
        let faulty = state.left.faults > 0;
        let Some(run) = state.leaders[who.leader].locals[who.access].run else {
            let (action, after) = self.after(state, Action::Begin(who, Beginning::Smooth));
            let (read, asked) = after
                .as_ref()
                .map_or((false, false), |after| (after.read, after.asked_for_grant));
            if !after.as_ref().is_ok_and(|after| after.state == *state) {
                next.push((action, after));
            }
            if faulty && read {
                next.push(self.after(state, Action::Begin(who, Beginning::ReadFails)));
            }
            if faulty && asked {
                next.push(self.after(state, Action::Begin(who, Beginning::NotGranted)));
            }
            return;
        };
        let smooth = Self::smooth(state, who, run.step, run.current);
        next.push(self.after(state, smooth));
        if !faulty {
            return;
        }
        let works = state.service == Service::Works;
        match run.step {
            Step::Mint if works => {
                let bad = BAD_ISSUES
                    .iter()
                    .filter(|answer| run.half.is_none() || !matches!(answer, Minting::Half(_)));
                next.extend(bad.map(|answer| self.after(state, Action::Mint(who, *answer))));
            }
            Step::Write | Step::Repair if run.current => {
                let bad = BAD_WRITES.iter();
                next.extend(bad.map(|answer| self.after(state, Action::Write(who, *answer))));
            }
            _ => {}
        }
        if run.now < state.now {
            for done in [false, true] {
                next.push(self.after(state, Action::TimeOut(who, done)));
            }
        }
    }

    /// The answer to the call of a run when nothing goes wrong just now.
    pub(super) fn smooth(state: &State, who: Who, step: Step, current: bool) -> Action {
        match step {
            Step::Mint => {
                let failure = CallFailure::of(state.service);
                Action::Mint(who, failure.map_or(Minting::Issued, Minting::Failed))
            }
            Step::Write | Step::Repair if current => Action::Write(who, Writing::Written),
            Step::Write | Step::Repair => Action::Write(who, Writing::Overtaken),
        }
    }

    /// Whether the list is read now.
    pub(super) fn is_list_due(&self, state: &State, leader: usize) -> bool {
        let leader = &state.leaders[leader];
        match self.core.gate(leader.gate).closed() {
            Some((_, next_probe_at)) => instant(state.now) >= next_probe_at,
            None => leader.list_wanted,
        }
    }

    fn faults(&self, state: &State, next: &mut Vec<Next>) {
        for leader in 0..2 {
            let process = &state.leaders[leader];
            let waits = process.locals.iter().any(|local| local.run.is_some());
            if process.leads {
                next.push(self.after(state, Action::Crash(leader, false)));
                if waits {
                    next.push(self.after(state, Action::Crash(leader, true)));
                }
            } else {
                next.push(self.after(state, Action::TakeOver(leader)));
            }
            if process.lags.is_none() {
                next.push(self.after(state, Action::FallBehind(leader)));
            }
        }
        if state.service == Service::Works {
            next.extend(OUTAGES.map(|service| self.after(state, Action::Service(service))));
        }
        if state.target == Target::Accepts && !state.policy.is_off() {
            next.extend(BAD_TARGETS.map(|target| self.after(state, Action::Target(target))));
        }
    }

    fn recoveries(&self, state: &State, next: &mut Vec<Next>) {
        for leader in 0..2 {
            if state.both_lead() {
                next.push(self.after(state, Action::Lose(leader)));
            }
            if state.leaders[leader].lags.is_some() {
                next.push(self.after(state, Action::CatchUp(leader)));
            }
        }
        if state.service != Service::Works {
            next.push(self.after(state, Action::Service(Service::Works)));
        }
        if state.target != Target::Accepts {
            next.push(self.after(state, Action::Target(Target::Accepts)));
        }
        for access in 0..2 {
            if can_be_collected(state, access) {
                next.push(self.after(state, Action::Collect(access)));
            }
        }
    }

    fn edits(&self, state: &State, next: &mut Vec<Next>) {
        if state.left.checks > 0 {
            for leader in 0..2 {
                for access in 0..2 {
                    let check = state.leaders[leader].locals[access].memory.check;
                    if state.leaders[leader].leads && check.is_some_and(|check| check.at.is_none())
                    {
                        let who = Who { leader, access };
                        next.push(self.after(state, Action::CheckFallsDue(who)));
                    }
                }
            }
        }
        if state.left.edits == 0 {
            return;
        }
        for access in 0..EDITED {
            let possible = EDITS
                .iter()
                .filter(|edit| is_possible(state, access, **edit));
            next.extend(possible.map(|edit| self.after(state, Action::Edit(access, *edit))));
        }
    }

    fn after(&self, state: &State, action: Action) -> Next {
        (action, self.take(state, action))
    }

    /// What `action` makes of `state`.
    ///
    /// # Errors
    /// When an invariant is broken.
    pub(super) fn take(&self, state: &State, action: Action) -> Result<After, Violation> {
        let mut after = After {
            state: *state,
            ended: None,
            read: false,
            asked_for_grant: false,
            decided: Vec::new(),
        };
        if action.is_fault(state) {
            after.state.left.faults -= 1;
            after.state.left.harmed = true;
        }
        let core = self.core;
        let next = &mut after.state;
        let ended = |turn: Turn, who: Who| turn.map(|until| until.map(|until| (who, until)));
        match action {
            Action::Begin(who, beginning) => {
                let mut run = Run::new(core, next, who);
                let turn = run.run(beginning);
                (after.read, after.asked_for_grant) = (run.read, run.asked_for_grant);
                after.decided = std::mem::take(&mut run.decided);
                after.ended = ended(turn, who)?;
            }
            Action::Mint(who, answer) => {
                after.ended = ended(Run::answer_mint(core, next, who, answer), who)?;
            }
            Action::Write(who, answer) => {
                after.ended = ended(Run::answer_write(core, next, who, answer), who)?;
            }
            Action::TimeOut(who, done) => cut_short(next, who, done)?,
            Action::List(leader) => self.answer_list(next, leader),
            Action::Crash(leader, done) => restart(next, leader, done)?,
            Action::TakeOver(leader) => {
                next.leaders[leader].leads = true;
                (0..2).for_each(|access| invariants::excuse(next, access));
            }
            Action::Lose(leader) => {
                restart(next, leader, false)?;
                next.leaders[leader].leads = false;
            }
            Action::FallBehind(leader) => next.leaders[leader].lags = Some(next.now),
            Action::CatchUp(leader) => {
                next.leaders[leader].lags = None;
                (0..2).for_each(|access| next.tell(access));
            }
            Action::Service(service) => next.service = service,
            Action::Target(target) => next.target = target,
            Action::CheckFallsDue(who) => {
                next.left.checks -= 1;
                next.left.checked += 1;
                let now = next.now;
                let check = &mut next.leaders[who.leader].locals[who.access].memory.check;
                *check = check.map(|mut check| {
                    check.at = Some(now);
                    check
                });
            }
            Action::Edit(access, edit) => {
                next.left.edits -= 1;
                next.left.harmed = true;
                apply(next, access, edit);
            }
            Action::Collect(access) => next.write(access, Secret::Absent),
            Action::Tick(_) => {
                next.now += 1;
                if !next.left.harmed {
                    invariants::nothing_expired(next)?;
                }
            }
            Action::Fairly => {}
        }
        tidy(&mut after.state);
        Ok(after)
    }

    fn answer_list(&self, state: &mut State, leader: usize) {
        let now = state.now;
        let process = &mut state.leaders[leader];
        let event = match CallFailure::of(state.service) {
            None => {
                (process.listed, process.list_wanted) = (true, false);
                GateEvent::Open
            }
            Some(failure) => {
                let error = failure.error(Operation::ListClusters);
                let wait = error.retry_after().map(|wait| wait.as_secs().cast_signed());
                debug_assert!(
                    wait.is_some() == matches!(error.kind, ErrorKind::RateLimited { .. })
                );
                let not_before = wait.map(|seconds| instant(now) + seconds);
                let expiries = process
                    .locals
                    .iter()
                    .filter_map(|local| local.secret.marks());
                let most_urgent = expiries
                    .map(|marks| marks.expires)
                    .filter(|at| *at > now)
                    .min();
                let reason = super::super::issue::reason_of(&error);
                GateEvent::Fail(reason, not_before, most_urgent)
            }
        };
        process.gate = self.core.after(process.gate, event, now);
    }
}

/// What is left over has no meaning any more, and only tells states apart.
fn tidy(state: &mut State) {
    for leader in &mut state.leaders {
        leader
            .offer
            .take_if(|offer| offer.requested + 2 <= state.now);
        for local in &mut leader.locals {
            if local.spec.deleted && local.run.is_none() {
                local.memory = Memory::default();
            }
        }
    }
}

/// A run is cut short after 90 s: it cannot last for another tick.
fn some_run_is_old(state: &State) -> bool {
    let mut locals = state.leaders.iter().flat_map(|leader| &leader.locals);
    locals.any(|local| local.run.is_some_and(|run| run.now < state.now))
}

fn some_watch_is_long_behind(state: &State) -> bool {
    let mut leaders = state.leaders.iter();
    leaders.any(|leader| {
        leader
            .lags
            .is_some_and(|since| since + LONGEST_LAG <= state.now)
    })
}

pub(super) fn can_be_collected(state: &State, access: usize) -> bool {
    let access = &state.accesses[access];
    access.spec.deleted && matches!(access.secret, Secret::Ours { .. } | Secret::Damaged(_))
}
