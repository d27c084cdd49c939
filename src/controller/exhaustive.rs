//! Every state that two accesses, one API token and two processes of the operator can get into, as far
//! as what may go wrong is bounded: a breadth-first search over the real decisions.
//!
//! * **What is real**: [`decide`], [`is_settled`], [`is_worse`], the schedules and the retry rule, the
//!   [gate](super::gate) of the token, [shared issues](super::shared), the [verdict](super::verify) on
//!   a new credential, what failed calls [mean](super::issue), the [status](crate::status) that is
//!   told. They are asked by [`core`] and answer with what they answer in production.
//! * **What is modelled**: what [`reconcile`](super::reconcile) does around them, in [`operator`],
//!   function by function; the API server, DigitalOcean, the cluster and the users, in [`world`].
//!   What a call answers, whether it took effect, and who comes next is open: all of it is tried.
//! * **Time** passes in ticks of 50 s ([`state`]), on which a lifetime of 10 minutes is renewed after 7
//!   or 8, expires after 12, and half an issue is worth keeping for one. It passes when nobody has
//!   anything to do; otherwise that is a fault like any other.
//! * **What is bounded** is how much goes wrong, not where: each [scenario](SCENARIOS) says how many
//!   faults, edits and half-hourly checks it may take, in any order, and for how many ticks.
//!   `EXHAUSTIVE_FAULTS` and `EXHAUSTIVE_TICKS` add to that.
//! * **What must hold** stands in [`invariants`], of each step, and in [`progress`], of what comes of
//!   each state when from then on nothing goes wrong.
//!
//! The search is our own ([`search`], a screen long), not stateright's: our invariants judge steps (what
//! a write replaces, what a mint is for), while its properties see states alone; its `eventually` ends
//! with a path and says nothing of cycles, while progress here is followed step by step, woken only
//! when a run asked to be; and its actors and its explorer would come along unused.
//!
//! [`decide`]: crate::rotation::decide
//! [`is_settled`]: crate::rotation::is_settled
//! [`is_worse`]: crate::rotation::is_worse

mod actions;
mod core;
mod events;
mod invariants;
mod operator;
mod progress;
mod scenarios;
mod search;
mod state;
mod world;

use std::cell::RefCell;
use std::collections::HashSet;

use self::actions::Action;
use self::core::Core;
use self::invariants::Violation;
use self::progress::Progress;
use self::scenarios::{SCENARIOS, Scenario};
use self::search::{Searched, fingerprint, search};
use self::state::State;
use self::world::{After, World};
use crate::rotation::Decision;

/// Of so many states one is followed for another lifetime.
const SAMPLE: u64 = 16;
/// So many states there are at the least: fewer mean that something is no longer tried.
const FEWEST_STATES: usize = 500_000;

/// What was come across.
#[derive(Default)]
struct Seen {
    actions: HashSet<Action>,
    decisions: HashSet<&'static str>,
}

impl Seen {
    fn note(&mut self, action: Action, after: &After) {
        self.actions.insert(action.anonymous());
        self.decisions.extend(after.decided.iter().map(name));
    }
}

fn name(decision: &Decision) -> &'static str {
    match decision {
        Decision::Wait { .. } => "Wait",
        Decision::Suspended { .. } => "Suspended",
        Decision::Publish => "Publish",
        Decision::Repair => "Repair",
        Decision::Verify => "Verify",
        Decision::Issue(reason) => reason.as_str(),
        Decision::Refuse { reason, .. } => reason.as_str(),
    }
}

const DECISIONS: [&str; 13] = [
    "Wait",
    "Suspended",
    "Publish",
    "Repair",
    "Verify",
    "first",
    "renewal",
    "spec-changed",
    "forced",
    "lost",
    "rejected",
    "SecretConflict",
    "IssueLimitReached",
];

#[test]
fn no_order_of_events_breaks_an_invariant_and_from_every_state_there_is_a_way_back() {
    let core = Core::new();
    let world = World { core: &core };
    let progress = Progress::new(&world);
    let seen = RefCell::new(Seen::default());
    let (mut states, mut transitions, mut depth) = (0, 0, 0);
    for scenario in &SCENARIOS {
        let searched = explore(&world, &progress, &seen, scenario);
        println!(
            "{}: {} states, {} transitions, depth {}",
            scenario.name, searched.states, searched.transitions, searched.depth
        );
        states += searched.states;
        transitions += searched.transitions;
        depth = depth.max(searched.depth);
    }
    let (converging, enduring) = progress.visited();
    println!("{states} states, {transitions} transitions, depth {depth}");
    println!("{} different decisions", core.questions());
    println!("{converging} states on the ways back, {enduring} in the lifetimes after that");
    assert!(states >= FEWEST_STATES, "no more than {states} states");
    let seen = seen.into_inner();
    let untried: Vec<_> = actions::all()
        .into_iter()
        .filter(|action| !seen.actions.contains(action))
        .collect();
    assert!(untried.is_empty(), "never happened: {untried:?}");
    for decision in DECISIONS {
        assert!(
            seen.decisions.contains(decision),
            "never decided: {decision}"
        );
    }
}

fn explore(
    world: &World<'_>,
    progress: &Progress<'_>,
    seen: &RefCell<Seen>,
    scenario: &Scenario,
) -> Searched {
    let initial = scenario.state();
    let searched = search(&initial, |state: &State| {
        if let Err(violation) = has_a_way_back(progress, state) {
            return vec![(Action::Fairly, Err(violation))];
        }
        let mut seen = seen.borrow_mut();
        let next = world.next(state).into_iter();
        let follow = |(action, after): (Action, Result<After, Violation>)| {
            let after = after.inspect(|after| seen.note(action, after));
            (action, after.map(|after| after.state.canonical()))
        };
        next.map(follow).collect()
    });
    searched.unwrap_or_else(|found| {
        let violation = &found.violation;
        let (name, story) = (scenario.name, tell(world, &initial, &found.steps));
        let (count, invariant, how) = (found.steps.len(), violation.invariant, &violation.how);
        panic!("{name}: {invariant} is broken after {count} steps: {how}\n{story}")
    })
}

fn has_a_way_back(progress: &Progress<'_>, state: &State) -> Result<(), Violation> {
    progress.converges(state)?;
    if fingerprint(state).is_multiple_of(SAMPLE) {
        progress.endures(state)?;
    }
    Ok(())
}

/// The steps to a violation, each with what it left behind. Which process is called the first may
/// change from one to the next.
fn tell(world: &World<'_>, initial: &State, steps: &[Action]) -> String {
    let (mut state, mut story) = (*initial, vec![initial.to_string()]);
    for (number, step) in steps.iter().enumerate() {
        story.push(format!("{}. {step:?}\n", number + 1));
        if let Ok(after) = world.take(&state, *step) {
            state = after.state.canonical();
            story.push(state.to_string());
        }
    }
    story.concat()
}
