//! The program is killed with SIGKILL at every call that it makes, at every point of the call, on the real thing: a
//! real API server, the DigitalOcean simulator, clusters that accept and refuse.
//!
//! Nothing here is sampled. For each scenario a first run, without faults, records the calls that the program makes.
//! Then there is one plan for each of these calls and each [`Point`]: the program is killed there, another one is
//! started in its place, and in the end everything must be as if nothing had happened, but for one issue that may be
//! lost. A new call in the program is so covered by itself.
//!
//! `DO_CLUSTER_ACCESS_CRASH_PLAN` replays what it describes, a scenario, a call, or one plan alone as a failure names it:
//!
//! ```sh
//! DO_CLUSTER_ACCESS_CRASH_PLAN='rotation: kubernetes patch secrets/people #1, acknowledged' \
//!     cargo test --test integration crash_plans -- --nocapture
//! ```
//!
//! `DO_CLUSTER_ACCESS_BINARY` names the program to kill; without it, it is the one that cargo built with the tests.

mod consumer;
mod credential;
mod deletion;
mod history;
mod invariants;
mod leaders;
mod plan;
mod scenario;
mod scene;

use std::collections::BTreeSet;

use do_cluster_access_testbed::fault_proxy::{Point, Strike};

use self::invariants::Expected;
use self::plan::{Plan, Recorded, is_chosen, recorded, run_all};
use self::scenario::Scenario;
use self::scene::{OUTPUTS, Pace, Proxied, Scene, turn};
use crate::harness::{eventually, unavailable};

/// Plans of a scenario that run at the same time.
const AT_ONCE: usize = 32;
/// The same where each has two processes.
const PAIRS_AT_ONCE: usize = 16;

#[tokio::test]
async fn a_crash_at_any_call_of_a_first_issue_loses_at_most_that_issue() {
    every_crash(Scenario::FirstIssue).await;
}

#[tokio::test]
async fn a_crash_at_any_call_of_a_rotation_loses_at_most_that_issue_and_no_reader_notices() {
    every_crash(Scenario::Rotation).await;
}

#[tokio::test]
async fn a_crash_at_any_call_of_an_issue_for_another_lifetime_loses_at_most_that_issue() {
    every_crash(Scenario::Lifetime).await;
}

#[tokio::test]
async fn a_crash_at_any_call_of_a_change_of_labels_costs_no_mint() {
    every_crash(Scenario::Label).await;
}

#[tokio::test]
async fn a_crash_at_any_call_of_the_removal_of_an_output_costs_no_mint_and_no_other_secret() {
    every_crash(Scenario::Removal).await;
}

#[tokio::test]
async fn after_a_deletion_and_a_crash_at_any_call_nothing_is_minted_and_nothing_remains() {
    let scenario = Scenario::Deletion;
    let record = || record(scenario);
    every_plan(scenario.name(), AT_ONCE, record, deletion::and_crash).await;
}

#[tokio::test]
async fn once_a_deletion_is_seen_at_any_call_nothing_is_minted_or_written_any_more() {
    let record = deletion::record_first_issue;
    every_plan(
        "deletion without a crash",
        AT_ONCE,
        record,
        deletion::and_go_on,
    )
    .await;
}

#[tokio::test]
async fn a_leader_that_is_killed_at_any_call_is_succeeded_without_a_mint_too_many() {
    every_plan("hand-over", PAIRS_AT_ONCE, leaders::record, leaders::killed).await;
}

#[tokio::test]
async fn a_leader_that_is_paused_at_any_call_until_another_leads_does_no_harm_and_exits() {
    every_plan(
        "two leaders",
        PAIRS_AT_ONCE,
        leaders::record,
        leaders::paused,
    )
    .await;
}

#[tokio::test]
async fn a_leader_that_is_paused_at_any_call_until_another_has_done_its_work_does_no_harm_and_exits()
 {
    every_plan("late leader", PAIRS_AT_ONCE, leaders::record, leaders::late).await;
}

/// A program that was killed between two outputs of a first issue left no status behind. The next one knows of the
/// cluster from DigitalOcean's list alone, and that may come at any moment.
#[tokio::test]
async fn a_list_of_clusters_that_comes_while_the_secrets_are_read_is_used() {
    if unavailable() || !is_chosen(Scenario::FirstIssue.name()) {
        return;
    }
    let scene = Scene::set(OUTPUTS).await;
    let calls = record(Scenario::FirstIssue).await;
    let strike = |name: &str, point| {
        let mut alike = calls
            .iter()
            .filter(|recorded| recorded.call.to_string() == name);
        Strike {
            call: alike.next().unwrap().call.clone(),
            occurrence: 1,
            point,
        }
    };
    scene.create_access(Scenario::FirstIssue.spec()).await;
    let second_write = strike("kubernetes patch secrets/flux", Point::BeforeSend);
    let (operator, stalled) = Proxied::start(&scene.stage, Some(second_write)).await;
    let stalled = stalled.unwrap();
    operator.is_at(&stalled).await;
    operator.crash().await;
    let crash = scene.after_crash().await;

    let read = strike(
        "kubernetes get secrets/flux",
        Point::CommittedNotAcknowledged,
    );
    let (mut successor, stalled) = Proxied::start(&scene.stage, Some(read)).await;
    successor.process.serves().await;
    let stalled = stalled.unwrap();
    successor.is_at(&stalled).await;
    eventually("the list has come", async || {
        let (_, metrics) = successor.process.get("/metrics").await;
        metrics.contains("do_cluster_access_account_clusters{")
    })
    .await;
    stalled.release();
    scene.published(OUTPUTS, |_| true).await;
    successor.stop().await;
    scene.nothing_failed().await;
    scene
        .check(Expected::of(Scenario::FirstIssue, &crash))
        .await;
}

/// Records, and then runs a plan for every call and every point.
async fn every_plan<R>(
    name: &'static str,
    at_once: usize,
    record: impl FnOnce() -> R,
    run: impl AsyncFn(&Plan),
) where
    R: Future<Output = Vec<Recorded>>,
{
    if unavailable() || !is_chosen(name) {
        return;
    }
    let calls = record().await;
    run_all(name, &calls, at_once, run).await;
}

/// Kills the program at each call of a scenario.
async fn every_crash(scenario: Scenario) {
    let run = async |plan: &Plan| crash(scenario, plan).await;
    every_plan(scenario.name(), AT_ONCE, || record(scenario), run).await;
}

/// Plays a scenario without faults. Returns the calls from where it begins.
async fn record(scenario: Scenario) -> Vec<Recorded> {
    let turn = turn(scenario.pace()).await;
    let scene = Scene::set(scenario.secrets()).await;
    let (operator, first, before) = if scenario == Scenario::FirstIssue {
        scene.create_access(scenario.spec()).await;
        let (operator, _) = Proxied::start(&scene.stage, None).await;
        (operator, None, 0)
    } else {
        let (operator, _) = Proxied::start(&scene.stage, None).await;
        let first = scene.first_issue(scenario.spec()).await;
        let before = operator.proxy.calls().len();
        (operator, Some(first), before)
    };
    drop(turn);
    scenario.begin(&scene).await;
    scenario.ends(&scene, first.as_ref()).await;
    eventually("the events are written", async || {
        scene.access().events().await.len() >= scenario.events()
    })
    .await;
    let calls = recorded(&operator.proxy.calls()[before..], first.is_none());
    operator.stop().await;
    let crash = scene.after_crash().await;
    scene.nothing_failed().await;
    scene.check(Expected::of(scenario, &crash)).await;

    let names: BTreeSet<_> = calls
        .iter()
        .map(|recorded| recorded.call.to_string())
        .collect();
    for essential in scenario.essential() {
        assert!(
            names.contains(*essential),
            "nobody called {essential}: {names:#?}"
        );
    }
    calls
}

/// Kills the program where the plan says, and starts another one in its place.
async fn crash(scenario: Scenario, plan: &Plan) {
    let its_turn = turn(scenario.pace()).await;
    let scene = Scene::set(scenario.secrets()).await;
    let (operator, first, stalled) = if scenario == Scenario::FirstIssue {
        scene.create_access(scenario.spec()).await;
        let (operator, stalled) = Proxied::start(&scene.stage, Some(plan.strike())).await;
        (operator, None, stalled.unwrap())
    } else {
        let (operator, _) = Proxied::start(&scene.stage, None).await;
        let first = scene.first_issue(scenario.spec()).await;
        let stalled = operator.proxy.strike(plan.strike());
        (operator, Some(first), stalled)
    };
    // Whoever waits for what is due lets others work; from then on it is in a hurry.
    let _turn = Some(its_turn).filter(|_| scenario.pace() == Pace::Working);
    scenario.begin(&scene).await;
    operator.is_at(&stalled).await;
    operator.crash().await;
    let crash = scene.after_crash().await;

    let (successor, _) = Proxied::start(&scene.stage, None).await;
    scenario.ends(&scene, first.as_ref()).await;
    scene.settled(scenario.outputs()).await;
    successor.stop().await;
    scene.nothing_failed().await;
    scene.check(Expected::of(scenario, &crash)).await;
}
