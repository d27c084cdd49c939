//! Bad input, of every kind that DigitalOcean, a proxy before it or a user can come up with: it ends in
//! the reason that says so, what is published stays as it is, and when the trouble is over, so are its
//! consequences, without anybody doing anything about it.
//!
//! Each case is played twice on a stage of its own: for an access that was never issued for, and for one
//! whose credential is valid and is asked to be rotated.

mod answers;
mod attempts;
mod clusters;
mod documents;
mod stranger;
mod tokens;

use std::time::Duration;

use do_cluster_access::api::{DOClusterAccess, Reason};
use do_cluster_access_testbed::simulator::{
    Cluster, Fault, FaultKind, InjectedFault, Operation, Scope,
};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use crate::harness::{Access, Operator, Stage, TOKEN_SECRET, condition, has_condition};

/// A day: long enough that nothing is renewed or expires by itself.
const LIFETIME_SECONDS: i64 = 86_400;
/// The longest that anything waits by the retry rule, its jitter included.
const LONGEST_RETRY: Duration = Duration::from_secs(720);

/// A test for each line: its name, and what it is about.
macro_rules! cases {
    ($($name:ident: $case:expr;)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::bad_input::play(stage!(), $case).await;
            }
        )+
    };
}
use cases;
use stranger::Stranger;

/// What is wrong.
enum Trouble {
    /// DigitalOcean's answers.
    Answer(Fault),
    /// The content of the API token's Secret; `TOKEN` stands for the token.
    Token(&'static [(&'static str, &'static str)]),
    /// The API token's Secret is not there.
    NoTokenSecret,
    /// The API token is not valid any more.
    Revoked,
    /// The API token may do less.
    Scope(Scope),
    /// The cluster is different.
    Cluster(fn(&mut Cluster)),
    /// The cluster is not there.
    NoCluster,
}

/// What ends the consequences, once the trouble is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heals {
    /// The trouble was the API token's: its next probe, or the next look into its Secret.
    Probe,
    /// The access's own retry. With a valid credential published that is minutes away.
    Retry,
    /// The same, with a list of clusters that is younger than the trouble: five minutes old at most.
    RetryWithNewList,
}

struct Case {
    trouble: Trouble,
    /// How it ends; `None`: it does not matter.
    reason: Option<Reason>,
    heals: Heals,
}

impl Case {
    fn works_in_spite_of(trouble: Trouble) -> Self {
        let heals = Heals::Probe;
        Self {
            trouble,
            reason: None,
            heals,
        }
    }

    fn ends_in(trouble: Trouble, reason: Reason, heals: Heals) -> Self {
        let reason = Some(reason);
        Self {
            trouble,
            reason,
            heals,
        }
    }
}

/// A fault of every answer, the list of clusters, which is the token's probe, included.
fn always(kind: FaultKind, reason: Reason) -> Case {
    Case::ends_in(Trouble::Answer(Fault::new(kind)), reason, Heals::Probe)
}

/// A fault of the answer to one operation.
fn on(operation: Operation, kind: FaultKind, reason: Reason) -> Case {
    let heals = if operation.mints() {
        Heals::Retry
    } else {
        Heals::Probe
    };
    Case::ends_in(
        Trouble::Answer(Fault::new(kind).on(operation)),
        reason,
        heals,
    )
}

impl Trouble {
    async fn begin(&self, stage: &Stage, cluster: &str) {
        let simulator = &stage.simulator;
        match self {
            Self::Answer(fault) => {
                stage.inject(fault.clone());
            }
            Self::Token(data) => {
                let data: Vec<_> = data
                    .iter()
                    .map(|(key, value)| (*key, value.replace("TOKEN", &stage.api_token)))
                    .collect();
                let data: Vec<_> = data
                    .iter()
                    .map(|(key, value)| (*key, value.as_str()))
                    .collect();
                stage.put_secret(TOKEN_SECRET, &data).await;
            }
            Self::NoTokenSecret => stage.delete_secret(TOKEN_SECRET).await,
            Self::Revoked => simulator.revoke_token(&stage.api_token).unwrap(),
            Self::Scope(scope) => {
                simulator
                    .add_token(&stage.namespace, &stage.api_token, *scope)
                    .unwrap();
            }
            Self::Cluster(change) => simulator.update_cluster(cluster, change).unwrap(),
            Self::NoCluster => drop(simulator.remove_cluster(cluster).unwrap()),
        }
    }

    async fn end(&self, stage: &Stage, cluster: &str) {
        let simulator = &stage.simulator;
        match self {
            Self::Answer(_) => {
                let ours = |fault: &InjectedFault| {
                    fault.fault.matches.account.as_ref() == Some(&stage.namespace)
                };
                for fault in simulator.faults().into_iter().filter(ours) {
                    simulator.clear_fault(fault.id).unwrap();
                }
            }
            Self::Token(_) | Self::NoTokenSecret => {
                let data = [("access-token", stage.api_token.as_str())];
                stage.put_secret(TOKEN_SECRET, &data).await;
            }
            Self::Revoked | Self::Scope(_) => simulator
                .add_token(&stage.namespace, &stage.api_token, Scope::Full)
                .unwrap(),
            Self::Cluster(_) => simulator
                .update_cluster(cluster, |present| {
                    *present = Cluster {
                        id: cluster.to_owned(),
                        ..stage.cluster("prod")
                    };
                })
                .unwrap(),
            Self::NoCluster => {
                stage.add_cluster(Cluster {
                    id: cluster.to_owned(),
                    ..stage.cluster("prod")
                });
            }
        }
    }
}

/// An access with a valid credential that is asked to rotate it, and one that was never issued for.
struct Scene {
    stage: Stage,
    operator: Operator,
    cluster: String,
    published: Access,
    /// What `published` had before the trouble.
    before: Secret,
    first: Access,
}

impl Scene {
    /// Sets the scene; both accesses are up to something when the trouble has begun.
    async fn set(stage: Stage, trouble: &Trouble) -> Self {
        let operator = Operator::start(&stage).await;
        let cluster = stage.add_cluster(stage.cluster("prod"));
        let spec = json!({"cluster": {"name": "prod"}, "expirySeconds": LIFETIME_SECONDS});
        let published = stage.create_access("published", spec.clone()).await;
        published.ready().await;
        let before = published.secret().await;
        trouble.begin(&stage, &cluster).await;
        // What was read and listed before the trouble is too old to rely on.
        operator.advance(Duration::from_secs(600));
        published.rotate("1").await;
        let first = stage.create_access("first", spec).await;
        Self {
            stage,
            operator,
            cluster,
            published,
            before,
            first,
        }
    }

    async fn ends_in(&self, reason: Reason) {
        let published = self.published.synced(reason.as_str()).await;
        assert!(has_condition(&published, "Ready", "True", "Published"));
        assert_sentence(&published, reason);
        // What works is not called failed.
        assert!(condition(&published, "Stalled").is_none());
        assert!(
            self.published.secret().await == self.before,
            "the Secret was touched"
        );
        let status = published.status.unwrap();
        assert_eq!(status.last_rotate_request, None);

        let first = self.first.synced(reason.as_str()).await;
        assert!(has_condition(&first, "Ready", "False", "NotIssued"));
        assert_sentence(&first, reason);
        let stalled = condition(&first, "Stalled").map(|stalled| stalled.reason.as_str());
        assert_eq!(stalled, reason.stalls().then_some(reason.as_str()));
        let secret = self
            .stage
            .secrets()
            .get_opt(&self.first.secret_name())
            .await
            .unwrap();
        assert!(secret.is_none(), "something was published");
    }

    /// The retry rule: a tenth of what remains, ten minutes at the most, before the published
    /// credential is renewed; seconds before there is one.
    async fn heals(&self, heals: Heals) {
        if heals == Heals::RetryWithNewList {
            self.operator.advance(Duration::from_secs(301));
            self.first.touch("later").await;
        }
        if heals != Heals::Probe {
            // It is not for whoever looks at the access to bring the retry forward.
            self.published.touch("too-early").await;
        }
        self.first.ready().await;
        if heals != Heals::Probe {
            assert!(
                self.published.secret().await == self.before,
                "retried too early"
            );
            self.operator.advance(LONGEST_RETRY);
            self.published.touch("in-time").await;
        }
        self.is_rotated().await;
    }

    async fn is_rotated(&self) {
        let rotated = |access: &DOClusterAccess| {
            let status = access.status.as_ref().unwrap();
            status.last_rotate_request.as_deref() == Some("1")
                && has_condition(access, "Ready", "True", "Published")
                && has_condition(access, "Synced", "True", "UpToDate")
        };
        self.published.until("it is rotated", rotated).await;
        let after = self.published.secret().await;
        assert!(after.data != self.before.data);
        // In place: consumers hold on to the object.
        assert_eq!(after.metadata.uid, self.before.metadata.uid);
    }
}

/// Lets the trouble take its course.
async fn play(stage: Stage, case: Case) {
    let scene = Scene::set(stage, &case.trouble).await;
    if let Some(reason) = case.reason {
        scene.ends_in(reason).await;
        case.trouble.end(&scene.stage, &scene.cluster).await;
        scene.heals(case.heals).await;
    } else {
        scene.first.ready().await;
        scene.is_rotated().await;
    }
}

fn assert_sentence(access: &DOClusterAccess, reason: Reason) {
    let synced = condition(access, "Synced").unwrap();
    assert_eq!(synced.status, "False");
    assert!(
        synced.message.ends_with(reason.sentence()),
        "{}",
        synced.message
    );
}
