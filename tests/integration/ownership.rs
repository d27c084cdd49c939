//! Whose Secret it is: what the operator takes, leaves, lets go and removes.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::harness::{Operator, Stage, annotation, assert_condition, condition, text};

fn secret(value: Value) -> Secret {
    serde_json::from_value(value).unwrap()
}

async fn create(stage: &Stage, value: Value) -> Secret {
    stage
        .secrets()
        .create(&PostParams::default(), &secret(value))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_foreign_secret_is_refused_before_anything_is_minted_and_the_access_heals_when_it_goes() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let foreign = create(
        &stage,
        json!({"metadata": {"name": "prod-kubeconfig"}, "stringData": {"kubeconfig": "theirs"}}),
    )
    .await;
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let refused = access.synced("SecretConflict").await;
    assert_condition(&refused, "Stalled", "True", "SecretConflict");
    assert!(condition(&refused, "Ready").is_some_and(|ready| ready.status == "False"));
    let message = &condition(&refused, "Synced").unwrap().message;
    assert!(
        message.contains("prod-kubeconfig") && message.contains("adopt"),
        "{message}"
    );
    let untouched = access.secret().await;
    assert_eq!(
        untouched.metadata.resource_version,
        foreign.metadata.resource_version
    );
    assert_eq!(stage.mints().len(), 0);

    stage.delete_secret("prod-kubeconfig").await;
    let healed = access.ready().await;
    assert!(condition(&healed, "Stalled").is_none());
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn an_adopted_secret_keeps_its_identity_and_what_else_is_in_it_and_has_no_owner() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let foreign = create(
        &stage,
        json!({
            "metadata": {"name": "shared", "labels": {"app": "theirs"}},
            "stringData": {"kubeconfig": "theirs", "other": "kept"},
        }),
    )
    .await;
    let spec =
        json!({"cluster": {"name": "prod"}, "outputs": [{"secretName": "shared", "adopt": true}]});
    let access = stage.create_access("prod", spec).await;
    access.ready().await;
    let adopted = stage.secrets().get("shared").await.unwrap();
    assert_eq!(adopted.metadata.uid, foreign.metadata.uid);
    assert_eq!(text(&adopted, "other"), "kept");
    assert_ne!(text(&adopted, "kubeconfig"), "theirs");
    assert_eq!(adopted.metadata.labels.as_ref().unwrap()["app"], "theirs");
    assert!(adopted.metadata.owner_references.is_none());
    assert_eq!(stage.mints().len(), 2);

    // An adopted Secret is let go, never deleted.
    access
        .patch_spec(json!({"outputs": [{"secretName": "own"}]}))
        .await;
    access.ready().await;
    let released = stage
        .secret_until("shared", "it is let go", is_released)
        .await;
    assert_eq!(released.metadata.uid, foreign.metadata.uid);
    assert_eq!(text(&released, "other"), "kept");
}

#[tokio::test]
async fn an_adopted_secret_outlives_its_access() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    create(&stage, json!({"metadata": {"name": "shared"}})).await;
    let outputs = json!([{"secretName": "shared", "adopt": true}, {"secretName": "own"}]);
    let access = stage
        .create_access(
            "prod",
            json!({"cluster": {"name": "prod"}, "outputs": outputs}),
        )
        .await;
    access.ready().await;
    access.delete().await;
    stage.secret_gone("own").await;
    assert!(stage.secrets().get_opt("shared").await.unwrap().is_some());
}

#[tokio::test]
async fn a_secret_of_another_type_is_a_conflict_even_when_it_may_be_adopted() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let foreign = create(
        &stage,
        json!({"metadata": {"name": "shared"}, "type": "example.com/other"}),
    )
    .await;
    let spec =
        json!({"cluster": {"name": "prod"}, "outputs": [{"secretName": "shared", "adopt": true}]});
    let access = stage.create_access("prod", spec).await;
    access.synced("SecretConflict").await;
    let untouched = stage.secrets().get("shared").await.unwrap();
    assert_eq!(
        untouched.metadata.resource_version,
        foreign.metadata.resource_version
    );
    assert_eq!(stage.mints().len(), 0);
}

#[tokio::test]
async fn a_conflict_concerns_its_output_alone() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    create(&stage, json!({"metadata": {"name": "taken"}})).await;
    let outputs = json!([{"secretName": "free"}, {"secretName": "taken"}]);
    let access = stage
        .create_access(
            "prod",
            json!({"cluster": {"name": "prod"}, "outputs": outputs}),
        )
        .await;
    let partly = access.synced("SecretConflict").await;
    assert_condition(&partly, "Ready", "False", "OutputMissing");
    let free = stage.secrets().get("free").await.unwrap();
    assert_eq!(stage.mints().len(), 2);

    stage.delete_secret("taken").await;
    // While a credential is valid, ten minutes pass between two attempts.
    operator.advance(Duration::from_secs(800));
    access.touch("once").await;
    access.ready().await;
    assert!(stage.secrets().get("taken").await.unwrap().data == free.data);
    assert_eq!(stage.mints().len(), 2, "the credential is there already");
}

#[tokio::test]
async fn the_secret_goes_with_the_access() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    access.delete().await;
    stage.secret_gone("prod-kubeconfig").await;
    assert_eq!(stage.mints().len(), 2, "a Secret was healed that was to go");
}

#[tokio::test]
async fn a_retained_secret_outlives_its_access_and_is_not_served_any_more() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let spec = |policy: &str| json!({"cluster": {"name": "prod"}, "deletionPolicy": policy});
    let kept = stage.create_access("kept", spec("Retain")).await;
    let owned = stage.create_access("owned", spec("Delete")).await;
    kept.ready().await;
    owned.ready().await;
    let before = kept.secret().await;
    assert!(before.metadata.owner_references.is_none());
    kept.delete().await;
    owned.delete().await;
    stage.secret_gone("owned-kubeconfig").await;
    assert!(kept.secret().await.data == before.data);

    // Nobody takes it by accident, not even an access of the same name.
    let successor = stage.create_access("kept", spec("Retain")).await;
    let refused = successor.synced("SecretConflict").await;
    assert_condition(&refused, "Stalled", "True", "SecretConflict");
    assert!(successor.secret().await.data == before.data);
    drop(operator);
}

#[tokio::test]
async fn a_changed_deletion_policy_is_applied_to_the_secret_without_a_mint() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    let before = access.secret().await;
    access.patch_spec(json!({"deletionPolicy": "Retain"})).await;
    access.ready().await;
    let retained = access.secret().await;
    assert!(
        retained
            .metadata
            .owner_references
            .unwrap_or_default()
            .is_empty()
    );
    access.patch_spec(json!({"deletionPolicy": null})).await;
    access.ready().await;
    let owned = access.secret().await;
    assert_eq!(
        owned.metadata.owner_references,
        before.metadata.owner_references
    );
    assert_eq!(owned.metadata.uid, before.metadata.uid);
    assert!(owned.data == before.data);
    assert_eq!(stage.mints().len(), 2);
}

/// Whether nothing says any more that a Secret belongs to an access.
fn is_released(secret: &Secret) -> bool {
    let labels = secret.metadata.labels.clone().unwrap_or_default();
    !labels.contains_key("doclusteraccess.dev/access")
        && annotation(secret, "access-uid").is_empty()
        && secret
            .metadata
            .owner_references
            .as_ref()
            .is_none_or(Vec::is_empty)
}

#[tokio::test]
async fn an_output_that_leaves_the_spec_is_deleted() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let outputs = json!([{"secretName": "one"}, {"secretName": "two"}]);
    let access = stage
        .create_access(
            "prod",
            json!({"cluster": {"name": "prod"}, "outputs": outputs}),
        )
        .await;
    access.ready().await;
    access
        .patch_spec(json!({"outputs": [{"secretName": "one"}]}))
        .await;
    stage.secret_gone("two").await;
    access.ready().await;
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn with_retain_an_output_that_leaves_the_spec_is_let_go_with_all_that_is_in_it() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let outputs =
        json!([{"secretName": "one"}, {"secretName": "two", "labels": {"team": "payments"}}]);
    let spec = json!({"cluster": {"name": "prod"}, "deletionPolicy": "Retain", "outputs": outputs});
    let access = stage.create_access("prod", spec).await;
    access.ready().await;
    let before = stage.secrets().get("two").await.unwrap();
    access
        .patch_spec(json!({"outputs": [{"secretName": "one"}]}))
        .await;
    let released = stage.secret_until("two", "it is let go", is_released).await;
    access.ready().await;
    assert!(released.data == before.data);
    assert_eq!(released.metadata.uid, before.metadata.uid);
    assert_eq!(released.metadata.labels.unwrap()["team"], "payments");
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn a_renamed_output_holds_the_same_credential_and_the_old_secret_goes() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    let before = access.secret().await;
    access
        .patch_spec(json!({"outputs": [{"secretName": "renamed"}]}))
        .await;
    let renamed = stage.secret_until("renamed", "it is there", |_| true).await;
    stage.secret_gone("prod-kubeconfig").await;
    access.ready().await;
    assert!(renamed.data == before.data);
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn an_access_that_was_deleted_and_made_again_inherits_nothing() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let spec = json!({"cluster": {"name": "prod"}});
    let access = stage.create_access("prod", spec.clone()).await;
    let uid = access.ready().await.metadata.uid.unwrap();
    let before = access.secret().await;
    access
        .api
        .delete(&access.name, &DeleteParams::background())
        .await
        .unwrap();
    let namesake = stage.create_access("prod", spec).await;
    let ready = namesake.ready().await;
    assert_ne!(ready.metadata.uid.as_ref(), Some(&uid));
    let after = namesake.secret().await;
    assert_ne!(after.metadata.uid, before.metadata.uid);
    assert!(after.data != before.data);
    assert_eq!(
        annotation(&after, "access-uid"),
        ready.metadata.uid.unwrap()
    );
    assert_eq!(stage.mints().len(), 4);
}

#[tokio::test]
async fn two_accesses_that_want_the_same_secret_do_not_fight_over_it() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let spec = json!({"cluster": {"name": "prod"}, "outputs": [{"secretName": "wanted"}]});
    let first = stage.create_access("first", spec.clone()).await;
    first.ready().await;
    let second = stage.create_access("second", spec).await;
    second.synced("SecretConflict").await;
    first.ready().await;
    let wanted = stage.secrets().get("wanted").await.unwrap();
    assert_eq!(
        wanted.metadata.labels.unwrap()["doclusteraccess.dev/access"],
        "first"
    );
    assert_eq!(stage.mints().len(), 2);
}
