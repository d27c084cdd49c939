//! The record of who owns which field, as a real API server keeps it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

use super::*;

/// Recorded from kube-apiserver 1.36.3 after the apply of [`desired`] with a token.
const APPLIED: &str = r#"[{"apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{
    "f:data":{"f:ca.crt":{},"f:expires-at":{},"f:kubeconfig":{},"f:server":{},"f:token":{}},
    "f:metadata":{
        "f:annotations":{"f:contact":{},"f:doclusteraccess.dev/access-uid":{},
            "f:doclusteraccess.dev/cluster-id":{},"f:doclusteraccess.dev/content-hash":{},
            "f:doclusteraccess.dev/expires-at":{},"f:doclusteraccess.dev/form":{},
            "f:doclusteraccess.dev/issue-hash":{},"f:doclusteraccess.dev/issued-at":{},
            "f:doclusteraccess.dev/rotate":{}},
        "f:labels":{"f:app.kubernetes.io/managed-by":{},"f:doclusteraccess.dev/access":{},"f:team":{}},
        "f:ownerReferences":{"k:{\"uid\":\"ecadb801-22a4-4948-ab48-930427c76c17\"}":{}}},
    "f:type":{}},
    "manager":"do-cluster-access","operation":"Apply","time":"2026-11-22T09:48:58Z"}]"#;

/// What kubectl annotate, run by a person, adds to the record.
const ANNOTATED: &str = r#"{"apiVersion":"v1","fieldsType":"FieldsV1",
    "fieldsV1":{"f:metadata":{"f:annotations":{"f:note":{}}}},
    "manager":"kubectl-annotate","operation":"Update","time":"2026-11-22T09:49:00Z"}"#;

fn record() -> Value {
    serde_json::from_str(APPLIED).unwrap()
}

fn digest_of(record: Value) -> Option<String> {
    let entries: Vec<ManagedFieldsEntry> = serde_json::from_value(record).unwrap();
    recorded_fields(&entries).map(|fields| fields.digest())
}

/// The Secret of [`desired`] as the API server has it, with `record`.
fn stored_with(record: Value) -> Secret {
    let mut secret = stored(&desired(&token_material()));
    secret.metadata.managed_fields = Some(serde_json::from_value(record).unwrap());
    secret
}

fn is_as_wanted(secret: Secret, output: &Output, policy: DeletionPolicy) -> bool {
    placement(policy).is_as_wanted(output, Some(&facts()), &found(secret).metadata, None)
}

#[test]
fn the_record_of_a_real_api_server_is_what_an_apply_is_expected_to_own() {
    let desired = desired(&token_material());
    let expected = fields_of(&desired, keys(&desired.contents).into_iter()).digest();
    assert_eq!(digest_of(record()), Some(expected));
    assert!(is_as_wanted(
        stored_with(record()),
        &output(),
        DeletionPolicy::Delete
    ));
}

#[test]
fn an_output_without_owner_owns_all_but_the_owner_reference() {
    let mut without_owner = record();
    without_owner[0]["fieldsV1"]["f:metadata"]
        .as_object_mut()
        .unwrap()
        .remove("f:ownerReferences");
    let source = Source {
        output: &output(),
        material: &token_material(),
        facts: &facts(),
        present: None,
    };
    let placement = placement(DeletionPolicy::Retain);
    let desired = placement.desired(&source, &BTreeMap::new()).unwrap();
    let expected = fields_of(&desired, keys(&desired.contents).into_iter()).digest();
    assert_eq!(digest_of(without_owner), Some(expected));
}

#[test]
fn a_foreign_annotation_is_no_drift() {
    let mut annotated = record();
    annotated
        .as_array_mut()
        .unwrap()
        .push(serde_json::from_str(ANNOTATED).unwrap());
    assert_eq!(digest_of(annotated.clone()), digest_of(record()));
    let mut secret = stored_with(annotated);
    let annotations = secret.metadata.annotations.as_mut().unwrap();
    annotations.insert("note".to_string(), "x".to_string());
    assert!(is_as_wanted(secret, &output(), DeletionPolicy::Delete));
}

#[test]
fn every_field_that_somebody_takes_from_us_is_drift() {
    // Ownership of a field that is changed moves to whoever changed it.
    let groups = [
        ["f:data"].as_slice(),
        &["f:metadata", "f:annotations"],
        &["f:metadata", "f:labels"],
        &["f:metadata", "f:ownerReferences"],
        &[],
    ];
    let mut taken = 0;
    for group in groups {
        let pointer: String = group.iter().map(|name| format!("/{name}")).collect();
        let pointer = format!("/0/fieldsV1{pointer}");
        let fields = record()
            .pointer(&pointer)
            .unwrap()
            .as_object()
            .unwrap()
            .clone();
        for field in fields.keys() {
            let mut changed = record();
            changed
                .pointer_mut(&pointer)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(field);
            assert_ne!(digest_of(changed.clone()), digest_of(record()), "{field}");
            let secret = stored_with(changed);
            assert!(
                !is_as_wanted(secret, &output(), DeletionPolicy::Delete),
                "{field}"
            );
            taken += 1;
        }
    }
    assert_eq!(taken, 5 + 9 + 3 + 1 + 3);
}

#[test]
fn a_field_that_our_applies_own_and_the_spec_does_not_ask_for_is_drift() {
    // Left by another version: the next apply drops it.
    let mut more = record();
    more[0]["fieldsV1"]["f:data"]["f:value"] = json!({});
    assert!(!is_as_wanted(
        stored_with(more),
        &output(),
        DeletionPolicy::Delete
    ));
}

#[test]
fn without_a_record_of_ours_there_is_no_digest() {
    assert_eq!(digest_of(json!([])), None);
    for (field, value) in [
        ("manager", "kubectl"),
        ("operation", "Update"),
        ("subresource", "status"),
    ] {
        let mut foreign = record();
        foreign[0][field] = json!(value);
        assert_eq!(digest_of(foreign.clone()), None, "{field}");
        assert!(!is_as_wanted(
            stored_with(foreign),
            &output(),
            DeletionPolicy::Delete
        ));
    }
}

#[test]
fn the_entries_that_stand_for_a_map_itself_do_not_count() {
    // Other versions of the API server list them.
    let mut listed = record();
    for group in [
        "/f:data",
        "/f:metadata/f:labels",
        "/f:metadata/f:annotations",
    ] {
        listed[0]["fieldsV1"].pointer_mut(group).unwrap()["."] = json!({});
    }
    assert_eq!(digest_of(listed), digest_of(record()));
}

#[test]
fn a_change_of_the_spec_that_metadata_shows_is_noticed() {
    let intact = || stored_with(record());
    let without_label = Output {
        labels: BTreeMap::new(),
        ..output()
    };
    let mut other_value = output();
    other_value
        .labels
        .insert("team".to_string(), "web".to_string());
    let mut more = output();
    more.annotations.insert("more".to_string(), String::new());
    for changed in [without_label, other_value, more] {
        assert!(
            !is_as_wanted(intact(), &changed, DeletionPolicy::Delete),
            "{changed:?}"
        );
    }
    assert!(
        !is_as_wanted(intact(), &output(), DeletionPolicy::Retain),
        "the owner is to go"
    );
    let adopted = Output {
        adopt: true,
        ..output()
    };
    assert!(
        !is_as_wanted(intact(), &adopted, DeletionPolicy::Delete),
        "the owner is to go"
    );
}

#[test]
fn a_label_that_was_edited_is_drift_even_if_ownership_did_not_move() {
    let mut secret = stored_with(record());
    let labels = secret.metadata.labels.as_mut().unwrap();
    labels.insert(
        "doclusteraccess.dev/access".to_string(),
        "other".to_string(),
    );
    assert!(!is_as_wanted(secret, &output(), DeletionPolicy::Delete));
}
