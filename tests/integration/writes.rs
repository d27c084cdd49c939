//! The API server does not take what the operator writes: the credential is kept, and minted once.

use std::time::Duration;

use do_cluster_access_testbed::simulator::{Fault, FaultKind, Operation};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::harness::{
    Access, Operator, OperatorProcess, Stage, assert_condition, condition, eventually, text,
};

async fn published(stage: &Stage) -> Access {
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    access
}

/// Lets the operator try again `times` times, and waits for each.
async fn tries_again(stage: &Stage, operator: &Operator, access: &Access, times: u32) {
    for time in 0..times {
        let position = stage.audit_position().await;
        // While a credential is valid, up to ten minutes pass between two attempts.
        operator.advance(Duration::from_secs(800));
        access.touch(&time.to_string()).await;
        eventually("it is tried again", async || {
            let requests = stage.operator_requests(position).await;
            requests
                .iter()
                .any(|request| request.verb == "patch" && request.resource == "secrets")
        })
        .await;
    }
}

#[tokio::test]
async fn a_secret_that_a_quota_forbids_is_written_as_soon_as_it_may_be_with_what_was_minted() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let quotas: Api<ResourceQuota> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let quota =
        json!({"metadata": {"name": "no-secrets"}, "spec": {"hard": {"count/secrets": "0"}}});
    let quota = serde_json::from_value(quota).unwrap();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    eventually("the quota is in force", async || {
        let status = quotas.get("no-secrets").await.unwrap().status;
        status.is_some_and(|status| status.used.is_some_and(|used| !used.is_empty()))
    })
    .await;

    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let refused = access.synced("SecretWriteFailed").await;
    assert_eq!(condition(&refused, "Ready").unwrap().status, "False");
    tries_again(&stage, &operator, &access, 3).await;
    assert_eq!(stage.mints().len(), 2);
    quotas
        .delete("no-secrets", &DeleteParams::default())
        .await
        .unwrap();
    operator.advance(Duration::from_secs(800));
    access.touch("the-quota-is-gone").await;
    access.ready().await;
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn a_secret_that_somebody_made_immutable_keeps_its_credential_and_nothing_is_minted_again() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let access = published(&stage).await;
    let before = access.secret().await;
    stage
        .patch_secret("prod-kubeconfig", json!({"immutable": true}))
        .await;
    access.rotate("now").await;
    let refused = access.synced("SecretWriteFailed").await;
    assert_condition(&refused, "Ready", "True", "Published");
    let message = &condition(&refused, "Synced").unwrap().message;
    assert!(message.contains("prod-kubeconfig"), "{message}");
    tries_again(&stage, &operator, &access, 3).await;
    assert_eq!(stage.mints().len(), 4);
    assert!(access.secret().await.data == before.data);

    stage.delete_secret("prod-kubeconfig").await;
    operator.advance(Duration::from_secs(800));
    access.touch("deleted").await;
    access.ready().await;
    assert!(access.secret().await.data != before.data);
    assert_eq!(stage.mints().len(), 4, "what was minted is written at last");
}

#[tokio::test]
async fn a_failure_is_announced_once_and_so_is_the_recovery() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let access = published(&stage).await;
    stage
        .patch_secret("prod-kubeconfig", json!({"immutable": true}))
        .await;
    access
        .patch_spec(json!({"outputs": [{"secretName": "prod-kubeconfig", "labels": {"a": "b"}}]}))
        .await;
    // Labels of an immutable Secret may change.
    access.ready().await;
    access.rotate("now").await;
    access.synced("SecretWriteFailed").await;
    tries_again(&stage, &operator, &access, 2).await;
    stage.delete_secret("prod-kubeconfig").await;
    operator.advance(Duration::from_secs(800));
    access.touch("deleted").await;
    access.ready().await;
    eventually("the recovery is announced", async || {
        access.events().await.len() >= 3
    })
    .await;
    let events = access.events().await;
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event.type_.as_deref().unwrap(),
                event.reason.as_deref().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("Normal", "Issued"),
        ("Warning", "SecretWriteFailed"),
        ("Normal", "Renewed"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_process_that_is_killed_in_the_middle_of_an_issue_costs_one_issue_at_most() {
    let stage = stage!();
    let arguments = &["--leader-elect=false"];
    let operator = OperatorProcess::start(&stage, arguments).await;
    let access = published(&stage).await;
    let before = access.secret().await;
    let delay = stage.inject(Fault::new(FaultKind::Delay(60_000)).on(Operation::GetCredentials));
    access.rotate("now").await;
    eventually("the issue is under way", async || stage.mints().len() == 4).await;
    operator.kill().await;
    stage.simulator.clear_fault(delay).unwrap();
    assert!(access.secret().await.data == before.data);
    let _successor = OperatorProcess::start(&stage, arguments).await;
    let after = access.renewed(&before).await;
    access.ready().await;
    assert!(!text(&after, "token").is_empty());
    assert_eq!(stage.mints().len(), 6);
}

#[tokio::test]
async fn a_clock_that_is_wrong_does_no_harm() {
    let stage = stage!();
    stage.add_cluster(stage.cluster("prod"));
    let minutes = 60;
    let hours = 60 * minutes;
    for (name, lifetime, ahead) in [
        ("hour-ahead", hours, 10 * minutes),
        ("hour-behind", hours, -10 * minutes),
        ("week-ahead", 7 * 24 * hours, 26 * hours),
        ("week-behind", 7 * 24 * hours, -26 * hours),
    ] {
        let operator = Operator::start_with_clock(&stage, ahead).await;
        let before = stage.mints().len();
        let spec = json!({"cluster": {"name": "prod"}, "expirySeconds": lifetime});
        let access = stage.create_access(name, spec).await;
        let ready = access.ready().await;
        let credential = ready.status.unwrap().credential.unwrap();
        let instant = |time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
            time.unwrap().0.as_second()
        };
        let issued_at = instant(credential.issued_at);
        let lasts = instant(credential.expires_at) - issued_at;
        assert!(
            (lifetime - 2..=lifetime).contains(&lasts),
            "{name}: {lasts} s"
        );
        let rests = instant(credential.renew_at) - issued_at;
        let expected = lifetime * 56 / 100..=lifetime * 2 / 3;
        assert!(expected.contains(&rests), "{name}: renewed after {rests} s");
        assert_eq!(stage.mints().len() - before, 2, "{name}");
        access.delete().await;
        stage.secret_gone(&access.secret_name()).await;
        drop(operator);
    }
}
