//! What it costs: requests to the API server, counted from its audit log, and calls to DigitalOcean.

use std::time::Duration;

use do_cluster_access_testbed::control_plane::audit::{Position, Request};
use do_cluster_access_testbed::simulator::Operation;
use serde_json::json;
use tokio::time::sleep;

use crate::harness::{Access, Operator, OperatorProcess, Stage, eventually, summary};

/// What the operator asked of the API server since `position`. An operator of chosen namespaces asks, ever more
/// rarely, whether it serves accounts by now: that comes at any time, whatever is being done, and is left out.
async fn requests_since(stage: &Stage, position: Position) -> Vec<Request> {
    let mut made = stage.operator_requests(position).await;
    made.retain(|request| request.resource != "doaccounts");
    made
}

/// [`requests_since`], once `events` have been written about `access`.
async fn requests(
    stage: &Stage,
    access: &Access,
    events: usize,
    position: Position,
) -> Vec<Request> {
    eventually("the event is written", async || {
        access.events().await.len() >= events
    })
    .await;
    requests_since(stage, position).await
}

#[tokio::test]
async fn a_first_issue_takes_five_requests_and_four_where_the_token_was_read_for_another_access() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    for name in ["first", "second"] {
        stage.add_cluster(stage.cluster(name));
    }
    for (name, expected) in [("first", 5), ("second", 4)] {
        let position = stage.audit_position().await;
        let access = stage
            .create_access(name, json!({"cluster": {"name": name}}))
            .await;
        access.ready().await;
        let made = requests(&stage, &access, 1, position).await;
        assert!(made.len() <= expected, "{:#?}", summary(&made));
    }
}

#[tokio::test]
async fn a_renewal_takes_four_requests_and_two_minting_calls() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let spec = json!({"cluster": {"name": "prod"}, "expirySeconds": 600});
    let access = stage.create_access("prod", spec).await;
    access.ready().await;
    let before = access.secret().await;
    requests(&stage, &access, 1, stage.audit_position().await).await;

    // Due after 340 to 400 s. The operator notices by itself: a change that made it look might come while it
    // looks already, and a status that is refused for it is a request more.
    let position = stage.audit_position().await;
    operator.advance(Duration::from_secs(400));
    access.renewed(&before).await;
    access.ready().await;
    let made = requests(&stage, &access, 2, position).await;
    // The token's Secret is among them, since it was read more than five minutes ago.
    assert!(made.len() <= 5, "{:#?}", summary(&made));
    assert_eq!(stage.mints().len(), 4);
    let lists = stage.digitalocean_requests();
    let lists = lists
        .iter()
        .filter(|entry| entry.operation == Some(Operation::ListClusters));
    assert_eq!(lists.count(), 2);
}

#[tokio::test]
async fn an_operator_without_work_makes_no_request_for_a_minute_but_its_watches_and_the_lease() {
    let stage = stage!();
    let operator = OperatorProcess::start(&stage, &[]).await;
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    requests(&stage, &access, 1, stage.audit_position().await).await;

    let position = stage.audit_position().await;
    let calls = stage.digitalocean_requests().len();
    // What is tested is that nothing happens meanwhile.
    sleep(Duration::from_secs(60)).await;
    let made = requests_since(&stage, position).await;
    assert!(made.is_empty(), "{:#?}", summary(&made));
    assert_eq!(stage.digitalocean_requests().len(), calls);
    let all = stage.all_operator_requests(position).await;
    let lease = all
        .iter()
        .filter(|request| request.resource == "leases")
        .count();
    // A read and a write every three seconds.
    assert!(
        (2..=44).contains(&lease),
        "{lease} requests about the lease"
    );
    assert_eq!(operator.get("/livez").await.0, 200);
}

#[tokio::test]
async fn accesses_that_share_a_token_share_its_list_of_clusters() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let names: Vec<_> = (0..8).map(|number| format!("access-{number}")).collect();
    let mut accesses = Vec::new();
    for name in &names {
        accesses.push(
            stage
                .create_access(name, json!({"cluster": {"name": "prod"}}))
                .await,
        );
    }
    for access in &accesses {
        access.ready().await;
    }
    let requests = stage.digitalocean_requests();
    let lists = requests
        .iter()
        .filter(|entry| entry.operation == Some(Operation::ListClusters));
    assert_eq!(lists.count(), 1);
}
