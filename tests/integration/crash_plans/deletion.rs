//! The access is deleted in the middle of an issue, with and without a crash.

use do_cluster_access_testbed::fault_proxy::CallName;

use super::invariants::{Crash, Expected, Issues};
use super::plan::{Plan, Recorded, recorded};
use super::scenario::Scenario;
use super::scene::{OUTPUTS, Pace, Proxied, Scene, turn};
use crate::harness::eventually;

/// In the middle of a rotation the access is deleted and the program killed.
pub(super) async fn and_crash(plan: &Plan) {
    let scenario = Scenario::Deletion;
    let _turn = turn(Pace::Working).await;
    let scene = Scene::set(&[]).await;
    let (operator, _) = Proxied::start(&scene.stage, None).await;
    scene.first_issue(scenario.spec()).await;
    let stalled = operator.proxy.strike(plan.strike());
    scenario.begin(&scene).await;
    operator.is_at(&stalled).await;
    scene.access().delete().await;
    operator.crash().await;
    let crash = scene.after_crash().await;

    let (mut successor, _) = Proxied::start(&scene.stage, None).await;
    successor.process.serves().await;
    successor.process.ready().await;
    let calls = all_is_gone(&scene, successor).await;
    assert_eq!(after_deletion(&calls, 0), Vec::<String>::new());
    assert_eq!(scene.stage.mints().len(), crash.minted);
    scene
        .check_unused(gone(&crash, Issues::Between(1, 2)))
        .await;
}

/// In the middle of the first issue the access is deleted. The program sees that, and goes on.
pub(super) async fn and_go_on(plan: &Plan) {
    let _turn = turn(Pace::Working).await;
    let scene = Scene::set(&[]).await;
    let operator = synced(&scene).await;
    let stalled = operator.proxy.strike(plan.strike());
    let access = scene.create_access(Scenario::FirstIssue.spec()).await;
    operator.is_at(&stalled).await;
    let knows_it = async || {
        let (_, metrics) = operator.process.get("/metrics").await;
        metrics.contains("do_cluster_access_ready{")
    };
    eventually("the access is known", knows_it).await;
    access.delete().await;
    eventually("the deletion is seen", async || !knows_it().await).await;
    let seen = operator.proxy.calls().len();
    stalled.release();
    drop(stalled);

    let calls = all_is_gone(&scene, operator).await;
    assert_eq!(after_deletion(&calls, seen), Vec::<String>::new());
    let crash = scene.after_crash().await;
    scene
        .check_unused(gone(&crash, Issues::Between(0, 1)))
        .await;
}

/// The calls of a first issue by a program that runs.
pub(super) async fn record_first_issue() -> Vec<Recorded> {
    let _turn = turn(Pace::Working).await;
    let scene = Scene::set(OUTPUTS).await;
    let operator = synced(&scene).await;
    let before = operator.proxy.calls().len();
    scene.first_issue(Scenario::FirstIssue.spec()).await;
    let calls = recorded(&operator.proxy.calls()[before..], false);
    operator.stop().await;
    calls
}

async fn synced(scene: &Scene) -> Proxied {
    let (mut operator, _) = Proxied::start(&scene.stage, None).await;
    operator.process.serves().await;
    operator.process.ready().await;
    operator
}

/// Lets the operator come to rest. Returns all of its calls when nothing is left of the access.
async fn all_is_gone(scene: &Scene, operator: Proxied) -> Vec<CallName> {
    let calls = operator.stop().await;
    for name in OUTPUTS {
        scene.stage.secret_gone(name).await;
    }
    calls
}

/// What was asked for after so many calls that must not be: mints, and writes but for the event that tells of it.
fn after_deletion(calls: &[CallName], seen: usize) -> Vec<String> {
    let wrong = calls[seen..]
        .iter()
        .filter(|call| call.mints() || (call.writes() && call.resource != "events"));
    wrong.map(ToString::to_string).collect()
}

/// So many issues, and all of it has gone.
fn gone(crash: &Crash, issues: Issues) -> Expected {
    Expected {
        issues,
        minted_before: crash.minted,
        told: Vec::new(),
        outputs: &[],
        removed: None,
    }
}
