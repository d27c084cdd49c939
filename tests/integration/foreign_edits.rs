//! Others write to our Secrets, too: what they add stays, what they change of ours is set right, and nobody takes turns
//! with them for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::harness::{
    Feed, Refusal, SIX, Stage, annotation, assert_condition, condition, eventually, keys, labels,
    same, six, summary, text,
};

/// An hour, after which earlier repairs are forgotten.
const AN_HOUR: Duration = Duration::from_secs(3601);

/// An access with an Argo CD Secret, which has most fields of ours, and another one to heal it from.
async fn argo(stage: Stage) -> Feed {
    let outputs = json!([
        {
            "secretName": "argo",
            "format": "ArgoCD",
            "labels": {"team": "payments"},
            "annotations": {"example.com/contact": "payments@example.com"},
            "argocd": {"project": "payments"},
        },
        {"secretName": "sibling", "format": "Kubeconfig"},
    ]);
    let feed = Feed::set(stage, outputs).await;
    feed.rotated("1").await;
    feed
}

/// Waits until a Secret is as it was `before`, but for what is not ours.
async fn is_set_right(feed: &Feed, before: &Secret) {
    let name = before.metadata.name.as_deref().unwrap();
    feed.stage
        .secret_until(name, "it is as it was", |secret| same(secret, before))
        .await;
    feed.access.ready().await;
}

fn entries<'a>(
    secret: &'a Secret,
    of: impl Fn(&'a Secret) -> Option<&'a BTreeMap<String, String>>,
) -> Vec<String> {
    of(secret).unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn every_label_and_annotation_of_ours_is_set_right_when_it_is_changed_or_removed() {
    let feed = argo(stage!()).await;
    let before = feed.secret("argo").await;
    let all_labels = entries(&before, |secret| secret.metadata.labels.as_ref());
    let all_annotations = entries(&before, |secret| secret.metadata.annotations.as_ref());
    assert_eq!(all_labels.len(), 8, "{all_labels:?}");
    assert_eq!(all_annotations.len(), 9, "{all_annotations:?}");
    for (field, names) in [("labels", all_labels), ("annotations", all_annotations)] {
        for name in names {
            // The annotation that says whose it is has a test of its own.
            if name == "doclusteraccess.dev/access-uid" {
                continue;
            }
            feed.advance(AN_HOUR).await;
            for value in [json!("theirs"), Value::Null] {
                let edit = json!({"metadata": {field: {&name: value}}});
                feed.stage.patch_secret("argo", edit).await;
                is_set_right(&feed, &before).await;
            }
        }
    }
    assert_eq!(feed.mints().len(), 4, "one issue, and a forced one");
}

#[tokio::test]
async fn every_key_of_ours_is_set_right_when_it_is_changed_or_removed() {
    let feed = Feed::set(stage!(), six()).await;
    let mut removes = false;
    for name in SIX {
        let before = feed.secret(name).await;
        for key in keys(&before) {
            feed.advance(AN_HOUR).await;
            let change = json!({"stringData": {key: "theirs"}});
            let removal = json!({"data": {key: null}});
            let edit = if removes { removal } else { change };
            feed.stage.patch_secret(name, edit).await;
            is_set_right(&feed, &before).await;
            removes = !removes;
        }
        let after = feed.secret(name).await;
        assert_eq!(after.metadata.uid, before.metadata.uid);
    }
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn a_secret_that_does_not_say_whose_it_is_any_more_is_known_by_its_owner_reference() {
    let feed = argo(stage!()).await;
    let before = feed.secret("argo").await;
    for value in [json!("somebody"), Value::Null] {
        feed.advance(AN_HOUR).await;
        let edit = json!({"metadata": {"annotations": {"doclusteraccess.dev/access-uid": value}}});
        feed.stage.patch_secret("argo", edit).await;
        is_set_right(&feed, &before).await;
    }
    assert_eq!(feed.mints().len(), 4);
}

#[tokio::test]
async fn all_fields_of_ours_at_once_are_set_right_in_every_format() {
    let feed = Feed::set(stage!(), six()).await;
    let before = feed.secrets(&SIX).await;
    for (name, secret) in &before {
        feed.advance(AN_HOUR).await;
        let nulls = |names: Vec<String>| -> serde_json::Map<String, Value> {
            names.into_iter().map(|name| (name, Value::Null)).collect()
        };
        let mut annotations = nulls(entries(secret, |secret| {
            secret.metadata.annotations.as_ref()
        }));
        annotations.remove("doclusteraccess.dev/access-uid");
        let edit = json!({
            "metadata": {
                "labels": nulls(labels(secret).into_keys().collect()),
                "annotations": annotations,
                "ownerReferences": null,
            },
            "data": null,
        });
        feed.stage.patch_secret(name, edit).await;
        is_set_right(&feed, secret).await;
    }
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn owner_references_of_others_stay_and_ours_comes_back() {
    let feed = argo(stage!()).await;
    let owners: Api<ConfigMap> = Api::namespaced(feed.stage.client.clone(), &feed.stage.namespace);
    let owner = serde_json::from_value(json!({"metadata": {"name": "theirs"}})).unwrap();
    let owner = owners.create(&PostParams::default(), &owner).await.unwrap();
    let theirs = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "theirs",
        "uid": owner.metadata.uid,
    });
    let before = feed.secret("argo").await;
    let ours = before.metadata.owner_references.clone().unwrap();
    let both = json!([theirs, ours[0]]);
    let edit = json!({"metadata": {"ownerReferences": both}});
    let position = feed.stage.audit_position().await;
    feed.stage.patch_secret("argo", edit).await;
    feed.all_is_seen().await;
    let writes = feed.writes(position).await;
    assert!(writes.is_empty(), "{:?}", summary(&writes));

    let edit = json!({"metadata": {"ownerReferences": [theirs]}});
    feed.stage.patch_secret("argo", edit).await;
    let has_both = |secret: &Secret| {
        let owners = secret.metadata.owner_references.as_ref().unwrap();
        let mut kinds: Vec<_> = owners.iter().map(|owner| owner.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds == ["ConfigMap", "DOClusterAccess"]
    };
    feed.stage
        .secret_until("argo", "our owner reference is back", has_both)
        .await;
    feed.rotated("2").await;
    assert!(has_both(&feed.secret("argo").await));
    let retain = json!({"deletionPolicy": "Retain"});
    feed.access.patch_spec(retain).await;
    feed.access.ready().await;
    let owners = feed.secret("argo").await.metadata.owner_references;
    let kinds: Vec<_> = owners
        .unwrap()
        .into_iter()
        .map(|owner| owner.kind)
        .collect();
    assert_eq!(kinds, ["ConfigMap"]);
    assert_eq!(feed.mints().len(), 6);
}

#[tokio::test]
async fn a_secret_that_another_controller_made_its_own_is_said_to_be_in_the_way_and_mints_nothing()
{
    let feed = argo(stage!()).await;
    let owners: Api<ConfigMap> = Api::namespaced(feed.stage.client.clone(), &feed.stage.namespace);
    let owner = serde_json::from_value(json!({"metadata": {"name": "theirs"}})).unwrap();
    let owner = owners.create(&PostParams::default(), &owner).await.unwrap();
    let before = feed.secret("argo").await;
    let theirs = json!([{
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "theirs",
        "uid": owner.metadata.uid,
        "controller": true,
    }]);
    let edit = json!({"metadata": {"ownerReferences": theirs}});
    feed.stage.patch_secret("argo", edit).await;
    let failed = feed.access.synced("SecretWriteFailed").await;
    let message = &condition(&failed, "Synced").unwrap().message;
    assert!(message.contains("Secret argo"), "{message}");
    for _ in 0..2 {
        feed.retry().await;
        feed.all_is_seen().await;
    }
    let edit = json!({"metadata": {"ownerReferences": null}});
    feed.stage.patch_secret("argo", edit).await;
    feed.retry().await;
    is_set_right(&feed, &before).await;
    assert_eq!(feed.mints().len(), 4);
}

#[tokio::test]
async fn what_others_add_to_secrets_of_every_format_stays_through_renewal_and_repair() {
    let feed = Feed::set(stage!(), six()).await;
    let position = feed.stage.audit_position().await;
    let theirs = json!({
        "metadata": {
            "labels": {"example.com/theirs": "kept", "tags.doclusteraccess.dev/theirs": "kept"},
            "annotations": {"example.com/theirs": "kept", "doclusteraccess.dev/refresh": "hard"},
        },
        "stringData": {"theirs": "kept"},
    });
    for name in SIX {
        feed.stage.patch_secret(name, theirs.clone()).await;
    }
    feed.all_is_seen().await;
    let writes = feed.writes(position).await;
    assert!(writes.is_empty(), "{:?}", summary(&writes));
    let before = feed.secrets(&SIX).await;

    feed.rotated("1").await;
    let damage = json!({"metadata": {"labels": {"doclusteraccess.dev/access": "theirs"}}});
    feed.stage.patch_secret("people", damage).await;
    let repaired = |secret: &Secret| labels(secret)["doclusteraccess.dev/access"] == "prod";
    feed.stage
        .secret_until("people", "it is repaired", repaired)
        .await;
    for name in SIX {
        let secret = feed.secret(name).await;
        assert_eq!(text(&secret, "theirs"), "kept", "{name}");
        assert_eq!(labels(&secret), labels(&before[name]), "{name}");
        let annotations = secret.metadata.annotations.as_ref().unwrap();
        assert_eq!(annotations["example.com/theirs"], "kept", "{name}");
    }
    assert_eq!(feed.mints().len(), 4);
}

/// Reads, changes and replaces a Secret, as a client without server-side apply does.
async fn replace(stage: &Stage, name: &str, manager: &str, change: impl FnOnce(&mut Secret)) {
    let mut secret = stage.secrets().get(name).await.unwrap();
    change(&mut secret);
    let parameters = PostParams {
        field_manager: Some(manager.to_owned()),
        ..PostParams::default()
    };
    let secrets = stage.secrets();
    secrets.replace(name, &parameters, &secret).await.unwrap();
}

fn set(secret: &mut Secret, key: &str, value: &str) {
    let value = k8s_openapi::ByteString(value.as_bytes().to_vec());
    secret.data.as_mut().unwrap().insert(key.to_owned(), value);
}

/// The same configuration with the keys in another order, and blanks.
fn rewritten(config: &str) -> String {
    let config: Value = serde_json::from_str(config).unwrap();
    let tls = &config["tlsClientConfig"];
    let rewritten = format!(
        "{{ \"tlsClientConfig\": {{\"caData\": {}, \"insecure\": false}},\n  \"bearerToken\": {} }}",
        tls["caData"], config["bearerToken"]
    );
    let same: Value = serde_json::from_str(&rewritten).unwrap();
    assert_eq!(same, config);
    rewritten
}

#[tokio::test]
async fn a_configuration_that_argo_cd_writes_in_its_own_words_is_left_to_it() {
    let mut feed = argo(stage!()).await;
    let before = text(&feed.secret("argo").await, "config");
    let theirs = rewritten(&before);
    assert_ne!(theirs, before);
    let position = feed.stage.audit_position().await;
    let argo_cd = "argocd-application-controller";
    replace(&feed.stage, "argo", argo_cd, |secret| {
        set(secret, "config", &theirs);
    })
    .await;
    feed.all_is_seen().await;
    feed.access.ready().await;
    feed.start().await;
    feed.all_is_seen().await;
    feed.access.ready().await;
    let position_of_annotation = feed.stage.audit_position().await;
    let refresh = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}});
    feed.stage.patch_secret("argo", refresh).await;
    feed.all_is_seen().await;
    assert!(position_of_annotation > position);
    let writes = feed.writes(position).await;
    assert!(writes.is_empty(), "{:?}", summary(&writes));
    assert_eq!(text(&feed.secret("argo").await, "config"), theirs);
    assert_eq!(feed.mints().len(), 4);

    // It is no blind trust: another meaning is set right, and so is a change beside it.
    let lie = theirs.replace("false", "true");
    replace(&feed.stage, "argo", argo_cd, |secret| {
        set(secret, "config", &lie);
    })
    .await;
    let set_right = |secret: &Secret| text(secret, "config") == before;
    feed.stage
        .secret_until("argo", "it means what it meant", set_right)
        .await;
    replace(&feed.stage, "argo", argo_cd, |secret| {
        set(secret, "config", &theirs);
        set(secret, "server", "https://192.0.2.1");
    })
    .await;
    let set_right = |secret: &Secret| text(secret, "server") == feed.stage.server;
    feed.stage
        .secret_until("argo", "it has its server again", set_right)
        .await;
    assert_eq!(feed.mints().len(), 4);

    // The next issue is written over theirs, in place.
    feed.rotated("2").await;
    let after = feed.secret("argo").await;
    assert_ne!(text(&after, "config"), before);
    assert_eq!(annotation(&after, "rotate"), "2");
    assert_eq!(feed.mints().len(), 6);
}

#[tokio::test]
async fn a_label_of_ours_that_another_applies_by_force_is_ours_again_and_one_of_equal_value_is_shared()
 {
    let feed = argo(stage!()).await;
    let before = feed.secret("argo").await;
    let apply = async |team: &str| {
        let theirs = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "argo", "labels": {"team": team, "example.com/theirs": "kept"}},
        });
        let parameters = PatchParams::apply("their-manager").force();
        feed.stage
            .secrets()
            .patch("argo", &parameters, &Patch::Apply(theirs))
            .await
            .unwrap();
    };
    let position = feed.stage.audit_position().await;
    apply("payments").await;
    feed.all_is_seen().await;
    let writes = feed.writes(position).await;
    assert!(writes.is_empty(), "{:?}", summary(&writes));

    apply("theirs").await;
    let ours = |secret: &Secret| labels(secret)["team"] == "payments";
    let after = feed
        .stage
        .secret_until("argo", "the label is ours again", ours)
        .await;
    assert_eq!(labels(&after)["example.com/theirs"], "kept");
    assert!(after.data == before.data);
    assert_eq!(after.metadata.uid, before.metadata.uid);
    feed.access.ready().await;
    assert_eq!(feed.mints().len(), 4);
}

// ---- no fight --------------------------------------------------------------------------------------------

/// Somebody who has another opinion, and enforces it within milliseconds.
struct OtherWriter(JoinHandle<()>);

impl OtherWriter {
    /// Applies `patch` whenever `is_ours` says that the operator has been there.
    fn start(
        stage: &Stage,
        name: &str,
        patch: Value,
        is_ours: impl Fn(&Secret) -> bool + Send + 'static,
    ) -> Self {
        let (secrets, name) = (stage.secrets(), name.to_owned());
        Self(tokio::spawn(async move {
            loop {
                let secret = secrets.get(&name).await.unwrap();
                if is_ours(&secret) {
                    let parameters = PatchParams {
                        field_manager: Some("another".to_owned()),
                        ..PatchParams::default()
                    };
                    let patched = secrets
                        .patch_metadata(&name, &parameters, &Patch::Merge(&patch))
                        .await;
                    patched.unwrap();
                }
                sleep(Duration::from_millis(20)).await;
            }
        }))
    }
}

impl Drop for OtherWriter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long a fight is watched.
const A_WHILE: Duration = Duration::from_secs(18);

/// Lets another writer work for a while. The operator must give in soon, say so, and set things right when the other
/// is gone.
async fn does_not_fight(
    feed: &Feed,
    patch: Value,
    is_ours: impl Fn(&Secret) -> bool + Clone + Send + 'static,
) {
    let position = feed.stage.audit_position().await;
    let end = Instant::now() + A_WHILE;
    let other = OtherWriter::start(&feed.stage, "argo", patch, is_ours.clone());
    let gave_in = feed
        .access
        .until("it says that it gives in", |access| {
            condition(access, "Synced")
                .is_some_and(|synced| synced.message.contains("Another writer"))
        })
        .await;
    assert_condition(&gave_in, "Synced", "False", "SecretConflict");
    assert!(condition(&gave_in, "Ready").is_some_and(|ready| ready.status == "False"));
    sleep_until(end).await;
    let writes = feed.writes(position).await;
    assert!(
        (1..=5).contains(&writes.len()),
        "{} writes: {:?}",
        writes.len(),
        summary(&writes)
    );
    drop(other);
    feed.advance(AN_HOUR).await;
    feed.stage
        .secret_until("argo", "it is set right in the end", is_ours)
        .await;
    feed.access.ready().await;
}

#[tokio::test]
async fn two_writers_of_a_label_do_not_take_turns() {
    let feed = argo(stage!()).await;
    let patch = json!({"metadata": {"labels": {"team": "theirs"}}});
    does_not_fight(&feed, patch, |secret| labels(secret)["team"] == "payments").await;
    assert_eq!(feed.mints().len(), 4);
}

#[tokio::test]
async fn two_writers_of_the_label_that_the_operator_watches_by_do_not_take_turns() {
    let feed = argo(stage!()).await;
    let managed_by = "app.kubernetes.io/managed-by";
    let patch = json!({"metadata": {"labels": {managed_by: "theirs"}}});
    let ours = move |secret: &Secret| labels(secret)[managed_by] == "do-cluster-access";
    does_not_fight(&feed, patch, ours).await;
    assert_eq!(feed.mints().len(), 4);
}

#[tokio::test]
async fn two_writers_of_a_key_do_not_take_turns_and_nothing_is_minted_for_it() {
    let feed = argo(stage!()).await;
    let patch = json!({"stringData": {"config": "{}"}});
    does_not_fight(&feed, patch, |secret| text(secret, "config") != "{}").await;
    assert_eq!(feed.mints().len(), 4);
}

#[tokio::test]
async fn who_destroys_the_only_copy_again_and_again_gets_six_issues_an_hour_at_most() {
    let outputs = json!([{"secretName": "argo", "format": "ArgoCD"}]);
    let feed = Feed::set(stage!(), outputs).await;
    let whole = |secret: &Secret| text(secret, "config") != "{}";
    let patch = json!({"stringData": {"config": "{}"}});
    let other = OtherWriter::start(&feed.stage, "argo", patch, whole);
    let limited = feed.access.synced("IssueLimitReached").await;
    assert!(condition(&limited, "Ready").is_some_and(|ready| ready.status == "False"));
    drop(other);
    feed.retry().await;
    feed.all_is_seen().await;
    assert_eq!(feed.mints().len(), 1 + 6);
    feed.advance(AN_HOUR).await;
    feed.access.ready().await;
    assert!(whole(&feed.secret("argo").await));
    assert_eq!(feed.mints().len(), 1 + 7);
}

// ---- writes that are refused -----------------------------------------------------------------------------

#[tokio::test]
async fn an_immutable_secret_is_named_with_the_remedy_and_holds_up_no_other() {
    let feed = argo(stage!()).await;
    let before = feed.secret("argo").await;
    feed.stage
        .patch_secret("argo", json!({"immutable": true}))
        .await;
    feed.rotate("2").await;
    let refused = feed.access.synced("SecretWriteFailed").await;
    let message = &condition(&refused, "Synced").unwrap().message;
    for word in ["Secret argo", "immutable", "delete it"] {
        assert!(message.contains(word), "{message}");
    }
    assert_condition(&refused, "Ready", "True", "Published");
    assert_eq!(annotation(&feed.secret("sibling").await, "rotate"), "2");
    for _ in 0..2 {
        feed.retry().await;
        feed.all_is_seen().await;
    }
    assert!(feed.secret("argo").await.data == before.data);
    assert_eq!(feed.mints().len(), 6);

    feed.stage.delete_secret("argo").await;
    feed.retry().await;
    feed.access.ready().await;
    let after = feed.secret("argo").await;
    assert_eq!(annotation(&after, "rotate"), "2");
    assert_eq!(after.immutable, None);
    let config: Value = serde_json::from_str(&text(&after, "config")).unwrap();
    assert_eq!(
        config["bearerToken"],
        text(&feed.secret("sibling").await, "token")
    );
    assert_eq!(feed.mints().len(), 6);
}

#[tokio::test]
async fn an_immutable_secret_whose_content_is_right_is_left_alone() {
    let mut feed = argo(stage!()).await;
    let position = feed.stage.audit_position().await;
    feed.stage
        .patch_secret("argo", json!({"immutable": true}))
        .await;
    feed.all_is_seen().await;
    feed.start().await;
    feed.all_is_seen().await;
    feed.access.ready().await;
    let writes = feed.writes(position).await;
    assert!(writes.is_empty(), "{:?}", summary(&writes));
    assert_eq!(feed.secret("argo").await.immutable, Some(true));
}

#[tokio::test]
async fn a_secret_that_an_admission_policy_refuses_is_written_later_with_the_one_issue_there_was() {
    let stage = stage!();
    let refusal = Refusal::of(&stage, "only").await;
    let outputs = json!([{"secretName": "only", "format": "Karmada"}]);
    let cluster = stage.cluster("prod");
    let feed = Feed::with(stage, cluster, json!({ "outputs": outputs })).await;
    let refused = feed.access.synced("SecretWriteFailed").await;
    let message = &condition(&refused, "Synced").unwrap().message;
    assert!(message.contains("Secret only"), "{message}");
    assert_condition(&refused, "Ready", "False", "OutputMissing");
    for _ in 0..3 {
        feed.retry().await;
        feed.all_is_seen().await;
    }
    assert_eq!(feed.mints().len(), 1);
    refusal.lift().await;
    feed.retry().await;
    feed.access.ready().await;
    assert_eq!(feed.mints().len(), 1);
}

#[tokio::test]
async fn an_obstacle_at_a_forced_rotation_costs_that_one_issue_and_a_repair_none() {
    let feed = argo(stage!()).await;
    let before = feed.secret("argo").await;
    let refusal = Refusal::of(&feed.stage, "argo").await;
    // Repairs are refused, too. What was there cannot be told from what is.
    feed.rotate("2").await;
    feed.access.synced("SecretWriteFailed").await;
    feed.stage.delete_secret("argo").await;
    for _ in 0..3 {
        feed.retry().await;
        feed.all_is_seen().await;
    }
    let failed = feed.access.get().await;
    assert_condition(&failed, "Ready", "False", "OutputMissing");
    assert_condition(&failed, "Synced", "False", "SecretWriteFailed");
    refusal.lift().await;
    feed.retry().await;
    feed.access.ready().await;
    let after = feed.secret("argo").await;
    assert_eq!(annotation(&after, "rotate"), "2");
    assert_eq!(keys(&after), keys(&before));
    assert_eq!(feed.mints().len(), 6);
}

#[tokio::test]
async fn a_namespace_that_goes_away_costs_one_issue_an_access_at_most() {
    let feed = Feed::set(stage!(), six()).await;
    let namespaces: Api<Namespace> = Api::all(feed.stage.client.clone());
    let parameters = DeleteParams::default();
    let namespace = &feed.stage.namespace;
    namespaces.delete(namespace, &parameters).await.unwrap();
    // Nothing can be created in it any more, and it may take long until everything in it is gone: the access, or
    // the operator's rights before that.
    let secrets = feed.stage.secrets();
    for name in SIX {
        // It may be gone already.
        drop(secrets.delete(name, &parameters).await);
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(feed.stage.client.clone(), namespace);
    let is_gone = async || {
        let access = feed.access.api.get_opt("prod").await.unwrap();
        access.is_none()
            || accounts
                .list(&ListParams::default())
                .await
                .unwrap()
                .items
                .is_empty()
    };
    for attempt in 0..3 {
        let position = feed.stage.audit_position().await;
        feed.advance_if_it_is_there(&attempt.to_string()).await;
        eventually("it is tried in vain, or all is gone", async || {
            let requests = feed.stage.operator_requests(position).await;
            let mut about_secrets = requests
                .iter()
                .filter(|request| request.resource == "secrets");
            about_secrets.any(|request| request.code == 403) || is_gone().await
        })
        .await;
    }
    assert!(feed.mints().len() <= 4, "{} mints", feed.mints().len());
}

#[tokio::test]
async fn a_secret_that_somebody_replaced_by_their_own_is_left_to_them_and_said_to_be() {
    let mut feed = argo(stage!()).await;
    feed.stop();
    feed.stage.delete_secret("argo").await;
    let theirs = [("theirs", "theirs")];
    feed.stage.put_secret("argo", &theirs).await;
    feed.start().await;
    let refused = feed.access.synced("SecretConflict").await;
    let message = &condition(&refused, "Synced").unwrap().message;
    assert!(message.contains("Secret argo"), "{message}");
    assert_condition(&refused, "Ready", "False", "OutputMissing");
    feed.rotate("2").await;
    let renewed = |secret: &Secret| annotation(secret, "rotate") == "2";
    feed.stage
        .secret_until("sibling", "it is renewed", renewed)
        .await;
    assert_eq!(keys(&feed.secret("argo").await), ["theirs"]);
    assert_eq!(feed.mints().len(), 6);

    feed.stage.delete_secret("argo").await;
    feed.retry().await;
    feed.access.ready().await;
    assert_eq!(annotation(&feed.secret("argo").await, "rotate"), "2");
    assert_eq!(feed.mints().len(), 6);
}
