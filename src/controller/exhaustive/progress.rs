//! What comes of a state when from then on nothing goes wrong: one process leads, whatever it calls
//! answers, and every run comes when it asked to and no earlier.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use super::actions::Action;
use super::invariants::Violation;
use super::operator::{Beginning, Who};
use super::search::{Identity, fingerprint};
use super::state::{
    Account, Allowance, Marks, Secret, Service, State, Target, Tick, instant, tick_of,
};
use super::world::{After, World, can_be_collected};

/// Ticks after which what the specs ask for is published: twelve minutes.
const CONVERGED_WITHIN: Tick = 15;
/// Ticks until a limit that has ended is noticed.
const RETRIED_WITHIN: Tick = 3;
/// Ticks that must be left of a credential when faults end for it to be renewed in time.
const WINDOW: Tick = 5;
/// Ticks for which what was published has to be kept fresh: longer than a lifetime.
const ENDURES: Tick = 14;

/// A state, and when each access is to run next.
#[derive(Clone, Copy, Hash)]
struct Course {
    state: State,
    wakes: [Tick; 2],
}

/// What is known of states that were looked at before.
pub(super) struct Progress<'a> {
    world: &'a World<'a>,
    /// Ticks until what the specs ask for is published.
    converges: RefCell<HashMap<u64, Tick, BuildHasherDefault<Identity>>>,
    endures: RefCell<HashSet<u64, BuildHasherDefault<Identity>>>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(world: &'a World<'a>) -> Self {
        Self {
            world,
            converges: RefCell::default(),
            endures: RefCell::default(),
        }
    }

    /// How many states there are on the ways from those that were asked about.
    pub(super) fn visited(&self) -> (usize, usize) {
        (self.converges.borrow().len(), self.endures.borrow().len())
    }

    /// I11, and I1 on the way.
    ///
    /// # Errors
    /// When what is wanted is not published in time, or expires although there was time enough.
    pub(super) fn converges(&self, state: &State) -> Result<(), Violation> {
        let mut course = Course::after_faults(self.world, state)?;
        let saved = [0, 1].map(|access| course.can_be_saved(self.world, access));
        let allowed = CONVERGED_WITHIN + course.limited_for();
        let begun_at = course.state.now;
        let mut way: Vec<(u64, Tick)> = Vec::new();
        let known = loop {
            let place = fingerprint(&course);
            if let Some(known) = self.converges.borrow().get(&place) {
                break *known;
            }
            way.push((place, course.state.now));
            if course.is_as_desired() {
                break 0;
            }
            if course.state.now - begun_at > allowed || way.len() > 2000 {
                return Err(Violation {
                    invariant: "I11",
                    how: format!("not there after {allowed} ticks: {:?}", course.state),
                });
            }
            course = course.go_on(self.world)?;
            course.keeps(saved)?;
        };
        let there_at = way.last().map_or(begun_at, |(_, at)| *at) + known;
        if there_at - begun_at > allowed {
            return Err(Violation {
                invariant: "I11",
                how: format!("there after {} ticks, not {allowed}", there_at - begun_at),
            });
        }
        let mut converges = self.converges.borrow_mut();
        converges.extend(way.iter().map(|(place, at)| (*place, there_at - at)));
        Ok(())
    }

    /// I1: once there, nothing expires ever after.
    ///
    /// # Errors
    /// When something does.
    pub(super) fn endures(&self, state: &State) -> Result<(), Violation> {
        let mut course = Course::after_faults(self.world, state)?;
        while !course.is_as_desired() {
            course = course.go_on(self.world)?;
        }
        let end = course.state.now + ENDURES;
        let saved = [0, 1].map(|access| course.can_be_saved(self.world, access));
        let mut endures = self.endures.borrow_mut();
        while course.state.now < end && endures.insert(fingerprint(&course)) {
            course = course.go_on(self.world)?;
            course.keeps(saved)?;
        }
        Ok(())
    }
}

impl Course {
    /// Everything works again, and only one process leads.
    fn after_faults(world: &World<'_>, state: &State) -> Result<Self, Violation> {
        let mut state = *state;
        if state.both_lead() {
            state = world.take(&state, Action::Lose(1))?.state;
        }
        for leader in 0..2 {
            state = world.take(&state, Action::CatchUp(leader))?.state;
        }
        (state.service, state.target) = (Service::Works, Target::Accepts);
        state.left = Allowance {
            harmed: true,
            ..Allowance::default()
        };
        for access in 0..2 {
            let mut locals = state.leaders.iter().map(|leader| &leader.locals[access]);
            let under_way = locals.any(|local| local.run.is_some() || local.memory.held.is_some());
            let account = &mut state.accesses[access].account;
            *account = Account {
                excused: u8::from(under_way),
                rejected: account.rejected,
                ..Account::default()
            };
        }
        Ok(Self {
            state,
            wakes: [state.now; 2],
        })
    }

    fn leader(&self) -> usize {
        usize::from(!self.state.leaders[0].leads)
    }

    /// The next step.
    fn go_on(&self, world: &World<'_>) -> Result<Self, Violation> {
        let action = self.next(world);
        let after = world.take(&self.state, action)?;
        let mut wakes = self.wakes;
        match action {
            Action::List(_) => wakes = [self.state.now; 2],
            Action::Mint(who, _) => wakes[1 - who.access] = self.state.now,
            _ => {}
        }
        let After { state, ended, .. } = after;
        match (action, ended) {
            (_, Some((who, until))) => wakes[who.access] = tick_of(until),
            (Action::Begin(who, _), None) => wakes[who.access] = Tick::MAX,
            _ => {}
        }
        Ok(Self { state, wakes })
    }

    fn next(&self, world: &World<'_>) -> Action {
        let (state, leader) = (&self.state, self.leader());
        if let Some(access) = (0..2).find(|access| can_be_collected(state, *access)) {
            return Action::Collect(access);
        }
        if world.is_list_due(state, leader) {
            return Action::List(leader);
        }
        for access in 0..2 {
            let who = Who { leader, access };
            if let Some(run) = state.leaders[leader].locals[access].run {
                return World::smooth(state, who, run.step, run.current);
            }
            if self.wakes[access] <= state.now {
                return Action::Begin(who, Beginning::Smooth);
            }
        }
        Action::Tick(false)
    }

    /// Whether what the specs ask for is published, and nothing is left to do.
    fn is_as_desired(&self) -> bool {
        (0..2).all(|access| {
            let local = &self.state.leaders[self.leader()].locals[access];
            let there = &self.state.accesses[access];
            let idle = local.run.is_none();
            let done = local.memory.held.is_none() && local.memory.failure.is_none();
            if there.spec.deleted {
                return idle && !can_be_collected(&self.state, access);
            }
            !self.is_served(access) || idle && done && there.status.ready && self.is_fresh(access)
        })
    }

    /// Whether there is anything for the operator to do: not while suspended, and not against a stranger.
    fn is_served(&self, access: usize) -> bool {
        let there = &self.state.accesses[access];
        !there.spec.deleted && !there.spec.suspend && there.secret != Secret::Foreign
    }

    /// Whether what is published is what the spec asks for, and good.
    fn is_fed(&self, access: usize) -> bool {
        let there = &self.state.accesses[access];
        let right = |marks: Marks| {
            marks.kind == there.spec.kind
                && marks.rotate == there.spec.rotate
                && marks.expires > self.state.now
        };
        self.is_served(access) && there.secret.marks().is_some_and(right)
    }

    /// Whether what is published is right, and not to be renewed yet.
    fn is_fresh(&self, access: usize) -> bool {
        let there = &self.state.accesses[access];
        let young = |marks: Marks| {
            let lifetime = instant(marks.expires) - instant(marks.issued);
            instant(self.state.now) < instant(marks.expires) - lifetime / 3
        };
        self.is_fed(access) && there.secret.marks().is_some_and(young)
    }

    /// Whether there is time enough to renew what is published. A probe that is far away was put off
    /// while nothing that could be saved depended on the token.
    fn can_be_saved(&self, world: &World<'_>, access: usize) -> bool {
        let there = &self.state.accesses[access];
        let lasts = |marks: Marks| marks.expires >= self.state.now + WINDOW;
        let gate = world.core.gate(self.state.leaders[self.leader()].gate);
        let is_soon = |(_, probe_at)| probe_at <= instant(self.state.now + 1);
        self.is_fed(access)
            && there.secret.marks().is_some_and(lasts)
            && gate.closed().is_none_or(is_soon)
    }

    /// Ticks for which the limits on unscheduled issues may hold, and then the retry rule.
    fn limited_for(&self) -> Tick {
        let locals = &self.state.leaders[self.leader()].locals;
        let ends = locals.iter().map(|local| {
            let (count, at) = local.memory.unscheduled.before;
            let lost = local
                .memory
                .failure
                .is_some_and(|failure| failure.may_have_minted);
            match count {
                0 => 0,
                _ if lost => RETRIED_WITHIN,
                _ => tick_of(instant(at) + 3600).saturating_sub(self.state.now) + RETRIED_WITHIN,
            }
        });
        ends.max().unwrap_or(0)
    }

    /// None of `those` has expired.
    fn keeps(&self, those: [bool; 2]) -> Result<(), Violation> {
        for (access, kept) in those.into_iter().enumerate() {
            let there = &self.state.accesses[access];
            let good = |marks: Marks| marks.expires > self.state.now;
            if kept && !there.secret.marks().is_some_and(good) {
                return Err(Violation {
                    invariant: "I1",
                    how: format!("{:?} expired at {}", there.secret, self.state.now),
                });
            }
        }
        Ok(())
    }
}
