//! What makes the operator issue a credential, and what does not.

use std::time::Duration;

use do_cluster_access_testbed::simulator::Operation;
use serde_json::{Value, json};

use crate::harness::{
    Access, Operator, Stage, assert_condition, condition, eventually, has_condition, summary,
};

/// An operator, an access whose credential is published, and another one to compare with.
struct Scene {
    stage: Stage,
    access: Access,
    fence: Access,
    operator: Operator,
    cluster: String,
}

impl Scene {
    async fn set(stage: Stage) -> Self {
        let operator = Operator::start(&stage).await;
        let cluster = stage.add_cluster(stage.cluster("prod"));
        stage.add_cluster(stage.cluster("fence"));
        let spec = |name: &str| json!({"cluster": {"name": name}, "expirySeconds": 7200});
        let access = stage.create_access("prod", spec("prod")).await;
        let fence = stage.create_access("fence", spec("fence")).await;
        access.ready().await;
        fence.ready().await;
        Self {
            stage,
            access,
            fence,
            operator,
            cluster,
        }
    }

    fn mints(&self) -> usize {
        self.stage
            .mints()
            .iter()
            .filter(|mint| mint.cluster == self.cluster)
            .count()
    }

    /// Returns when the operator has seen, and acted on, all that was done to accesses and Secrets before.
    async fn all_is_seen(&self) {
        let before = self.fence.secret().await;
        let value = before.metadata.resource_version.clone().unwrap();
        self.fence.rotate(&value).await;
        self.fence.renewed(&before).await;
        self.fence
            .until("the forced rotation is over", |access| {
                access.status.as_ref().unwrap().last_rotate_request.as_ref() == Some(&value)
            })
            .await;
    }

    /// A change of the spec leads to one issue.
    async fn issues_once(&self, patch: Value) {
        let before = (self.access.secret().await, self.mints());
        self.access.patch_spec(patch).await;
        self.access.renewed(&before.0).await;
        self.access.ready().await;
        self.all_is_seen().await;
        let rendered = self.access.get().await.spec.kubeconfig_source
            == do_cluster_access::api::KubeconfigSource::Rendered;
        assert_eq!(self.mints(), before.1 + if rendered { 1 } else { 2 });
    }

    /// A change of the access leads to none.
    async fn issues_nothing(&self, patch: Value) {
        let before = self.access.secret().await;
        self.access.patch(patch).await;
        self.access.ready().await;
        self.all_is_seen().await;
        self.access.ready().await;
        assert_eq!(self.mints(), 2);
        assert!(self.access.secret().await.data == before.data);
    }
}

#[tokio::test]
async fn another_lifetime_leads_to_one_issue() {
    let scene = Scene::set(stage!()).await;
    scene.issues_once(json!({"expirySeconds": 3600})).await;
}

#[tokio::test]
async fn another_source_of_the_kubeconfig_leads_to_one_issue() {
    let scene = Scene::set(stage!()).await;
    scene
        .issues_once(json!({"kubeconfigSource": "Rendered"}))
        .await;
    scene
        .issues_once(json!({"kubeconfigSource": "DigitalOcean"}))
        .await;
}

#[tokio::test]
async fn another_secret_for_the_api_token_leads_to_one_issue() {
    let scene = Scene::set(stage!()).await;
    let token = &[("token", scene.stage.api_token.as_str())];
    scene.stage.put_secret("renamed", token).await;
    let reference = json!({"name": "renamed", "key": "token"});
    scene
        .issues_once(json!({"tokenSecretRef": reference}))
        .await;
}

#[tokio::test]
async fn another_cluster_leads_to_one_issue_for_that_cluster() {
    let mut scene = Scene::set(stage!()).await;
    scene.cluster = scene.stage.add_cluster(scene.stage.cluster("successor"));
    // The operator's list of clusters may be five minutes old.
    scene.operator.advance(Duration::from_secs(301));
    scene
        .issues_once(json!({"cluster": {"name": "successor"}}))
        .await;
    let status = scene.access.get().await.status.unwrap();
    assert_eq!(status.cluster.unwrap().id, Some(scene.cluster));
}

#[tokio::test]
async fn another_margin_moves_the_renewal_and_issues_nothing() {
    let scene = Scene::set(stage!()).await;
    let renew_at = |access: &do_cluster_access::api::DOClusterAccess| {
        access
            .status
            .as_ref()
            .unwrap()
            .credential
            .as_ref()
            .unwrap()
            .renew_at
            .clone()
            .unwrap()
            .0
    };
    let before = renew_at(&scene.access.get().await);
    scene
        .issues_nothing(json!({"spec": {"renewBeforeSeconds": 60}}))
        .await;
    assert!(renew_at(&scene.access.get().await) > before);
}

#[tokio::test]
async fn another_verification_policy_issues_nothing() {
    let scene = Scene::set(stage!()).await;
    scene
        .issues_nothing(json!({"spec": {"verification": "Required"}}))
        .await;
}

#[tokio::test]
async fn a_label_or_annotation_on_the_access_issues_nothing() {
    let scene = Scene::set(stage!()).await;
    let metadata =
        json!({"labels": {"team": "payments"}, "annotations": {"example.com/note": "x"}});
    scene.issues_nothing(json!({"metadata": metadata})).await;
}

#[tokio::test]
async fn labels_and_annotations_of_an_output_change_in_place_and_issue_nothing() {
    let scene = Scene::set(stage!()).await;
    let output = json!({"secretName": "prod-kubeconfig", "labels": {"team": "payments"}});
    scene
        .issues_nothing(json!({"spec": {"outputs": [output]}}))
        .await;
    let labels = scene.access.secret().await.metadata.labels.unwrap();
    assert_eq!(labels["team"], "payments");
    scene
        .issues_nothing(json!({"spec": {"outputs": [{"secretName": "prod-kubeconfig"}]}}))
        .await;
    let labels = scene.access.secret().await.metadata.labels.unwrap();
    assert!(!labels.contains_key("team"));
}

#[tokio::test]
async fn another_output_gets_the_credential_that_is_there() {
    let scene = Scene::set(stage!()).await;
    let outputs = json!([{"secretName": "prod-kubeconfig"}, {"secretName": "second"}]);
    scene
        .issues_nothing(json!({"spec": {"outputs": outputs}}))
        .await;
    let second = scene.stage.secrets().get("second").await.unwrap();
    assert!(second.data == scene.access.secret().await.data);
}

#[tokio::test]
async fn each_value_of_the_rotate_annotation_forces_exactly_one_issue() {
    let scene = Scene::set(stage!()).await;
    for (value, mints) in [("1", 4), ("1", 4), ("2", 6)] {
        scene.access.rotate(value).await;
        let acted_on = |access: &do_cluster_access::api::DOClusterAccess| {
            access
                .status
                .as_ref()
                .unwrap()
                .last_rotate_request
                .as_deref()
                == Some(value)
        };
        scene
            .access
            .until("the request was acted on", acted_on)
            .await;
        scene.all_is_seen().await;
        scene.access.ready().await;
        assert_eq!(scene.mints(), mints);
    }
    // Taking the annotation away asks for nothing.
    scene
        .access
        .patch(json!({"metadata": {"annotations": {"doclusteraccess.dev/rotate": null}}}))
        .await;
    scene.all_is_seen().await;
    assert_eq!(scene.mints(), 6);
}

#[tokio::test]
async fn an_access_that_is_created_with_a_rotate_annotation_is_issued_once() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    stage.add_cluster(stage.cluster("fence"));
    let annotations = [("doclusteraccess.dev/rotate", "restored-from-a-backup")];
    let spec = json!({"cluster": {"name": "prod"}});
    let access = stage
        .create_annotated_access("prod", &annotations, spec)
        .await;
    let status = access.ready().await.status.unwrap();
    assert_eq!(
        status.last_rotate_request.as_deref(),
        Some("restored-from-a-backup")
    );
    access.touch("once").await;
    // On a cluster of its own: one made in the second of the mint would share it.
    stage
        .create_access("fence", json!({"cluster": {"name": "fence"}}))
        .await
        .ready()
        .await;
    assert_eq!(stage.mints().len(), 4);
}

#[tokio::test]
async fn a_suspended_access_makes_no_calls_and_no_writes_and_goes_on_afterwards() {
    let scene = Scene::set(stage!()).await;
    let (stage, access) = (&scene.stage, &scene.access);
    access.patch_spec(json!({"suspend": true})).await;
    let suspended = access.synced("Suspended").await;
    assert_condition(&suspended, "Synced", "Unknown", "Suspended");
    assert_condition(&suspended, "Ready", "True", "Published");

    let position = stage.audit_position().await;
    access.rotate("while suspended").await;
    stage.delete_secret("prod-kubeconfig").await;
    let told = access.until("the missing output is reported", |access| {
        has_condition(access, "Ready", "False", "OutputMissing")
    });
    told.await;
    scene.all_is_seen().await;
    assert_eq!(scene.mints(), 2);
    assert!(
        stage
            .secrets()
            .get_opt("prod-kubeconfig")
            .await
            .unwrap()
            .is_none()
    );
    let requests = stage.operator_requests(position).await;
    let secrets: Vec<_> = requests
        .iter()
        .filter(|request| request.resource == "secrets" && request.name.starts_with("prod"))
        .cloned()
        .collect();
    assert!(secrets.is_empty(), "{:?}", summary(&secrets));

    access.patch_spec(json!({"suspend": false})).await;
    let resumed = access.ready().await;
    let rotated = resumed.status.unwrap().last_rotate_request;
    assert_eq!(rotated.as_deref(), Some("while suspended"));
    assert_eq!(
        scene.mints(),
        4,
        "the waiting rotation and the lost Secret are one issue"
    );
}

#[tokio::test]
async fn an_access_that_is_created_suspended_waits() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let spec = json!({"cluster": {"name": "prod"}, "suspend": true});
    let access = stage.create_access("prod", spec).await;
    let suspended = access.synced("Suspended").await;
    assert_condition(&suspended, "Ready", "False", "NotIssued");
    stage.add_cluster(stage.cluster("other"));
    stage
        .create_access("fence", json!({"cluster": {"name": "other"}}))
        .await
        .ready()
        .await;
    assert_eq!(stage.mints().len(), 2);
    access.patch_spec(json!({"suspend": null})).await;
    access.ready().await;
    assert_eq!(stage.mints().len(), 4);
}

#[tokio::test]
async fn a_suspended_access_tells_when_its_credential_expires() {
    let scene = Scene::set(stage!()).await;
    scene.access.patch_spec(json!({"suspend": true})).await;
    scene.access.synced("Suspended").await;
    scene.operator.advance(Duration::from_secs(7200));
    scene.access.touch("expired").await;
    scene
        .access
        .until("the expiry is reported", |access| {
            has_condition(access, "Ready", "False", "Expired")
        })
        .await;
    assert_eq!(scene.mints(), 2);
}

#[tokio::test]
async fn a_doaccount_is_answered_with_a_reason_and_no_call_where_none_are_served() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let account = json!({"cluster": {"name": "prod"}, "accountRef": {"name": "default"}});
    let access = stage.create_access("prod", account).await;
    let refused = access.synced("AccountNotFound").await;
    assert_condition(&refused, "Stalled", "True", "AccountNotFound");
    let message = &condition(&refused, "Synced").unwrap().message;
    assert!(message.contains("DOAccount default"), "{message}");
    assert!(message.contains("tokenSecretRef"), "{message}");
    assert!(message.contains("rbac.accounts"), "{message}");
    assert_eq!(stage.digitalocean_requests(), []);
}

#[tokio::test]
async fn a_rendered_kubeconfig_is_renewed_by_one_call() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let spec = json!({
        "cluster": {"name": "prod"},
        "kubeconfigSource": "Rendered",
        "expirySeconds": 7200,
    });
    let access = stage.create_access("prod", spec).await;
    access.ready().await;
    let before = access.secret().await;
    operator.advance(Duration::from_secs(5000));
    access.touch("due").await;
    access.renewed(&before).await;
    access.ready().await;
    let operations: Vec<_> = stage.mints().iter().map(|mint| mint.operation).collect();
    assert_eq!(
        operations,
        [Operation::GetCredentials, Operation::GetCredentials]
    );
    eventually("the renewal is announced", async || {
        access.events().await.len() == 2
    })
    .await;
    let reasons: Vec<_> = access
        .events()
        .await
        .into_iter()
        .map(|event| event.reason.unwrap())
        .collect();
    assert_eq!(reasons, ["Issued", "Renewed"]);
}
