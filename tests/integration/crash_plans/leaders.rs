//! Two processes, of which one leads: it is killed, or paused until it leads no longer, in the middle of a rotation.

use do_cluster_access_testbed::fault_proxy::{Point, Stalled, Strike};

use super::credential::Issue;
use super::invariants::{Expected, Issues};
use super::plan::{Plan, Recorded, recorded};
use super::scenario::Scenario;
use super::scene::{OUTPUTS, Pace, Proxied, Scene, turn};
use crate::harness::eventually;

/// What is asked for: a rotation that one value of the annotation forces.
const SCENARIO: Scenario = Scenario::Deletion;

/// A leader, and a process that waits for its turn.
struct Pair {
    scene: Scene,
    leader: Proxied,
    standby: Proxied,
    first: Issue,
}

impl Pair {
    /// Both, and a first issue.
    async fn set() -> Self {
        let _turn = turn(Pace::Waiting).await;
        let scene = Scene::set(OUTPUTS).await;
        let (mut leader, _) = Proxied::start_with(&scene.stage, None, &[]).await;
        leader.process.serves().await;
        leader.process.leads().await;
        let (mut standby, _) = Proxied::start_with(&scene.stage, None, &[]).await;
        standby.process.serves().await;
        standby.process.ready().await;
        let first = scene.first_issue(SCENARIO.spec()).await;
        Self {
            scene,
            leader,
            standby,
            first,
        }
    }
}

/// The calls of a rotation by a leader that has company.
pub(super) async fn record() -> Vec<Recorded> {
    let pair = Pair::set().await;
    let before = pair.leader.proxy.calls().len();
    SCENARIO.begin(&pair.scene).await;
    SCENARIO.ends(&pair.scene, Some(&pair.first)).await;
    eventually("the events are written", async || {
        pair.scene.access().events().await.len() >= SCENARIO.events()
    })
    .await;
    let calls = recorded(&pair.leader.proxy.calls()[before..], false);
    pair.standby.stop().await;
    pair.leader.stop().await;
    calls
}

/// The leader is killed, and the other takes its place.
pub(super) async fn killed(plan: &Plan) {
    let pair = Pair::set().await;
    let (scene, standby) = (&pair.scene, &pair.standby);
    let stalled = pair.leader.proxy.strike(plan.strike());
    SCENARIO.begin(scene).await;
    pair.leader.is_at(&stalled).await;
    pair.leader.crash().await;
    let crash = scene.after_crash().await;

    standby.process.leads().await;
    SCENARIO.ends(scene, Some(&pair.first)).await;
    scene.settled(OUTPUTS).await;
    pair.standby.stop().await;
    let expected = Expected {
        issues: Issues::Between(2, 2),
        ..Expected::of(SCENARIO, &crash)
    };
    pair.scene.nothing_failed().await;
    pair.scene.check(expected).await;
}

/// The leader is paused until the other has taken its place, and is about to do the same; then it goes on.
pub(super) async fn paused(plan: &Plan) {
    let pair = Pair::set().await;
    let stalled = pair.pause_leader(plan).await;
    let stalled_too = pair.standby.proxy.strike(Strike {
        point: Point::BeforeSend,
        ..plan.strike()
    });
    pair.standby.process.leads().await;
    // Where the leader had done that already, the other has nothing left to do.
    tokio::select! {
        () = SCENARIO.ends(&pair.scene, Some(&pair.first)) => {}
        () = pair.standby.is_at(&stalled_too) => {}
    }
    pair.overlaps(plan, stalled, Some(stalled_too)).await;
}

/// The leader is paused until the other has taken its place, and has done all there was to do; then it goes on.
pub(super) async fn late(plan: &Plan) {
    let pair = Pair::set().await;
    let stalled = pair.pause_leader(plan).await;
    pair.standby.process.leads().await;
    SCENARIO.ends(&pair.scene, Some(&pair.first)).await;
    pair.overlaps(plan, stalled, None).await;
}

impl Pair {
    async fn pause_leader(&self, plan: &Plan) -> Stalled {
        let stalled = self.leader.proxy.strike(plan.strike());
        SCENARIO.begin(&self.scene).await;
        self.leader.is_at(&stalled).await;
        self.leader.process.pause().await;
        stalled
    }

    /// Lets the leader go on, and then the other, and asserts what holds in the end.
    async fn overlaps(mut self, plan: &Plan, stalled: Stalled, stalled_too: Option<Stalled>) {
        stalled.release();
        if plan.point == Point::BeforeSend {
            self.came_through(plan).await;
        }
        self.leader.process.resume().await;
        let ended = self.leader.process.ends().await;
        let log = self.leader.process.log();
        assert_eq!(ended.code(), Some(1), "the old leader goes: {log}");
        drop(stalled_too);

        let scene = self.scene;
        SCENARIO.ends(&scene, Some(&self.first)).await;
        scene.settled(OUTPUTS).await;
        self.standby.stop().await;
        // What the overlap cost, an issue at the most, was published or lost.
        let overlap = scene.after_crash().await;
        let expected = Expected {
            issues: Issues::Between(2, 3),
            ..Expected::of(SCENARIO, &overlap)
        };
        scene.check(expected).await;
    }

    /// Waits until the call that comes late is answered: once the leader goes on, it may give it up.
    async fn came_through(&self, plan: &Plan) {
        eventually("the call has come through", async || {
            let calls = self.leader.proxy.calls().into_iter();
            let mut alike = calls.filter(|call| call.name == plan.recorded.call);
            alike.next_back().unwrap().status.is_some()
        })
        .await;
    }
}
