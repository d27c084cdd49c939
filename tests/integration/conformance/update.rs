//! PUT and merge patches.

use http::Method;
use serde_json::{Value, json};

use super::subject::{Answer, Subject};

super::cases![
    an_update_replaces_everything,
    an_update_based_on_an_old_version_conflicts,
    a_secret_is_updated_without_a_version,
    an_access_is_not_updated_without_a_version,
    a_lease_is_not_updated_without_a_version,
    an_update_of_another_uid_conflicts,
    an_update_creates_no_secret,
    an_update_creates_a_lease,
    an_update_of_a_lease_that_is_gone_conflicts,
    a_lease_is_taken_over,
    the_name_must_be_that_of_the_path,
    the_same_update_again_changes_nothing,
    an_update_keeps_what_it_cannot_change,
    a_patch_changes_what_it_names,
    a_patch_of_what_is_not_there,
    a_patch_based_on_an_old_version_conflicts,
    a_patch_that_changes_nothing,
    a_patch_that_takes_the_last_key,
    a_patch_cannot_change_the_uid,
    a_patch_cannot_be_forced,
    managed_fields_can_be_reset,
    the_type_of_a_secret_cannot_be_changed,
    an_immutable_secret_stays_as_it_is,
    an_annotation_asks_for_rotation,
    outputs_are_replaced_by_a_patch,
    fields_go_to_the_last_writer,
    owners_are_written_by_patches,
    repeated_owners_count_once,
    the_oldest_of_many_writers_are_taken_together,
    labels_have_rules,
    null_in_the_spec_of_an_access,
];

async fn secret(subject: &mut Subject) -> Answer {
    let secret = json!({
        "metadata": {"name": "a", "labels": {"x": "1"}},
        "data": {"k": "dg==", "l": "dg=="},
    });
    subject.create("secrets", "user", secret).await
}

async fn access(subject: &mut Subject) -> Answer {
    let access = json!({
        "metadata": {"name": "a"},
        "spec": {"cluster": {"name": "c"}, "outputs": [{"secretName": "s"}, {"secretName": "t"}]},
    });
    subject.create("doclusteraccesses", "user", access).await
}

async fn lease(subject: &mut Subject) -> Answer {
    let spec = json!({"holderIdentity": "one", "leaseTransitions": 0, "leaseDurationSeconds": 15});
    let lease = json!({"metadata": {"name": "a"}, "spec": spec});
    subject.create("leases", "one", lease).await
}

async fn an_update_replaces_everything(subject: &mut Subject) {
    let first = secret(subject).await;
    let next = json!({
        "metadata": {"name": "a", "resourceVersion": first.version(), "annotations": {"y": "1"}},
        "data": {"k": "dw=="},
    });
    subject.update("secrets", "a", "other", next).await;
}

async fn an_update_based_on_an_old_version_conflicts(subject: &mut Subject) {
    let first = secret(subject).await;
    subject
        .patch("secrets", "a", "user", json!({"data": {"k": "dw=="}}))
        .await;
    subject.update("secrets", "a", "user", first.body).await;
    let first = access(subject).await;
    subject
        .patch(
            "doclusteraccesses",
            "a",
            "user",
            json!({"spec": {"suspend": true}}),
        )
        .await;
    subject
        .update("doclusteraccesses", "a", "user", first.body)
        .await;
    let first = lease(subject).await;
    subject
        .update("leases", "a", "one", first.body.clone())
        .await;
    let mut renewed = first.body.clone();
    renewed["spec"]["renewTime"] = json!("2026-11-22T10:00:00.000001Z");
    subject.update("leases", "a", "one", renewed).await;
    subject.update("leases", "a", "two", first.body).await;
}

async fn a_secret_is_updated_without_a_version(subject: &mut Subject) {
    secret(subject).await;
    let next = json!({"metadata": {"name": "a"}, "data": {"k": "dw=="}});
    subject.update("secrets", "a", "user", next).await;
}

async fn an_access_is_not_updated_without_a_version(subject: &mut Subject) {
    access(subject).await;
    let next = json!({"metadata": {"name": "a"}, "spec": {"cluster": {"name": "c"}}});
    subject.update("doclusteraccesses", "a", "user", next).await;
}

async fn a_lease_is_not_updated_without_a_version(subject: &mut Subject) {
    lease(subject).await;
    let next = json!({"metadata": {"name": "a"}, "spec": {"holderIdentity": "two"}});
    subject.update("leases", "a", "two", next).await;
}

async fn an_update_of_another_uid_conflicts(subject: &mut Subject) {
    secret(subject).await;
    let next = json!({"metadata": {"name": "a", "uid": "00000000-0000-4000-8000-000000000000"}});
    subject.update("secrets", "a", "user", next).await;
    let first = lease(subject).await;
    let mut next = first.body;
    next["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
    subject.update("leases", "a", "user", next).await;
}

async fn an_update_creates_no_secret(subject: &mut Subject) {
    let new = json!({"metadata": {"name": "a"}});
    subject.update("secrets", "a", "user", new).await;
    let new = json!({"metadata": {"name": "a"}, "spec": {"cluster": {"name": "c"}}});
    subject.update("doclusteraccesses", "a", "user", new).await;
}

async fn an_update_creates_a_lease(subject: &mut Subject) {
    let new = json!({"metadata": {"name": "a"}, "spec": {"holderIdentity": "one"}});
    subject.update("leases", "a", "one", new).await;
    subject.get("leases", "a").await;
}

async fn an_update_of_a_lease_that_is_gone_conflicts(subject: &mut Subject) {
    let first = lease(subject).await;
    subject.delete("leases", "a", json!(null)).await;
    subject
        .update("leases", "a", "one", first.body)
        .await
        .is(409);
    subject.get("leases", "a").await;
}

async fn a_lease_is_taken_over(subject: &mut Subject) {
    let first = lease(subject).await;
    let mut taken = first.body;
    taken["spec"] = json!({
        "holderIdentity": "two",
        "leaseTransitions": 1,
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-11-22T10:00:00.000000Z",
        "renewTime": "2026-11-22T10:00:00.000000Z",
    });
    let second = subject.update("leases", "a", "two", taken).await;
    let mut released = second.body;
    released["spec"]["holderIdentity"] = json!("");
    released["spec"]["leaseDurationSeconds"] = json!(1);
    subject.update("leases", "a", "two", released).await;
}

async fn the_name_must_be_that_of_the_path(subject: &mut Subject) {
    secret(subject).await;
    subject
        .update("secrets", "a", "user", json!({"metadata": {"name": "b"}}))
        .await;
    subject
        .patch("secrets", "a", "user", json!({"metadata": {"name": "b"}}))
        .await;
    subject
        .patch(
            "secrets",
            "a",
            "user",
            json!({"metadata": {"namespace": "b"}}),
        )
        .await;
}

async fn the_same_update_again_changes_nothing(subject: &mut Subject) {
    let first = secret(subject).await;
    let second = subject.update("secrets", "a", "user", first.body).await;
    subject.update("secrets", "a", "other", second.body).await;
    let first = access(subject).await;
    let second = subject
        .update("doclusteraccesses", "a", "user", first.body)
        .await;
    subject
        .update("doclusteraccesses", "a", "other", second.body)
        .await;
}

async fn an_update_keeps_what_it_cannot_change(subject: &mut Subject) {
    let first = access(subject).await;
    let mut next = first.body;
    next["metadata"]["creationTimestamp"] = json!("2001-01-01T00:00:00Z");
    next["metadata"]["generation"] = json!(40);
    next["metadata"].as_object_mut().unwrap().remove("uid");
    next["status"] = json!({"observedGeneration": 40});
    subject.update("doclusteraccesses", "a", "user", next).await;
}

async fn a_patch_changes_what_it_names(subject: &mut Subject) {
    secret(subject).await;
    let patch =
        json!({"metadata": {"labels": {"x": null, "y": "2"}}, "data": {"k": "dw==", "m": "dg=="}});
    subject.patch("secrets", "a", "other", patch).await;
    let patch = json!({"metadata": {"labels": null}, "data": {"l": null}});
    subject.patch("secrets", "a", "user", patch).await;
}

async fn a_patch_of_what_is_not_there(subject: &mut Subject) {
    subject
        .patch("secrets", "a", "user", json!({"data": {}}))
        .await;
    subject
        .patch("doclusteraccesses", "a", "user", json!({"spec": {}}))
        .await;
}

async fn a_patch_based_on_an_old_version_conflicts(subject: &mut Subject) {
    let first = secret(subject).await;
    subject
        .patch("secrets", "a", "user", json!({"data": {"k": "dw=="}}))
        .await;
    let patch = json!({"metadata": {"resourceVersion": first.version()}, "data": {"k": "dA=="}});
    subject.patch("secrets", "a", "user", patch).await;
}

async fn a_patch_that_changes_nothing(subject: &mut Subject) {
    secret(subject).await;
    subject.patch("secrets", "a", "user", json!({})).await;
    subject
        .patch("secrets", "a", "other", json!({"data": {"k": "dg=="}}))
        .await;
    subject
        .patch(
            "secrets",
            "a",
            "other",
            json!({"metadata": {"labels": {"z": null}}}),
        )
        .await;
}

async fn a_patch_that_takes_the_last_key(subject: &mut Subject) {
    secret(subject).await;
    let patch = json!({"metadata": {"labels": {"x": null}}, "data": {"k": null, "l": null}});
    subject.patch("secrets", "a", "user", patch).await;
    subject
        .patch("secrets", "a", "other", json!({"data": {"n": "dg=="}}))
        .await;
    subject
        .patch("secrets", "a", "user", json!({"data": null}))
        .await;
}

async fn a_patch_cannot_change_the_uid(subject: &mut Subject) {
    secret(subject).await;
    let patch = json!({"metadata": {"uid": "00000000-0000-4000-8000-000000000000"}});
    subject.patch("secrets", "a", "user", patch.clone()).await;
    access(subject).await;
    subject
        .patch("doclusteraccesses", "a", "user", patch.clone())
        .await;
    lease(subject).await;
    subject.patch("leases", "a", "user", patch).await;
}

async fn a_patch_cannot_be_forced(subject: &mut Subject) {
    secret(subject).await;
    subject
        .patch("secrets", "a", "user&force=true", json!({"data": {}}))
        .await;
}

async fn managed_fields_can_be_reset(subject: &mut Subject) {
    secret(subject).await;
    let reset = json!({"metadata": {"managedFields": [{}]}});
    subject.patch("secrets", "a", "user", reset).await;
    subject
        .patch("secrets", "a", "user", json!({"data": {"k": "dw=="}}))
        .await;
    let first = access(subject).await;
    let mut body = first.body;
    body["metadata"]["managedFields"] = json!([]);
    subject.update("doclusteraccesses", "a", "user", body).await;
}

async fn the_type_of_a_secret_cannot_be_changed(subject: &mut Subject) {
    secret(subject).await;
    subject
        .patch("secrets", "a", "user", json!({"type": "example.com/other"}))
        .await;
    let typed = json!({"type": "cluster.x-k8s.io/secret"});
    subject.force("secrets", "a", "m", typed).await;
    subject
        .patch("secrets", "a", "user", json!({"type": null}))
        .await;
}

async fn an_immutable_secret_stays_as_it_is(subject: &mut Subject) {
    secret(subject).await;
    subject
        .patch("secrets", "a", "user", json!({"immutable": true}))
        .await;
    subject
        .patch("secrets", "a", "user", json!({"data": {"k": "dw=="}}))
        .await;
    subject
        .patch("secrets", "a", "user", json!({"immutable": false}))
        .await;
    subject
        .patch(
            "secrets",
            "a",
            "user",
            json!({"immutable": null, "data": {"k": "dw=="}}),
        )
        .await;
    subject
        .force("secrets", "a", "m", json!({"data": {"k": "dw=="}}))
        .await;
    subject
        .patch(
            "secrets",
            "a",
            "user",
            json!({"metadata": {"labels": {"z": "1"}}}),
        )
        .await;
}

async fn an_annotation_asks_for_rotation(subject: &mut Subject) {
    access(subject).await;
    for value in ["one", "two", "two"] {
        let patch = json!({"metadata": {"annotations": {"doclusteraccess.dev/rotate": value}}});
        subject
            .patch("doclusteraccesses", "a", "kubectl-annotate", patch)
            .await;
    }
}

async fn outputs_are_replaced_by_a_patch(subject: &mut Subject) {
    access(subject).await;
    let patch =
        json!({"spec": {"outputs": [{"secretName": "t", "format": "Flux"}, {"secretName": "u"}]}});
    subject
        .patch("doclusteraccesses", "a", "other", patch)
        .await;
    subject
        .patch(
            "doclusteraccesses",
            "a",
            "user",
            json!({"spec": {"outputs": null}}),
        )
        .await;
}

async fn fields_go_to_the_last_writer(subject: &mut Subject) {
    secret(subject).await;
    subject
        .patch("secrets", "a", "other", json!({"data": {"k": "dw=="}}))
        .await;
    subject
        .patch("secrets", "a", "third", json!({"data": {"k": "dA=="}}))
        .await;
    subject
        .patch("secrets", "a", "user", json!({"data": {"k": "dw=="}}))
        .await;
    subject
        .patch("secrets", "a", "other", json!({"data": {"k": null}}))
        .await;
}

async fn owners_are_written_by_patches(subject: &mut Subject) {
    let first = secret(subject).await;
    let other = json!({"metadata": {"name": "b"}});
    let other = subject.create("secrets", "user", other).await;
    let owner = |name: &str, uid: &str| json!({"apiVersion": "v1", "kind": "Secret", "name": name, "uid": uid});
    let (one, two) = (owner("a", first.uid()), owner("b", other.uid()));
    let dependent = json!({"metadata": {"name": "c", "ownerReferences": [one]}});
    subject.create("secrets", "user", dependent).await;
    for owners in [json!([one, two]), json!([two]), Value::Null] {
        let patch = json!({"metadata": {"ownerReferences": owners}});
        subject.patch("secrets", "c", "other", patch).await;
    }
}

async fn null_in_the_spec_of_an_access(subject: &mut Subject) {
    let access = json!({
        "metadata": {"name": "a"},
        "spec": {"cluster": {"name": "c"}, "suspend": null, "verification": null},
    });
    subject.create("doclusteraccesses", "user", access).await;
}

async fn repeated_owners_count_once(subject: &mut Subject) {
    let first = secret(subject).await;
    let owner = json!({"apiVersion": "v1", "kind": "Secret", "name": "a", "uid": first.uid()});
    subject
        .create("secrets", "user", json!({"metadata": {"name": "b"}}))
        .await;
    for _ in 0..2 {
        let patch = json!({"metadata": {"ownerReferences": [owner, owner]}});
        subject.patch("secrets", "b", "user", patch).await;
    }
}

async fn the_oldest_of_many_writers_are_taken_together(subject: &mut Subject) {
    secret(subject).await;
    for number in 10..23 {
        let patch = json!({"data": {format!("key-{number}"): "dg=="}});
        subject
            .patch("secrets", "a", &format!("writer-{number}"), patch)
            .await;
    }
    subject
        .apply(
            "secrets",
            "a",
            "m",
            json!({"data": {"key-10": "dw==", "key-22": "dw=="}}),
        )
        .await;
    subject
        .force(
            "secrets",
            "a",
            "m",
            json!({"data": {"key-10": "dw==", "key-22": "dw=="}}),
        )
        .await;
}

/// The sentences quote regular expressions, and are left out.
async fn labels_have_rules(subject: &mut Subject) {
    let long = "x".repeat(64);
    let fits = "x".repeat(63);
    for (key, value) in [
        ("k", ""),
        ("k", fits.as_str()),
        ("k", long.as_str()),
        ("k", "a b"),
        ("k", "-a"),
        ("k", "a."),
        ("k", "A_b.c-d"),
        ("k", "ü"),
        ("", "v"),
        ("a b", "v"),
        ("-k", "v"),
        (long.as_str(), "v"),
        ("example.com/k", "v"),
        ("example.com/", "v"),
        ("/k", "v"),
        ("Example.com/k", "v"),
        ("-example.com/k", "v"),
        ("example..com/k", "v"),
        ("a/b/c", "v"),
    ] {
        let path = format!("{}?fieldManager=m", subject.path("secrets", "a"));
        let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "labels": {key: value}}});
        let header = ("content-type", "application/apply-patch+yaml");
        let answer = subject
            .request(Method::PATCH, &path, Some(header), Some(body))
            .await;
        let causes = answer.body["details"]["causes"].as_array();
        let mut fields: Vec<_> = causes
            .into_iter()
            .flatten()
            .map(|cause| cause["field"].clone())
            .collect();
        // It says so once for each place that looks.
        fields.dedup();
        let outcome =
            json!({"code": answer.code, "reason": answer.body["reason"], "fields": fields});
        subject.note(format!("label {key:?}: {value:?}"), outcome);
    }
}
