//! Two replicas, of which the leader is killed again and again, in the middle of renewals.
//!
//! A credential lives for 120 seconds and is renewed 80 to 86 seconds before its end: it takes 12 to 21 seconds until the
//! other replica leads. Several pairs of replicas, each with a lease of its own, are killed side by side.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use do_cluster_access::clock::Clock;
use do_cluster_access_testbed::simulator::{Fault, FaultKind, Operation};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use tokio::time::sleep;

use crate::harness::{
    Access, OperatorProcess, Poller, Stage, annotation, eventually, eventually_some,
};

/// When the leader is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Just before the renewal is due.
    Due,
    /// The token is minted, and the answer that holds it under way.
    Minted,
    /// The answer has come: the credential may be checked, written or reported.
    Answered,
    /// The Secret holds the new credential.
    Published,
    /// Status tells of it.
    Reported,
}

use Moment::{Answered, Due, Minted, Published, Reported};

/// When leaders are killed: two for each pair of replicas, one after the other.
const PLAN: [[Moment; 2]; 10] = [
    [Due, Minted],
    [Minted, Answered],
    [Answered, Published],
    [Published, Reported],
    [Reported, Due],
    [Due, Answered],
    [Minted, Published],
    [Answered, Reported],
    [Published, Due],
    [Reported, Minted],
];

impl Moment {
    /// How many tokens an issue may take in which the leader is killed at this moment. No more than one is lost.
    fn mints(self) -> RangeInclusive<usize> {
        match self {
            Minted => 2..=2,
            // On a busy machine the kill may come a little later than it was meant to.
            Due | Answered => 1..=2,
            Published | Reported => 1..=1,
        }
    }
}

/// A leader, and one that stands by.
struct Pair {
    stage: Arc<Stage>,
    access: Access,
    /// The leader is the first.
    replicas: Vec<OperatorProcess>,
}

impl Pair {
    /// Both, and an access that is served. An issue takes one token.
    async fn start(stage: Stage) -> Self {
        let leader = OperatorProcess::start(&stage, &[]).await;
        leader.leads().await;
        let standby = OperatorProcess::start(&stage, &[]).await;
        standby.ready().await;
        stage.add_cluster(stage.cluster("prod"));
        let spec = json!({
            "cluster": {"name": "prod"},
            "kubeconfigSource": "Rendered",
            "expirySeconds": 120,
            "renewBeforeSeconds": 80,
        });
        let access = stage.create_access("prod", spec).await;
        access.ready().await;
        Self {
            stage: Arc::new(stage),
            access,
            replicas: vec![leader, standby],
        }
    }

    /// Goes through one renewal in which the leader is killed. Returns what is published then.
    async fn renewal_with_kill(&mut self, moment: Moment, before: &Secret) -> Secret {
        let mints = self.stage.mints().len();
        let due = self.renews_at().await;
        self.comes(moment, before, due).await;
        self.kill().await;
        let renewed = self.access.renewed(before).await;
        let issued_at: Timestamp = annotation(&renewed, "issued-at").parse().unwrap();
        assert!(issued_at >= due, "{moment:?}: {issued_at}, due {due}");
        let minted = self.stage.mints().len() - mints;
        assert!(moment.mints().contains(&minted), "{moment:?}: {minted}");
        renewed
    }

    async fn renews_at(&self) -> Timestamp {
        let status = self.access.ready().await.status.unwrap();
        status.credential.unwrap().renew_at.unwrap().0
    }

    /// Waits for that moment of the renewal that is due then.
    async fn comes(&self, moment: Moment, before: &Secret, due: Timestamp) {
        let mints = self.stage.mints().len();
        match moment {
            Due => {
                let left = due.duration_since(Clock::system().now()).as_millis() - 50;
                sleep(Duration::from_millis(left.try_into().unwrap_or(0))).await;
            }
            Minted => {
                let fault = Fault::new(FaultKind::Delay(2000)).on(Operation::GetCredentials);
                self.stage.inject(fault.times(1));
                self.mints(mints + 1).await;
            }
            Answered => self.mints(mints + 1).await,
            Published => {
                let hash = annotation(before, "content-hash");
                let renewed = |secret: &Secret| annotation(secret, "content-hash") != hash;
                self.access.secret_until("it is renewed", renewed).await;
            }
            Reported => drop(self.access.renewed(before).await),
        }
    }

    async fn mints(&self, count: usize) {
        eventually("a token is minted", async || {
            self.stage.mints().len() >= count
        })
        .await;
    }

    /// Kills the leader. Another process comes up in its place, as a Deployment would have it. Either that or the one that
    /// stood by until now takes over.
    async fn kill(&mut self) {
        self.replicas.remove(0).kill().await;
        let replacement = OperatorProcess::start(&self.stage, &[]).await;
        self.replicas.push(replacement);
        let leader = eventually_some("one of the two leads", async || {
            let [one, other] = [&self.replicas[0], &self.replicas[1]];
            match futures::join!(one.is_leader(), other.is_leader()) {
                (true, true) => panic!("both lead"),
                (true, false) => Some(0),
                (false, true) => Some(1),
                (false, false) => None,
            }
        })
        .await;
        self.replicas.swap(0, leader);
    }
}

/// One pair, killed at each of `moments`.
async fn survives(stage: Stage, moments: [Moment; 2]) {
    let mut pair = Pair::start(stage).await;
    let first = pair.access.secret().await;
    let poller = Poller::start(&pair.stage, "prod-kubeconfig", Duration::from_millis(500));
    let mut current = first;
    for moment in moments {
        current = pair.renewal_with_kill(moment, &current).await;
    }
    let mints = pair.stage.mints().len();
    pair.access.rotate("after the kills").await;
    pair.access.renewed(&current).await;
    pair.access.ready().await;
    assert_eq!(pair.stage.mints().len(), mints + 1);
    eventually("the last credential was used", async || {
        poller.seen().tokens.len() >= moments.len() + 2
    })
    .await;
    let seen = poller.seen();
    assert_eq!(seen.refusals, Vec::<String>::new(), "{moments:?}");
    assert_eq!(seen.tokens.len(), moments.len() + 2, "{moments:?}");
    assert!(seen.polls > 60, "polled {} times only", seen.polls);
}

#[tokio::test]
async fn twenty_leaders_are_killed_in_renewals_and_no_consumer_and_no_budget_notices() {
    let mut pairs = Vec::new();
    for moments in PLAN {
        pairs.push(survives(stage!(), moments));
    }
    futures::future::join_all(pairs).await;
}
