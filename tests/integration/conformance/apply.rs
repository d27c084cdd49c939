//! Server-side apply, and who owns what.

use serde_json::{Value, json};

use super::subject::Subject;

super::cases![
    applying_creates,
    applying_the_same_again_changes_nothing,
    applying_another_value_changes_it,
    what_is_no_longer_applied_goes,
    all_that_is_no_longer_applied_goes,
    two_managers_own_what_both_apply,
    what_another_manager_applies_too_stays,
    a_conflict_is_refused,
    several_conflicts_are_refused,
    conflicts_with_several_managers_are_refused,
    force_takes_fields_over,
    applying_what_a_user_wrote_conflicts_when_it_differs,
    applying_what_a_user_wrote_shares_it_when_it_is_equal,
    a_foreign_annotation_is_left_alone,
    applying_needs_a_manager,
    managed_fields_cannot_be_applied,
    version_1_creates,
    version_1_conflicts_with_what_is_there,
    uid_and_version_of_what_is_there_are_accepted,
    the_version_of_what_was_there_before_conflicts,
    another_uid_is_refused,
    the_uid_of_what_is_gone_conflicts,
    the_version_of_what_is_gone_alone_does_not_stop_an_apply,
    omitting_the_owner_removes_it,
    the_owner_of_another_manager_stays,
    owners_keep_their_order,
    releasing_keeps_the_data,
    applying_after_a_creation_by_post_conflicts_with_it,
    applying_to_an_object_without_managers,
    the_name_must_be_that_of_the_path,
    outputs_are_owned_one_by_one,
    a_list_of_namespaces_is_owned_as_a_whole,
    maps_within_outputs_are_owned_by_key,
    applying_less_to_an_access_restores_defaults,
    applying_empty_maps,
    applying_empty_maps_to_an_access,
    metadata_alone_is_answered,
    the_type_is_owned_like_any_field,
    what_the_schema_requires_is_missing,
];

fn secret(labels: Value, data: Value) -> Value {
    json!({"metadata": {"labels": labels}, "data": data})
}

fn both() -> Value {
    secret(
        json!({"x": "1", "y": "1"}),
        json!({"k": "dg==", "l": "dg=="}),
    )
}

async fn applying_creates(subject: &mut Subject) {
    subject.apply("secrets", "a", "m", both()).await;
    subject.get("secrets", "a").await;
    let access = json!({"spec": {"cluster": {"name": "c"}}});
    subject.apply("doclusteraccesses", "a", "m", access).await;
    let lease = json!({"spec": {"holderIdentity": "me"}});
    subject.apply("leases", "a", "m", lease).await;
}

async fn applying_the_same_again_changes_nothing(subject: &mut Subject) {
    for _ in 0..3 {
        subject.apply("secrets", "a", "m", both()).await;
    }
    let access = json!({"spec": {"cluster": {"name": "c"}}});
    for _ in 0..3 {
        subject
            .apply("doclusteraccesses", "a", "m", access.clone())
            .await;
    }
}

async fn applying_another_value_changes_it(subject: &mut Subject) {
    subject.apply("secrets", "a", "m", both()).await;
    let changed = secret(json!({"x": "2"}), json!({"k": "dw=="}));
    subject.apply("secrets", "a", "m", changed).await;
}

async fn what_is_no_longer_applied_goes(subject: &mut Subject) {
    subject.apply("secrets", "a", "m", both()).await;
    let less = secret(json!({"x": "1"}), json!({"l": "dg=="}));
    subject.apply("secrets", "a", "m", less).await;
    let none = json!({"data": {"l": "dg=="}});
    subject.apply("secrets", "a", "m", none).await;
}

async fn all_that_is_no_longer_applied_goes(subject: &mut Subject) {
    subject.apply("secrets", "a", "m", both()).await;
    subject.apply("secrets", "a", "m", json!({})).await;
    subject.apply("secrets", "a", "m", both()).await;
}

async fn two_managers_own_what_both_apply(subject: &mut Subject) {
    subject.apply("secrets", "a", "m", both()).await;
    subject
        .apply("secrets", "a", "n", json!({"data": {"k": "dg=="}}))
        .await;
    subject.get("secrets", "a").await;
}

async fn what_another_manager_applies_too_stays(subject: &mut Subject) {
    subject.apply("secrets", "a", "m", both()).await;
    subject
        .apply(
            "secrets",
            "a",
            "n",
            secret(json!({"x": "1"}), json!({"k": "dg=="})),
        )
        .await;
    subject
        .apply("secrets", "a", "m", json!({"data": {"l": "dg=="}}))
        .await;
    subject
        .apply("secrets", "a", "n", json!({"data": {"k": "dg=="}}))
        .await;
    subject.apply("secrets", "a", "n", json!({})).await;
}

async fn a_conflict_is_refused(subject: &mut Subject) {
    subject.apply("secrets", "a", "m", both()).await;
    subject
        .apply("secrets", "a", "n", json!({"data": {"k": "dw=="}}))
        .await;
    subject.get("secrets", "a").await;
}

async fn several_conflicts_are_refused(subject: &mut Subject) {
    subject.apply("secrets", "a", "m", both()).await;
    let other = secret(
        json!({"x": "2"}),
        json!({"k": "dw==", "l": "dw==", "new": "dw=="}),
    );
    subject.apply("secrets", "a", "n", other).await;
}

async fn conflicts_with_several_managers_are_refused(subject: &mut Subject) {
    subject
        .apply("secrets", "a", "m", json!({"data": {"k": "dg=="}}))
        .await;
    let patch = json!({"data": {"l": "dg=="}});
    subject.patch("secrets", "a", "user", patch).await;
    let other = json!({"data": {"k": "dw==", "l": "dw=="}});
    let refused = subject.apply_with("secrets", "a", "fieldManager=n", other);
    refused.await;
}

async fn force_takes_fields_over(subject: &mut Subject) {
    subject.apply("secrets", "a", "m", both()).await;
    let other = secret(json!({"x": "2"}), json!({"k": "dw==", "l": "dg=="}));
    subject.force("secrets", "a", "n", other).await;
    subject.force("secrets", "a", "m", both()).await;
    let everything = secret(
        json!({"x": "3", "y": "3"}),
        json!({"k": "dw==", "l": "dw=="}),
    );
    subject.force("secrets", "a", "n", everything).await;
}

async fn applying_what_a_user_wrote_conflicts_when_it_differs(subject: &mut Subject) {
    subject.apply("secrets", "a", "m", both()).await;
    subject
        .patch("secrets", "a", "user", json!({"data": {"k": "dw=="}}))
        .await;
    subject.apply("secrets", "a", "m", both()).await;
    subject.force("secrets", "a", "m", both()).await;
}

async fn applying_what_a_user_wrote_shares_it_when_it_is_equal(subject: &mut Subject) {
    subject.apply("secrets", "a", "m", both()).await;
    subject
        .patch("secrets", "a", "user", json!({"data": {"k": "dw=="}}))
        .await;
    subject
        .apply("secrets", "a", "m", json!({"data": {"k": "dw=="}}))
        .await;
    subject
        .apply("secrets", "a", "m", json!({"data": {"l": "dw=="}}))
        .await;
}

async fn a_foreign_annotation_is_left_alone(subject: &mut Subject) {
    subject.apply("secrets", "a", "m", both()).await;
    let patch = json!({"metadata": {"annotations": {"who": "me"}, "labels": {"z": "1"}}});
    subject.patch("secrets", "a", "user", patch).await;
    subject
        .apply("secrets", "a", "m", json!({"data": {"k": "dg=="}}))
        .await;
}

async fn applying_needs_a_manager(subject: &mut Subject) {
    subject
        .apply_with("secrets", "a", "force=true", both())
        .await;
}

async fn managed_fields_cannot_be_applied(subject: &mut Subject) {
    let applied = subject.apply("secrets", "a", "m", both()).await;
    subject.apply("secrets", "a", "m", applied.body).await;
}

async fn version_1_creates(subject: &mut Subject) {
    let mut new = both();
    new["metadata"]["resourceVersion"] = json!("1");
    subject.force("secrets", "a", "m", new).await.is(201);
    subject.get("secrets", "a").await;
}

async fn version_1_conflicts_with_what_is_there(subject: &mut Subject) {
    subject
        .create("secrets", "user", json!({"metadata": {"name": "a"}}))
        .await;
    let mut new = both();
    new["metadata"]["resourceVersion"] = json!("1");
    subject.force("secrets", "a", "m", new).await.is(409);
    subject.get("secrets", "a").await;
}

async fn uid_and_version_of_what_is_there_are_accepted(subject: &mut Subject) {
    let first = subject.apply("secrets", "a", "m", both()).await;
    let mut next = secret(json!({"x": "2"}), json!({"k": "dw=="}));
    next["metadata"]["uid"] = first.uid().into();
    next["metadata"]["resourceVersion"] = first.version().into();
    subject.force("secrets", "a", "m", next).await.is(200);
}

async fn the_version_of_what_was_there_before_conflicts(subject: &mut Subject) {
    let first = subject.apply("secrets", "a", "m", both()).await;
    subject
        .patch(
            "secrets",
            "a",
            "user",
            json!({"metadata": {"labels": {"z": "1"}}}),
        )
        .await;
    let mut next = both();
    next["metadata"]["uid"] = first.uid().into();
    next["metadata"]["resourceVersion"] = first.version().into();
    subject.force("secrets", "a", "m", next).await.is(409);
    subject.get("secrets", "a").await;
}

async fn another_uid_is_refused(subject: &mut Subject) {
    let first = subject.apply("secrets", "a", "m", both()).await;
    let mut next = both();
    next["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
    subject
        .force("secrets", "a", "m", next.clone())
        .await
        .is(422);
    next["metadata"]["resourceVersion"] = first.version().into();
    subject.force("secrets", "a", "m", next).await.is(422);
}

async fn the_uid_of_what_is_gone_conflicts(subject: &mut Subject) {
    let first = subject.apply("secrets", "a", "m", both()).await;
    subject.delete("secrets", "a", json!(null)).await;
    let mut next = both();
    next["metadata"]["uid"] = first.uid().into();
    subject
        .force("secrets", "a", "m", next.clone())
        .await
        .is(409);
    next["metadata"]["resourceVersion"] = first.version().into();
    subject.force("secrets", "a", "m", next).await.is(409);
    subject.get("secrets", "a").await;
}

async fn the_version_of_what_is_gone_alone_does_not_stop_an_apply(subject: &mut Subject) {
    let first = subject.apply("secrets", "a", "m", both()).await;
    subject.delete("secrets", "a", json!(null)).await;
    let mut next = both();
    next["metadata"]["resourceVersion"] = first.version().into();
    subject.force("secrets", "a", "m", next).await.is(201);
}

/// An owner that exists, under that name.
async fn owner(subject: &mut Subject, name: &str) -> Value {
    let owner = subject
        .create("secrets", "user", json!({"metadata": {"name": name}}))
        .await;
    json!({"apiVersion": "v1", "kind": "Secret", "name": name, "uid": owner.uid()})
}

async fn omitting_the_owner_removes_it(subject: &mut Subject) {
    let owner = owner(subject, "owner").await;
    let mut dependent = both();
    dependent["metadata"]["ownerReferences"] = json!([owner]);
    subject.apply("secrets", "a", "m", dependent).await;
    subject.apply("secrets", "a", "m", both()).await;
}

async fn the_owner_of_another_manager_stays(subject: &mut Subject) {
    let (one, other) = (owner(subject, "one").await, owner(subject, "other").await);
    let patch = json!({"metadata": {"ownerReferences": [one]}});
    let mut owned = both();
    owned["metadata"]["ownerReferences"] = json!([other]);
    subject.apply("secrets", "a", "m", both()).await;
    subject.patch("secrets", "a", "user", patch).await;
    subject.apply("secrets", "a", "m", owned.clone()).await;
    let mut changed = owned.clone();
    changed["metadata"]["ownerReferences"][0]["controller"] = json!(true);
    subject.apply("secrets", "a", "n", changed.clone()).await;
    subject.force("secrets", "a", "n", changed).await;
    subject.apply("secrets", "a", "m", both()).await;
}

async fn owners_keep_their_order(subject: &mut Subject) {
    let mut owners = Vec::new();
    for name in ["p", "q", "r"] {
        owners.push(owner(subject, name).await);
    }
    let [p, q, r] = &owners[..] else {
        unreachable!()
    };
    for (manager, applied) in [
        ("m", vec![r, p]),
        ("n", vec![q]),
        ("m", vec![p, r]),
        ("n", vec![r, q, p]),
    ] {
        let owned = json!({"metadata": {"ownerReferences": applied}});
        subject.force("secrets", "a", manager, owned).await;
    }
}

async fn releasing_keeps_the_data(subject: &mut Subject) {
    let owner = owner(subject, "owner").await;
    let data = json!({"kubeconfig": "dg==", "token": "dg=="});
    let published = json!({
        "metadata": {
            "labels": {"app.kubernetes.io/managed-by": "do-cluster-access", "doclusteraccess.dev/access": "prod"},
            "annotations": {"doclusteraccess.dev/access-uid": "u", "doclusteraccess.dev/issued-at": "t"},
            "ownerReferences": [owner],
        },
        "data": data,
    });
    let first = subject
        .force("secrets", "a", "do-cluster-access", published)
        .await;
    let released = json!({
        "metadata": {
            "uid": first.uid(),
            "resourceVersion": first.version(),
            "labels": {"app.kubernetes.io/managed-by": "do-cluster-access"},
            "annotations": {"doclusteraccess.dev/issued-at": "t"},
        },
        "data": data,
    });
    subject
        .force("secrets", "a", "do-cluster-access", released)
        .await;
}

async fn applying_after_a_creation_by_post_conflicts_with_it(subject: &mut Subject) {
    let mut posted = both();
    posted["metadata"]["name"] = json!("a");
    subject.create("secrets", "m", posted).await;
    let changed = secret(json!({"x": "2"}), json!({"k": "dw=="}));
    subject
        .apply("secrets", "a", "m", changed.clone())
        .await
        .is(409);
    subject.force("secrets", "a", "m", changed).await;
    subject
        .apply("secrets", "a", "m", json!({"data": {}}))
        .await;
}

async fn applying_to_an_object_without_managers(subject: &mut Subject) {
    subject.apply("secrets", "a", "m", both()).await;
    let reset = json!({"metadata": {"managedFields": [{}]}});
    subject.patch("secrets", "a", "user", reset).await;
    subject
        .patch("secrets", "a", "user", json!({"data": {"k": "dw=="}}))
        .await;
    subject
        .apply("secrets", "a", "m", json!({"data": {"k": "dA=="}}))
        .await;
    subject
        .force("secrets", "a", "m", json!({"data": {"k": "dA=="}}))
        .await;
}

async fn the_name_must_be_that_of_the_path(subject: &mut Subject) {
    subject
        .apply("secrets", "a", "m", json!({"metadata": {"name": "b"}}))
        .await;
}

fn access(outputs: Value) -> Value {
    json!({"spec": {"cluster": {"name": "c"}, "outputs": outputs}})
}

async fn outputs_are_owned_one_by_one(subject: &mut Subject) {
    let both = access(json!([{"secretName": "s"}, {"secretName": "t", "format": "Flux"}]));
    subject.apply("doclusteraccesses", "a", "m", both).await;
    let mine = json!({"spec": {"outputs": [{"secretName": "u", "adopt": true}]}});
    subject.apply("doclusteraccesses", "a", "n", mine).await;
    let less = access(json!([{"secretName": "t", "format": "Flux"}]));
    subject.apply("doclusteraccesses", "a", "m", less).await;
    let other = json!({"spec": {"outputs": [{"secretName": "t", "format": "Karmada"}]}});
    subject
        .apply("doclusteraccesses", "a", "n", other.clone())
        .await;
    subject.force("doclusteraccesses", "a", "n", other).await;
}

async fn a_list_of_namespaces_is_owned_as_a_whole(subject: &mut Subject) {
    let name = format!("account-{}", subject.namespace);
    let account = |namespaces: Value| json!({"spec": {"tokenSecretRef": {"name": "t"}, "allowedNamespaces": namespaces}});
    subject
        .apply("doaccounts", &name, "m", account(json!(["a", "b"])))
        .await;
    subject
        .apply("doaccounts", &name, "n", account(json!(["a"])))
        .await;
    subject
        .force("doaccounts", &name, "n", account(json!(["a"])))
        .await;
    subject
        .apply("doaccounts", &name, "m", account(json!([])))
        .await;
    subject
        .force("doaccounts", &name, "m", account(json!([])))
        .await;
    let without = json!({"spec": {"tokenSecretRef": {"name": "t"}}});
    subject.apply("doaccounts", &name, "m", without).await;
    subject.delete("doaccounts", &name, json!(null)).await;
}

async fn maps_within_outputs_are_owned_by_key(subject: &mut Subject) {
    let output = |labels: Value| access(json!([{"secretName": "s", "labels": labels}]));
    subject
        .apply(
            "doclusteraccesses",
            "a",
            "m",
            output(json!({"x": "1", "y": "1"})),
        )
        .await;
    let mine = json!({"spec": {"outputs": [{"secretName": "s", "labels": {"z": "1"}}]}});
    subject.apply("doclusteraccesses", "a", "n", mine).await;
    subject
        .apply("doclusteraccesses", "a", "m", output(json!({"y": "1"})))
        .await;
    subject
        .apply(
            "doclusteraccesses",
            "a",
            "m",
            access(json!([{"secretName": "s"}])),
        )
        .await;
}

async fn applying_less_to_an_access_restores_defaults(subject: &mut Subject) {
    let mut full = access(json!([{"secretName": "s", "format": "Flux"}]));
    full["spec"]["suspend"] = json!(true);
    full["spec"]["verification"] = json!("Off");
    subject.apply("doclusteraccesses", "a", "m", full).await;
    subject
        .apply(
            "doclusteraccesses",
            "a",
            "m",
            access(json!([{"secretName": "s"}])),
        )
        .await;
    let bare = json!({"spec": {"cluster": {"name": "c"}}});
    subject.apply("doclusteraccesses", "a", "m", bare).await;
}

async fn applying_empty_maps(subject: &mut Subject) {
    let empty = json!({"metadata": {"labels": {}, "annotations": {}}, "data": {}});
    subject.apply("secrets", "a", "m", empty.clone()).await;
    subject
        .patch(
            "secrets",
            "a",
            "user",
            json!({"metadata": {"labels": {"z": "1"}}}),
        )
        .await;
    subject.apply("secrets", "a", "m", both()).await;
    subject.apply("secrets", "a", "m", empty).await;
}

async fn metadata_alone_is_answered(subject: &mut Subject) {
    let path = format!("{}?fieldManager=m&force=true", subject.path("secrets", "a"));
    let mut body = both();
    body["apiVersion"] = json!("v1");
    body["kind"] = json!("Secret");
    body["metadata"]["name"] = json!("a");
    let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    subject.patch_for_metadata(&path, accept, body).await;
}

async fn the_type_is_owned_like_any_field(subject: &mut Subject) {
    let typed = json!({"type": "cluster.x-k8s.io/secret", "data": {"value": "dg=="}});
    subject.apply("secrets", "a", "m", typed.clone()).await;
    subject
        .apply("secrets", "a", "m", json!({"data": {"value": "dg=="}}))
        .await;
    subject
        .apply("secrets", "b", "m", json!({"data": {"value": "dg=="}}))
        .await;
    subject.apply("secrets", "b", "m", typed.clone()).await;
    subject
        .apply(
            "secrets",
            "b",
            "n",
            json!({"type": "Opaque", "data": {"value": "dg=="}}),
        )
        .await;
}

async fn what_the_schema_requires_is_missing(subject: &mut Subject) {
    subject
        .apply(
            "doclusteraccesses",
            "a",
            "m",
            json!({"spec": {"suspend": true}}),
        )
        .await;
    subject
        .apply("doclusteraccesses", "a", "m", json!({}))
        .await;
    let whole = json!({"spec": {"cluster": {"name": "c"}}});
    subject.apply("doclusteraccesses", "a", "m", whole).await;
    subject
        .apply(
            "doclusteraccesses",
            "a",
            "m",
            json!({"spec": {"suspend": true}}),
        )
        .await;
}

async fn applying_empty_maps_to_an_access(subject: &mut Subject) {
    let mut empty = access(json!([{"secretName": "s", "labels": {}}]));
    empty["metadata"] = json!({"labels": {}, "annotations": {}});
    // The next one would make a new version if, and only if, another second had begun.
    for _ in 0..2 {
        subject
            .apply("doclusteraccesses", "a", "m", empty.clone())
            .await;
    }
    for _ in 0..2 {
        subject
            .patch("doclusteraccesses", "a", "user", json!({}))
            .await;
    }
}
