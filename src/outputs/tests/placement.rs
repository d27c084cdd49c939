//! The Secret as it is to be, and as it is when it is released.

use super::*;

#[test]
fn every_secret_carries_our_labels_and_marks_and_the_users() {
    let desired = desired(&token_material());
    let labels = [
        ("app.kubernetes.io/managed-by", "do-cluster-access"),
        ("doclusteraccess.dev/access", "prod"),
        ("team", "payments"),
    ];
    assert_eq!(desired.labels, entries(&labels));
    let form = "Kubeconfig ca.crt expires-at kubeconfig server token";
    let rendering = desired.marks.rendering();
    let hash = content_hash(ACCESS_UID, &issue(), form, rendering, &desired.contents);
    let annotations = [
        ("contact", "payments@example.com"),
        ("doclusteraccess.dev/access-uid", ACCESS_UID),
        ("doclusteraccess.dev/cluster-id", CLUSTER_ID),
        ("doclusteraccess.dev/issued-at", "2026-11-22T09:00:00Z"),
        ("doclusteraccess.dev/expires-at", "2026-11-29T09:00:00Z"),
        ("doclusteraccess.dev/issue-hash", "0123.4567"),
        ("doclusteraccess.dev/form", form),
        ("doclusteraccess.dev/content-hash", &hash),
        ("doclusteraccess.dev/rotate", "1"),
    ];
    assert_eq!(desired.annotations, entries(&annotations));
    assert_eq!(desired.marks.content_hash, hash);
}

#[test]
fn the_users_labels_and_annotations_do_not_replace_ours() {
    let theirs = |keys: &[&str]| -> BTreeMap<String, String> {
        keys.iter()
            .map(|key| (key.to_string(), "theirs".to_string()))
            .collect()
    };
    let output = Output {
        labels: theirs(&["app.kubernetes.io/managed-by", "doclusteraccess.dev/access"]),
        annotations: theirs(&[
            "doclusteraccess.dev/access-uid",
            "doclusteraccess.dev/expires-at",
        ]),
        ..output()
    };
    let desired = desired_of(&output, &token_material()).unwrap();
    assert!(
        !desired
            .labels
            .values()
            .chain(desired.annotations.values())
            .any(|v| v == "theirs")
    );
}

#[test]
fn the_access_owns_the_secret_exactly_when_it_is_to_go_with_it_and_was_not_taken_over() {
    for (policy, adopt, owned) in [
        (DeletionPolicy::Delete, false, true),
        (DeletionPolicy::Delete, true, false),
        (DeletionPolicy::Retain, false, false),
        (DeletionPolicy::Retain, true, false),
    ] {
        let output = Output { adopt, ..output() };
        let source = Source {
            output: &output,
            material: &token_material(),
            facts: &facts(),
            present: None,
        };
        let placement = placement(policy);
        let desired = placement.desired(&source, &BTreeMap::new()).unwrap();
        let body = desired.apply_body(&[]);
        assert_eq!(desired.owner.is_some(), owned, "{policy:?}, adopt {adopt}");
        let expected = json!([{
            "apiVersion": "doclusteraccess.dev/v1alpha1",
            "kind": "DOClusterAccess",
            "name": "prod",
            "uid": ACCESS_UID,
            "controller": true,
        }]);
        let expected = if owned { expected } else { Value::Null };
        assert_eq!(body["metadata"]["ownerReferences"], expected);
    }
}

#[test]
fn an_apply_holds_everything_in_one_write_and_the_precondition_that_is_asked_for() {
    let desired = desired(&token_material());
    let body = desired.apply_body(&[("uid", SECRET_UID), ("resourceVersion", "7")]);
    assert_eq!(body["apiVersion"], "v1");
    assert_eq!(body["kind"], "Secret");
    assert_eq!(body["type"], "Opaque");
    let metadata = &body["metadata"];
    assert_eq!(metadata["namespace"], "team-a");
    assert_eq!(metadata["name"], "prod-kubeconfig");
    assert_eq!(metadata["uid"], SECRET_UID);
    assert_eq!(metadata["resourceVersion"], "7");
    assert_eq!(metadata["labels"], json!(desired.labels));
    assert_eq!(metadata["annotations"], json!(desired.annotations));
    // The API server itself decodes it to the same Secret.
    let mut sent: Secret = serde_json::from_value(body).unwrap();
    let stored = stored(&desired);
    assert_eq!(sent.data, stored.data);
    sent.metadata.owner_references.take();
    assert!(
        sent.string_data.is_none(),
        "stringData is merged by the server and owned by nobody"
    );
}

#[test]
fn an_access_that_no_api_server_has_stored_has_no_place() {
    let mut access = DOClusterAccess::new("prod", spec(json!({"cluster": {"name": "prod"}})));
    assert!(Placement::of(&access).is_none());
    access.metadata.namespace = Some("team-a".to_string());
    access.metadata.uid = Some(ACCESS_UID.to_string());
    let placement = Placement::of(&access).unwrap();
    assert_eq!(placement.namespace, "team-a");
    assert_eq!(
        placement.owner,
        Owner {
            name: "prod".to_string(),
            uid: ACCESS_UID.to_string()
        }
    );
    // Absent means Delete.
    assert_eq!(placement.deletion_policy, DeletionPolicy::Delete);
}

#[test]
fn a_released_secret_keeps_its_data_and_loses_owner_and_marks_of_ownership() {
    let published = desired(&token_material());
    let mut secret = stored(&published);
    let more = |map: &mut Option<BTreeMap<String, String>>| {
        map.get_or_insert_default()
            .insert("added".to_string(), "later".to_string());
    };
    more(&mut secret.metadata.labels);
    more(&mut secret.metadata.annotations);
    let released = DesiredSecret::released(&found(secret)).unwrap();
    assert_eq!(released.contents, published.contents);
    assert_eq!(released.secret_type, "Opaque");
    assert_eq!(released.owner, None);
    let body = released.apply_body(&[]);
    assert!(body["metadata"].get("ownerReferences").is_none());
    assert!(!released.labels.contains_key("doclusteraccess.dev/access"));
    assert!(
        !released
            .annotations
            .contains_key("doclusteraccess.dev/access-uid")
    );
    // What else there was stays: the user's, and what was said of the credential.
    for label in ["team", "added"] {
        assert!(released.labels.contains_key(label), "{label}");
    }
    for annotation in ["contact", "added", "doclusteraccess.dev/expires-at"] {
        assert!(
            released.annotations.contains_key(annotation),
            "{annotation}"
        );
    }
    // Nobody's any more, its namesake's neither.
    let metadata = found(stored(&released)).metadata;
    assert!(!metadata.belongs_to(ACCESS_UID));
    assert_eq!(metadata.access_name(), None);
    assert_eq!(metadata.owner_uid, None);
}

#[test]
fn a_secret_without_marks_is_not_released() {
    let mut secret = stored(&desired(&token_material()));
    secret.metadata.annotations = None;
    assert!(DesiredSecret::released(&found(secret)).is_none());
}
