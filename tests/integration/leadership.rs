//! Several operators at once: one works, and a change of who it is costs nothing.

use do_cluster_access::controller::Ended;
use serde_json::json;

use crate::harness::{Access, Operator, OperatorProcess, Stage, annotation, eventually};

/// Whether an operator is on its feet but leaves the work to another one.
async fn follows(operator: &OperatorProcess) {
    operator.ready().await;
    let (_, metrics) = operator.get("/metrics").await;
    assert!(!operator.is_leader().await);
    assert!(
        !metrics.contains("do_cluster_access_expiration_timestamp_seconds"),
        "{metrics}"
    );
}

async fn published(stage: &Stage) -> Access {
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    access
}

/// The operators on the stage do what is asked of them, and have minted nothing else since the first issue.
async fn serves(stage: &Stage, access: &Access) {
    assert_eq!(stage.mints().len(), 2);
    let before = access.secret().await;
    access.rotate("after the hand-over").await;
    access.renewed(&before).await;
    access.ready().await;
    assert_eq!(stage.mints().len(), 4);
}

#[tokio::test]
async fn of_two_operators_one_leads_and_hands_over_at_once_when_it_is_stopped() {
    let stage = stage!();
    let mut leader = OperatorProcess::start(&stage, &[]).await;
    leader.leads().await;
    let follower = OperatorProcess::start(&stage, &[]).await;
    follows(&follower).await;
    let access = published(&stage).await;
    leader.terminate().await;
    assert_eq!(leader.ends().await.code(), Some(0));
    follower.leads().await;
    serves(&stage, &access).await;
}

#[tokio::test]
async fn a_leader_that_is_killed_is_succeeded_and_nothing_is_minted_for_it() {
    let stage = stage!();
    let leader = OperatorProcess::start(&stage, &[]).await;
    leader.leads().await;
    let follower = OperatorProcess::start(&stage, &[]).await;
    follows(&follower).await;
    let access = published(&stage).await;
    leader.kill().await;
    follower.leads().await;
    serves(&stage, &access).await;
}

#[tokio::test]
async fn a_leader_whose_lease_was_taken_exits_with_1() {
    use k8s_openapi::api::coordination::v1::Lease;
    let stage = stage!();
    let mut leader = OperatorProcess::start(&stage, &[]).await;
    leader.leads().await;
    let leases: kube::Api<Lease> = kube::Api::namespaced(stage.client.clone(), &stage.namespace);
    let taken = json!({"spec": {"holderIdentity": "somebody else", "leaseDurationSeconds": 3600}});
    let parameters = kube::api::PatchParams::default();
    leases
        .patch(
            "do-cluster-access",
            &parameters,
            &kube::api::Patch::Merge(taken),
        )
        .await
        .unwrap();
    assert_eq!(leader.ends().await.code(), Some(1), "{}", leader.log());
    let log = leader.log();
    assert!(
        log.lines().any(|line| line == "error: leadership was lost"),
        "{log}"
    );
    let holder = leases
        .get("do-cluster-access")
        .await
        .unwrap()
        .spec
        .unwrap()
        .holder_identity;
    assert_eq!(holder.as_deref(), Some("somebody else"));
}

#[tokio::test]
async fn without_leadership_nothing_is_written_any_more() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let access = published(&stage).await;
    eventually("the event is written", async || {
        !access.events().await.is_empty()
    })
    .await;
    assert_eq!(operator.lose_leadership().await, Ended::LeadershipLost);
    let position = stage.audit_position().await;
    stage.delete_secret("prod-kubeconfig").await;
    let successor = Operator::start(&stage).await;
    access
        .secret_until("the successor has healed it", |_| true)
        .await;
    access.ready().await;
    drop(successor);
    assert_eq!(stage.mints().len(), 4);
    let written = stage.operator_requests(position).await;
    let written = written
        .iter()
        .filter(|request| request.verb == "patch" && request.resource == "secrets");
    assert_eq!(written.count(), 1);
}

#[tokio::test]
async fn two_leaders_at_once_mint_at_most_one_issue_too_many_and_agree_in_the_end() {
    let stage = stage!();
    let _one = Operator::start(&stage).await;
    let _other = Operator::start(&stage).await;
    let access = published(&stage).await;
    let secret = access.secret().await;
    assert!(stage.mints().len() <= 4, "{} mints", stage.mints().len());
    access.rotate("now").await;
    // Either may be the last to write, and both see what there is in the end.
    eventually("the Secret is renewed and status tells of it", async || {
        let published = access.secret().await;
        let status = access.get().await.status.unwrap();
        published.data != secret.data
            && status.outputs[0].content_hash == annotation(&published, "content-hash")
    })
    .await;
    access.ready().await;
    assert!(stage.mints().len() <= 8, "{} mints", stage.mints().len());
}
