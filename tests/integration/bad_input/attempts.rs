//! How often, and how far apart, it is tried again.

use std::time::Duration;

use do_cluster_access_testbed::simulator::{ErrorBody, Fault, FaultKind, Moment, Operation};
use serde_json::json;

use super::LONGEST_RETRY;
use crate::harness::{Operator, Stage, annotation, has_condition};

fn internal_error() -> FaultKind {
    FaultKind::Status {
        code: 500,
        body: ErrorBody::Json,
        retry_after: None,
    }
}

/// How many requests for that were made about a cluster.
fn requests(stage: &Stage, cluster: &str, operation: Operation) -> usize {
    let requests = stage.digitalocean_requests();
    let about = requests.iter().filter(|request| {
        request.operation == Some(operation) && request.cluster.as_deref() == Some(cluster)
    });
    about.count()
}

#[tokio::test]
async fn a_renewal_that_failed_comes_again_after_minutes_and_not_after_a_share_of_the_lifetime() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    // A week: issues that were due are 8.4 hours apart.
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    let before = access.secret().await;
    stage.inject(
        Fault::new(internal_error())
            .on(Operation::GetCredentials)
            .times(1),
    );
    operator.advance(Duration::from_secs(5 * 86_400));
    access.touch("due").await;
    access.synced("ApiUnavailable").await;
    operator.advance(LONGEST_RETRY);
    access.touch("in-time").await;
    access.renewed(&before).await;
    access.ready().await;
}

#[tokio::test]
async fn the_half_of_an_issue_that_succeeded_is_not_asked_for_again() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    let cluster = stage.add_cluster(stage.cluster("prod"));
    stage.inject(
        Fault::new(internal_error())
            .on(Operation::GetKubeconfig)
            .times(2),
    );
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    assert_eq!(requests(&stage, &cluster, Operation::GetCredentials), 1);
    assert_eq!(requests(&stage, &cluster, Operation::GetKubeconfig), 3);
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn after_two_lost_answers_in_a_row_the_next_attempts_come_twelve_minutes_apart() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let cluster = stage.add_cluster(stage.cluster("prod"));
    stage.add_cluster(stage.cluster("fence"));
    let lost = FaultKind::ConnectionReset(Moment::AfterEffect);
    let fault = Fault::new(lost)
        .on(Operation::GetCredentials)
        .of_cluster(&cluster);
    let fault = stage.inject(fault);
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let attempts = || requests(&stage, &cluster, Operation::GetCredentials);
    let mut made = 1;
    access.synced("ApiUnavailable").await;
    // Each look finds the retry due, until the limit is met.
    while !limit_is_reached(&access.get().await) {
        assert!(made <= 3, "{made} attempts within minutes");
        operator.advance(Duration::from_secs(60));
        access.touch(&made.to_string()).await;
        crate::harness::eventually("the operator has looked", async || {
            attempts() > made || limit_is_reached(&access.get().await)
        })
        .await;
        made = attempts();
    }
    assert_eq!(made, 3, "the first was due");
    let refused = access.synced("IssueLimitReached").await;
    assert!(has_condition(&refused, "Ready", "False", "NotIssued"));
    let message = &crate::harness::condition(&refused, "Synced")
        .unwrap()
        .message;
    assert!(
        message.starts_with("ApiUnavailable"),
        "it says what used the limit up: {message}"
    );

    // Nor does the refusal itself bring the next attempt nearer.
    for look in ["once", "twice", "again"] {
        operator.advance(Duration::from_secs(120));
        access.touch(look).await;
        let fence = stage
            .create_access(look, json!({"cluster": {"name": "fence"}}))
            .await;
        fence.ready().await;
    }
    assert_eq!(attempts(), 3);

    stage.simulator.clear_fault(fault).unwrap();
    operator.advance(Duration::from_secs(720));
    access.touch("twelve-minutes-later").await;
    access.ready().await;
    assert_eq!(attempts(), 4);
    assert!(!annotation(&access.secret().await, "expires-at").is_empty());
}

fn limit_is_reached(access: &do_cluster_access::api::DOClusterAccess) -> bool {
    has_condition(access, "Synced", "False", "IssueLimitReached")
}
