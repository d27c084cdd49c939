//! Status beside spec, and generations.

use serde_json::{Value, json};

use super::subject::{Answer, Subject};

super::cases![
    status_is_applied,
    the_same_status_again_changes_nothing,
    status_without_a_field_drops_it,
    conditions_are_told_apart_by_type,
    a_uid_is_no_precondition_of_a_status,
    a_version_is_a_precondition_of_a_status,
    status_of_what_is_not_there,
    status_cannot_change_the_rest,
    the_rest_cannot_change_status,
    generation_counts_changes_of_the_spec_alone,
    the_first_write_after_creation_writes_defaults_down,
    status_can_be_patched_and_updated,
    status_of_an_account,
    an_empty_status_is_the_default,
    applying_does_not_own_status,
];

async fn access(subject: &mut Subject) -> Answer {
    let access = json!({"metadata": {"name": "a"}, "spec": {"cluster": {"name": "c"}}});
    subject.create("doclusteraccesses", "user", access).await
}

fn condition(kind: &str, status: &str) -> Value {
    json!({
        "type": kind,
        "status": status,
        "reason": "Because",
        "message": "",
        "lastTransitionTime": "2026-11-22T10:00:00Z",
        "observedGeneration": 1,
    })
}

fn status(conditions: &[Value]) -> Value {
    json!({
        "status": {
            "observedGeneration": 1,
            "conditions": conditions,
            "cluster": {"id": "i", "name": "c"},
            "credential": {"expiresAt": "2026-11-29T10:00:00Z", "groups": ["g", "h"]},
            "outputs": [{"secretName": "s", "contentHash": "0"}],
        },
    })
}

async fn status_is_applied(subject: &mut Subject) {
    access(subject).await;
    let body = status(&[condition("Ready", "True"), condition("Synced", "True")]);
    subject
        .force("doclusteraccesses", "a/status", "operator", body)
        .await;
    subject.get("doclusteraccesses", "a").await;
}

async fn the_same_status_again_changes_nothing(subject: &mut Subject) {
    access(subject).await;
    let body = status(&[condition("Ready", "True")]);
    for _ in 0..3 {
        subject
            .force("doclusteraccesses", "a/status", "operator", body.clone())
            .await;
    }
}

async fn status_without_a_field_drops_it(subject: &mut Subject) {
    access(subject).await;
    let body = status(&[condition("Ready", "True"), condition("Synced", "True")]);
    subject
        .force("doclusteraccesses", "a/status", "operator", body)
        .await;
    let mut less = status(&[condition("Synced", "False")]);
    less["status"]["outputs"] = json!([]);
    less["status"]["credential"] = json!({"expiresAt": "2026-11-30T10:00:00Z", "groups": ["h"]});
    less["status"].as_object_mut().unwrap().remove("cluster");
    subject
        .force("doclusteraccesses", "a/status", "operator", less)
        .await;
}

async fn conditions_are_told_apart_by_type(subject: &mut Subject) {
    access(subject).await;
    let ready = json!({"status": {"conditions": [condition("Ready", "True")]}});
    let other = json!({"status": {"conditions": [condition("Other", "True")]}});
    subject
        .apply("doclusteraccesses", "a/status", "operator", ready)
        .await;
    subject
        .apply("doclusteraccesses", "a/status", "another", other)
        .await;
    let against = json!({"status": {"conditions": [condition("Ready", "False")]}});
    subject
        .apply("doclusteraccesses", "a/status", "another", against.clone())
        .await;
    subject
        .force("doclusteraccesses", "a/status", "another", against)
        .await;
}

/// A write to a status keeps the metadata that is there, and so does not notice that it has another UID.
async fn a_uid_is_no_precondition_of_a_status(subject: &mut Subject) {
    let first = access(subject).await;
    subject.delete("doclusteraccesses", "a", json!(null)).await;
    access(subject).await;
    let mut body = status(&[condition("Ready", "True")]);
    body["metadata"] = json!({"uid": first.uid()});
    subject
        .force("doclusteraccesses", "a/status", "operator", body)
        .await
        .is(200);
    subject.get("doclusteraccesses", "a").await;
}

async fn a_version_is_a_precondition_of_a_status(subject: &mut Subject) {
    let first = access(subject).await;
    subject
        .patch(
            "doclusteraccesses",
            "a",
            "user",
            json!({"spec": {"suspend": true}}),
        )
        .await;
    let mut body = status(&[condition("Ready", "True")]);
    body["metadata"] = json!({"resourceVersion": first.version()});
    subject
        .force("doclusteraccesses", "a/status", "operator", body)
        .await
        .is(409);
}

async fn status_of_what_is_not_there(subject: &mut Subject) {
    let mut body = status(&[]);
    subject
        .force("doclusteraccesses", "a/status", "operator", body.clone())
        .await
        .is(404);
    body["metadata"] = json!({"uid": "00000000-0000-4000-8000-000000000000"});
    subject
        .force("doclusteraccesses", "a/status", "operator", body)
        .await
        .is(404);
    subject
        .patch(
            "doclusteraccesses",
            "a/status",
            "operator",
            json!({"status": {}}),
        )
        .await;
}

async fn status_cannot_change_the_rest(subject: &mut Subject) {
    access(subject).await;
    let body = json!({
        "metadata": {"labels": {"x": "1"}},
        "spec": {"suspend": true},
        "status": {"observedGeneration": 1},
    });
    subject
        .force("doclusteraccesses", "a/status", "operator", body.clone())
        .await;
    subject
        .patch("doclusteraccesses", "a/status", "user", body)
        .await;
}

async fn the_rest_cannot_change_status(subject: &mut Subject) {
    access(subject).await;
    let body = json!({"spec": {"cluster": {"name": "d"}}, "status": {"observedGeneration": 9}});
    subject
        .patch("doclusteraccesses", "a", "user", body.clone())
        .await;
    subject.force("doclusteraccesses", "a", "m", body).await;
}

async fn generation_counts_changes_of_the_spec_alone(subject: &mut Subject) {
    access(subject).await;
    let label = json!({"metadata": {"labels": {"x": "1"}, "annotations": {"y": "1"}}});
    subject.patch("doclusteraccesses", "a", "user", label).await;
    subject
        .patch(
            "doclusteraccesses",
            "a",
            "user",
            json!({"spec": {"suspend": true}}),
        )
        .await;
    subject
        .patch(
            "doclusteraccesses",
            "a",
            "user",
            json!({"spec": {"suspend": true}}),
        )
        .await;
    subject
        .patch(
            "doclusteraccesses",
            "a",
            "user",
            json!({"spec": {"suspend": null}}),
        )
        .await;
    let generation = json!({"metadata": {"generation": 40}});
    subject
        .patch("doclusteraccesses", "a", "user", generation)
        .await;
    let body = status(&[]);
    subject
        .force("doclusteraccesses", "a/status", "operator", body)
        .await;
}

async fn the_first_write_after_creation_writes_defaults_down(subject: &mut Subject) {
    access(subject).await;
    for _ in 0..3 {
        subject
            .patch("doclusteraccesses", "a", "user", json!({}))
            .await;
    }
}

async fn status_can_be_patched_and_updated(subject: &mut Subject) {
    access(subject).await;
    let patch = json!({"status": {"observedGeneration": 1, "lastRotateRequest": "1"}});
    let patched = subject
        .patch("doclusteraccesses", "a/status", "user", patch)
        .await;
    let mut body = patched.body;
    body["status"]["lastRotateRequest"] = json!("2");
    body["spec"]["suspend"] = json!(true);
    subject
        .update("doclusteraccesses", "a/status", "user", body)
        .await;
    let patch = json!({"status": {"lastRotateRequest": null}});
    subject
        .patch("doclusteraccesses", "a/status", "user", patch)
        .await;
}

async fn status_of_an_account(subject: &mut Subject) {
    let name = format!("account-{}", subject.namespace);
    let account = json!({"metadata": {"name": name}, "spec": {"tokenSecretRef": {"name": "t"}}});
    subject.create("doaccounts", "user", account).await;
    let body =
        json!({"status": {"observedGeneration": 1, "conditions": [condition("Ready", "True")]}});
    let path = format!("{name}/status");
    subject
        .force("doaccounts", &path, "operator", body.clone())
        .await;
    subject.force("doaccounts", &path, "operator", body).await;
    subject.delete("doaccounts", &name, json!(null)).await;
}

async fn an_empty_status_is_the_default(subject: &mut Subject) {
    access(subject).await;
    subject
        .force("doclusteraccesses", "a/status", "operator", status(&[]))
        .await;
    subject
        .force(
            "doclusteraccesses",
            "a/status",
            "operator",
            json!({"status": {}}),
        )
        .await;
    subject
        .force("doclusteraccesses", "a/status", "operator", json!({}))
        .await;
    subject.get("doclusteraccesses", "a").await;
}

async fn applying_does_not_own_status(subject: &mut Subject) {
    let body = json!({"spec": {"cluster": {"name": "c"}}, "status": {"observedGeneration": 3}});
    subject.apply("doclusteraccesses", "a", "m", body).await;
}
