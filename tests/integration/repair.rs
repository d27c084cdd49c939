//! Drift: whoever changes the Secret finds it repaired, at the least cost that is possible.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::harness::{Access, Operator, Stage, annotation, eventually, summary, text};

/// An operator, and an access whose credential is published.
struct Scene {
    stage: Stage,
    access: Access,
    _operator: Operator,
}

impl Scene {
    async fn set(stage: Stage) -> Self {
        let operator = Operator::start(&stage).await;
        stage.add_cluster(stage.cluster("prod"));
        stage.add_cluster(stage.cluster("fence"));
        let spec = json!({"cluster": {"name": "prod"}, "outputs": [
            {"secretName": "prod-kubeconfig", "labels": {"team": "payments"}},
        ]});
        let access = stage.create_access("prod", spec).await;
        access.ready().await;
        Self {
            stage,
            access,
            _operator: operator,
        }
    }

    /// Applies `patch` to the Secret, and waits until it is as it was, with the same credential and no mint.
    async fn is_repaired(&self, patch: Value) {
        let before = self.access.secret().await;
        self.stage.patch_secret("prod-kubeconfig", patch).await;
        let after = self
            .access
            .secret_until("it is as it was", |secret| same(secret, &before))
            .await;
        assert_ne!(
            after.metadata.resource_version,
            before.metadata.resource_version
        );
        assert_eq!(after.metadata.uid, before.metadata.uid);
        self.access.ready().await;
        assert_eq!(self.stage.mints().len(), 2, "a repair minted");
    }
}

/// Whether two Secrets are the same but for their version.
fn same(one: &Secret, other: &Secret) -> bool {
    one.data == other.data
        && one.metadata.labels == other.metadata.labels
        && one.metadata.annotations == other.metadata.annotations
        && one.metadata.owner_references == other.metadata.owner_references
}

#[tokio::test]
async fn a_label_that_was_removed_comes_back_without_a_mint() {
    let scene = Scene::set(stage!()).await;
    scene
        .is_repaired(json!({"metadata": {"labels": {"team": null}}}))
        .await;
}

#[tokio::test]
async fn a_label_that_was_edited_is_set_back_without_a_mint() {
    let scene = Scene::set(stage!()).await;
    scene
        .is_repaired(json!({"metadata": {"labels": {"team": "mine"}}}))
        .await;
}

#[tokio::test]
async fn the_label_with_the_name_of_the_access_comes_back_without_a_mint() {
    let scene = Scene::set(stage!()).await;
    scene
        .is_repaired(json!({"metadata": {"labels": {"doclusteraccess.dev/access": null}}}))
        .await;
}

#[tokio::test]
async fn the_label_that_the_operator_watches_by_comes_back_without_a_mint() {
    let scene = Scene::set(stage!()).await;
    scene
        .is_repaired(json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}))
        .await;
}

#[tokio::test]
async fn the_owner_reference_comes_back_without_a_mint() {
    let scene = Scene::set(stage!()).await;
    scene
        .is_repaired(json!({"metadata": {"ownerReferences": null}}))
        .await;
}

#[tokio::test]
async fn a_mark_that_was_edited_to_what_cannot_be_true_leads_to_an_issue_and_not_to_a_false_expiry()
{
    let scene = Scene::set(stage!()).await;
    let before = scene.access.secret().await;
    let lie = json!({"metadata": {"annotations": {
        "doclusteraccess.dev/expires-at": "2999-01-01T00:00:00Z",
    }}});
    scene.stage.patch_secret("prod-kubeconfig", lie).await;
    let after = scene.access.renewed(&before).await;
    assert!(annotation(&after, "expires-at").starts_with("20"));
    assert_ne!(annotation(&after, "expires-at"), "2999-01-01T00:00:00Z");
    scene.access.ready().await;
    assert_eq!(scene.stage.mints().len(), 4);
}

#[tokio::test]
async fn a_deleted_secret_is_there_again_with_a_credential_that_works() {
    let scene = Scene::set(stage!()).await;
    let before = scene.access.secret().await;
    scene.stage.delete_secret("prod-kubeconfig").await;
    let after = scene
        .access
        .secret_until("it is there again", |_| true)
        .await;
    assert_ne!(after.metadata.uid, before.metadata.uid);
    scene.access.ready().await;
    assert_eq!(scene.stage.mints().len(), 4);
    assert!(
        crate::harness::whoami(&text(&after, "kubeconfig"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn edited_data_is_replaced_by_a_new_credential() {
    let scene = Scene::set(stage!()).await;
    let before = scene.access.secret().await;
    let patch = json!({"stringData": {"token": "something else"}});
    scene.stage.patch_secret("prod-kubeconfig", patch).await;
    let after = scene.access.renewed(&before).await;
    assert_ne!(text(&after, "token"), "something else");
    assert_eq!(after.metadata.uid, before.metadata.uid);
    scene.access.ready().await;
    assert_eq!(scene.stage.mints().len(), 4);
}

#[tokio::test]
async fn a_removed_key_is_replaced_by_a_new_credential() {
    let scene = Scene::set(stage!()).await;
    let before = scene.access.secret().await;
    scene
        .stage
        .patch_secret("prod-kubeconfig", json!({"data": {"kubeconfig": null}}))
        .await;
    let after = scene
        .access
        .secret_until("it has its key again", |secret| {
            !text(secret, "kubeconfig").is_empty()
        })
        .await;
    assert_eq!(after.metadata.uid, before.metadata.uid);
    scene.access.ready().await;
    assert_eq!(scene.stage.mints().len(), 4);
}

#[tokio::test]
async fn a_damaged_secret_is_healed_from_another_output_of_the_same_issue_without_a_mint() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let outputs = json!([{"secretName": "one"}, {"secretName": "two"}]);
    let spec = json!({"cluster": {"name": "prod"}, "outputs": outputs});
    let access = stage.create_access("prod", spec).await;
    access.ready().await;
    let intact = stage.secrets().get("two").await.unwrap();

    stage.delete_secret("one").await;
    let healed = stage
        .secret_until("one", "it is there again", |_| true)
        .await;
    assert!(healed.data == intact.data);
    access.ready().await;

    stage
        .patch_secret("two", json!({"stringData": {"kubeconfig": "broken"}}))
        .await;
    stage
        .secret_until("two", "it is healed", |secret| secret.data == intact.data)
        .await;
    access.ready().await;
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn what_others_add_to_the_secret_stays_and_makes_the_operator_do_nothing() {
    let scene = Scene::set(stage!()).await;
    let stage = &scene.stage;
    let fence = stage
        .create_access("fence", json!({"cluster": {"name": "fence"}}))
        .await;
    fence.ready().await;
    eventually("the event is written", async || {
        !fence.events().await.is_empty()
    })
    .await;

    let position = stage.audit_position().await;
    let addition = json!({
        "metadata": {
            "annotations": {"example.com/checked": "yes"},
            "labels": {"example.com/checked": "yes"},
        },
        "stringData": {"theirs": "kept"},
    });
    stage.patch_secret("prod-kubeconfig", addition).await;
    // Told by the same watch, later: once this has been acted on, the addition has been seen.
    let gone = json!({"metadata": {"labels": {"doclusteraccess.dev/access": null}}});
    stage.patch_secret("fence-kubeconfig", gone).await;
    fence
        .secret_until("the fence is repaired", |secret| {
            secret
                .metadata
                .labels
                .as_ref()
                .unwrap()
                .contains_key("doclusteraccess.dev/access")
        })
        .await;
    let requests = stage.operator_requests(position).await;
    let about_prod: Vec<_> = requests
        .iter()
        .filter(|request| request.name.starts_with("prod"))
        .cloned()
        .collect();
    assert!(about_prod.is_empty(), "{:?}", summary(&about_prod));

    // A renewal leaves them alone, too.
    let before = scene.access.secret().await;
    scene.access.rotate("now").await;
    let after = scene.access.renewed(&before).await;
    assert_eq!(text(&after, "theirs"), "kept");
    assert_eq!(
        after.metadata.annotations.unwrap()["example.com/checked"],
        "yes"
    );
}

#[tokio::test]
async fn a_status_that_somebody_else_wrote_is_set_right_without_a_mint() {
    let scene = Scene::set(stage!()).await;
    let before = scene.access.get().await.status;
    let lie =
        json!({"status": {"conditions": [], "credential": null, "outputs": [], "cluster": null}});
    let parameters = kube::api::PatchParams::default();
    let access = &scene.access;
    access
        .api
        .patch_status(&access.name, &parameters, &kube::api::Patch::Merge(lie))
        .await
        .unwrap();
    let after = access.ready().await.status;
    let credential = |status: &Option<do_cluster_access::api::DOClusterAccessStatus>| {
        let credential = status.as_ref().unwrap().credential.clone().unwrap();
        (
            credential.issued_at,
            credential.expires_at,
            credential.renew_at,
        )
    };
    assert_eq!(credential(&after), credential(&before));
    assert_eq!(after.unwrap().outputs, before.unwrap().outputs);
    assert_eq!(scene.stage.mints().len(), 2);
}
