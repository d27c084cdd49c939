//! Plans: which call, which point; and running all of them.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;

use do_cluster_access_testbed::fault_proxy::{Call, CallName, Point, Strike};
use futures::{FutureExt, StreamExt, stream};

/// Chooses plans by the beginning of their description, to replay them.
const CHOICE: &str = "DO_CLUSTER_ACCESS_CRASH_PLAN";

/// A call of a recording: what it is about, and the how-many-th of that name it was.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) call: CallName,
    pub(super) occurrence: usize,
}

/// One run: the process is caught at this call, at this point.
pub(super) struct Plan {
    scenario: &'static str,
    pub(super) recorded: Recorded,
    pub(super) point: Point,
}

impl Plan {
    /// What the proxy is told.
    pub(super) fn strike(&self) -> Strike {
        Strike {
            call: self.recorded.call.clone(),
            occurrence: self.recorded.occurrence,
            point: self.point,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {}, {}",
            self.scenario, self.recorded, self.point
        )
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} #{}", self.call, self.occurrence)
    }
}

/// The calls at which a process is caught: all but watches, which have no end, and those of the lease, which goes on
/// beside. A program that runs lists only what its watches are about, when they please; one that starts needs it.
pub(super) fn recorded(calls: &[Call], starts: bool) -> Vec<Recorded> {
    let beside = |name: &CallName| {
        name.is_watch() || name.resource == "leases" || (name.verb == "list" && !starts)
    };
    let mut seen = BTreeMap::<&CallName, usize>::new();
    let mut recorded = Vec::new();
    for Call { name, .. } in calls {
        if beside(name) {
            continue;
        }
        let occurrence = seen.entry(name).or_default();
        *occurrence += 1;
        recorded.push(Recorded {
            call: name.clone(),
            occurrence: *occurrence,
        });
    }
    recorded
}

/// Whether plans of this scenario are to run.
pub(super) fn is_chosen(scenario: &str) -> bool {
    choice().is_none_or(|choice| choice.split(": ").next() == Some(scenario))
}

/// A scenario, or the beginning of the description of a plan.
fn choice() -> Option<String> {
    std::env::var(CHOICE)
        .ok()
        .filter(|choice| !choice.is_empty())
}

/// Runs a plan for every call that was recorded and every point, `at_once` at a time, and tells which failed.
pub(super) async fn run_all(
    scenario: &'static str,
    calls: &[Recorded],
    at_once: usize,
    run: impl AsyncFn(&Plan),
) {
    let every = calls.iter().flat_map(|recorded| {
        Point::ALL.map(|point| Plan {
            scenario,
            recorded: recorded.clone(),
            point,
        })
    });
    let mut plans: Vec<_> = every.collect();
    assert_eq!(plans.len(), calls.len() * Point::ALL.len());
    if let Some(choice) = choice() {
        let descriptions: String = plans.iter().map(|plan| format!("{plan}\n")).collect();
        plans.retain(|plan| plan.to_string().starts_with(&choice));
        assert!(
            !plans.is_empty(),
            "no plan is {choice:?}; there are:\n{descriptions}"
        );
    }
    let number = plans.len();
    let names: Vec<_> = calls.iter().map(ToString::to_string).collect();
    eprintln!(
        "crash plans: {scenario}: {} calls: {}",
        calls.len(),
        names.join(", ")
    );
    let outcomes = stream::iter(plans).map(async |plan| {
        let outcome = AssertUnwindSafe(run(&plan)).catch_unwind().await;
        outcome
            .err()
            .map(|panic| format!("{plan}\n    {}", message(&*panic)))
    });
    let outcomes: Vec<_> = outcomes.buffer_unordered(at_once).collect().await;
    let run = outcomes.len();
    let failures: Vec<_> = outcomes.into_iter().flatten().collect();
    eprintln!(
        "crash plans: {scenario}: {run} plans, {} failed",
        failures.len()
    );
    assert_eq!(run, number);
    assert!(
        failures.is_empty(),
        "{} of {number} plans failed; {CHOICE}='…' replays one:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let literal = || panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(literal)
        .unwrap_or_else(|| "a panic without words".to_owned())
}
