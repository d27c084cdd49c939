//! What is published is asked about from time to time: does the cluster still accept it?

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use do_cluster_access_testbed::simulator::MintSelector;
use serde_json::json;

use crate::harness::{
    Access, Operator, Stage, assert_condition, condition, eventually, has_condition, text,
};

const HALF_AN_HOUR: Duration = Duration::from_secs(1801);
const A_MINUTE: Duration = Duration::from_secs(61);

/// Everything that was minted for the stage's account is worth nothing from now on.
fn revoke(stage: &Stage) {
    let selector = MintSelector {
        account: Some(stage.namespace.clone()),
        ..MintSelector::default()
    };
    assert!(stage.simulator.revoke_minted(&selector) > 0);
}

/// Lets time pass, and the operator look.
async fn pass(operator: &Operator, access: &Access, time: Duration) {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    operator.advance(time);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    access.touch(&number.to_string()).await;
}

async fn verified(access: &Access, status: &str, reason: &str) {
    let what = format!("Verified is {status} for {reason}");
    access
        .until(&what, |access| {
            has_condition(access, "Verified", status, reason)
        })
        .await;
}

#[tokio::test]
async fn a_credential_that_the_cluster_accepts_no_longer_is_replaced_after_three_rejections() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let ready = access.ready().await;
    assert_condition(&ready, "Verified", "True", "Accepted");
    let before = access.secret().await;
    revoke(&stage);

    pass(&operator, &access, HALF_AN_HOUR).await;
    verified(&access, "False", "Rejected").await;
    let told = access.get().await;
    assert_condition(&told, "Ready", "True", "Published");
    let credential = told.status.unwrap().credential.unwrap();
    assert!(
        credential.verified_at.is_some(),
        "when it was accepted last stays"
    );
    assert_eq!(
        access.secret().await.data,
        before.data,
        "one rejection is no verdict"
    );
    assert_eq!(stage.mints().len(), 2);

    pass(&operator, &access, A_MINUTE).await;
    pass(&operator, &access, A_MINUTE).await;
    eventually("another credential is published", async || {
        pass(&operator, &access, A_MINUTE).await;
        text(&access.secret().await, "token") != text(&before, "token")
    })
    .await;
    verified(&access, "True", "Accepted").await;
    access.ready().await;
    assert_eq!(stage.mints().len(), 4);
    eventually("the rejection and the issue are events", async || {
        let events = access.events().await;
        let has = |word: &str| {
            let mut reasons = events.iter().filter_map(|event| event.reason.as_deref());
            reasons.any(|reason| reason == word)
        };
        has("Rejected") && has("Renewed")
    })
    .await;
}

#[tokio::test]
async fn a_cluster_that_accepts_the_credential_again_is_believed() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let transition = |access: &do_cluster_access::api::DOClusterAccess| {
        condition(access, "Verified")
            .unwrap()
            .last_transition_time
            .clone()
    };
    let ready = access.ready().await;
    let written = ready.metadata.resource_version.clone();
    for _ in 0..3 {
        pass(&operator, &access, HALF_AN_HOUR).await;
    }
    let fence = stage
        .create_access("fence", json!({"cluster": {"name": "prod"}}))
        .await;
    fence.ready().await;
    let after = access.get().await;
    assert_ne!(after.metadata.resource_version, written, "it was touched");
    assert_eq!(
        after.status, ready.status,
        "an answer that is the same is not written"
    );
    assert_eq!(transition(&after), transition(&ready));
}

#[tokio::test]
async fn with_verification_off_nobody_asks_and_nothing_is_replaced() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let spec = json!({"cluster": {"name": "prod"}, "verification": "Off"});
    let access = stage.create_access("prod", spec).await;
    access.ready().await;
    revoke(&stage);
    for _ in 0..6 {
        pass(&operator, &access, HALF_AN_HOUR).await;
    }
    let fence = stage
        .create_access("fence", json!({"cluster": {"name": "prod"}}))
        .await;
    fence.ready().await;
    assert_condition(&access.get().await, "Verified", "Unknown", "Off");
    let of_access = stage.mints().len() - 2;
    assert_eq!(of_access, 2);
}
