//! Secrets as they are found: ours, somebody else's, and some that only seem to be ours.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::credential::is_sound;
use super::secrecy::CANARY;
use super::seeds;
use crate::api::{DeletionPolicy, Output};
use crate::outputs::{
    DesiredSecret, Form, FoundMetadata, FoundSecret, Marks, Owner, Placement, content_hash,
    format_of,
};

/// Reads `bytes` as a Secret. True when its marks and content passed for those of a write of ours.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let Ok(secret) = serde_json::from_slice::<Secret>(bytes) else {
        return false;
    };
    let Some(found) = FoundSecret::new(secret.clone()) else {
        let metadata = &secret.metadata;
        let identity = [&metadata.namespace, &metadata.name, &metadata.uid];
        assert!(identity.iter().any(|part| part.is_none()) || metadata.resource_version.is_none());
        return false;
    };
    check_found(&found)
}

/// Reads all that there is to read. True when it passed for ours.
pub(crate) fn check_found(found: &FoundSecret) -> bool {
    check_metadata(&found.metadata);
    shows_no_data(found);
    let intact = found.intact();
    if let Some(contents) = &intact {
        let marks = found.metadata.marks.as_ref().expect("marks");
        let form = Form::parse(&marks.form).expect("a form");
        let canonical = format_of(form.format).canonical(contents.clone());
        let (uid, rendering) = (&marks.access_uid, marks.rendering());
        let hash = content_hash(uid, &marks.issue, &marks.form, rendering, &canonical);
        assert_eq!(hash, marks.content_hash);
        assert!(found.metadata.belongs_to(uid));
    }
    let parts = found.parts();
    assert!(parts.is_none() || intact.is_some());
    let marks = found.metadata.marks.clone();
    if let Some((parts, marks)) = parts.zip(marks) {
        assert!(!format!("{parts:?}").contains("PRIVATE KEY"));
        if let Some(material) = parts.into_material(marks.issue) {
            is_sound(&material.credential);
        }
    }
    check_released(found);
    for output in seeds::outputs() {
        check_against(&output, found, intact.is_some());
    }
    intact.is_some()
}

fn check_metadata(metadata: &FoundMetadata) {
    let annotations = metadata.annotations();
    let uid = annotations
        .get("doclusteraccess.dev/access-uid")
        .map(String::as_str);
    assert_eq!(metadata.access_uid(), uid);
    assert!(uid.is_none_or(|uid| metadata.belongs_to(uid)));
    assert!(!metadata.belongs_to("somebody else"));
    let copy = "kubectl.kubernetes.io/last-applied-configuration";
    assert!(!annotations.contains_key(copy));
    if let Some(digest) = &metadata.owned_fields {
        assert!(digest.len() == 16 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    let Some(marks) = &metadata.marks else {
        return;
    };
    // What is read is what would be written, but for the spelling of times.
    let again = Marks::read(&marks.annotations(false));
    assert_eq!(again.as_ref(), Some(marks));
    assert_eq!(Some(marks.access_uid.as_str()), uid);
    assert_eq!(Marks::read(&marks.annotations(true)), None);
    if let Some(form) = Form::parse(&marks.form) {
        assert_eq!(form.to_string(), marks.form);
    }
}

/// The canary stands in data alone; what else a fuzzer puts elsewhere is not a secret.
fn shows_no_data(found: &FoundSecret) {
    let shown = format!("{found:?}");
    let elsewhere = format!(
        "{:?} {:?} {:?}",
        found.metadata, found.secret_type, found.owned_fields
    );
    let keys: Vec<_> = found.contents.iter().map(|(key, _)| key).collect();
    if !format!("{elsewhere}{keys:?}").contains(CANARY) {
        assert!(!shown.contains(CANARY), "data is shown");
    }
}

/// Letting go of a Secret leaves its data and nobody's claim.
fn check_released(found: &FoundSecret) {
    let Some(released) = DesiredSecret::released(found) else {
        return;
    };
    assert_eq!(released.owner, None);
    let body = released.apply_body(&[("uid", &found.metadata.uid)]);
    let annotations = &body["metadata"]["annotations"];
    assert!(annotations["doclusteraccess.dev/access-uid"].is_null());
    assert!(body["metadata"]["labels"]["doclusteraccess.dev/access"].is_null());
    assert!(body["metadata"]["ownerReferences"].is_null());
    for (key, value) in released.contents.iter() {
        assert_eq!(found.contents.get(key), Some(value));
    }
}

fn check_against(output: &Output, found: &FoundSecret, intact: bool) {
    let placement = Placement {
        namespace: "team-a".to_owned(),
        owner: Owner {
            name: "prod".to_owned(),
            uid: seeds::ACCESS_UID.to_owned(),
        },
        deletion_policy: DeletionPolicy::Delete,
    };
    let facts = seeds::facts();
    let right = placement.is_right(output, Some(&facts), found);
    assert!(intact || !right);
    let metadata = &found.metadata;
    if placement.is_as_wanted(output, Some(&facts), metadata, None) {
        // Metadata alone can say so only of what bears all marks, labels and the owner.
        let marks = metadata.marks.as_ref().expect("marks");
        assert_eq!(metadata.access_name(), Some("prod"));
        assert_eq!(metadata.owner_uid.as_deref(), Some(seeds::ACCESS_UID));
        assert_eq!(metadata.access_uid(), Some(marks.access_uid.as_str()));
        assert!(metadata.owned_fields.is_some());
    }
    if let Some(relabelled) = placement.relabelled(output, Some(&facts), found) {
        assert!(intact);
        for (key, value) in relabelled.contents.iter() {
            assert_eq!(found.contents.get(key), Some(value));
        }
        assert_eq!(Some(&relabelled.marks), metadata.marks.as_ref());
    }
}

/// A Secret as JSON, for [`check`].
pub(crate) fn stored(desired: &DesiredSecret) -> Value {
    let mut secret = desired.apply_body(&[
        ("uid", "0b9bb0a2-7b66-45c4-b1a5-1f0b8f6b7a10"),
        ("resourceVersion", "7"),
    ]);
    let named = |object: &Value| -> Value {
        let names = object.as_object().into_iter().flatten();
        let fields = names.map(|(name, _)| (format!("f:{name}"), json!({})));
        fields.collect::<serde_json::Map<_, _>>().into()
    };
    let owner = format!("k:{}", json!({"uid": seeds::ACCESS_UID}));
    let owners = BTreeMap::from([(owner, json!({}))]);
    let fields = json!({
        "f:data": named(&secret["data"]),
        "f:metadata": {
            "f:annotations": named(&secret["metadata"]["annotations"]),
            "f:labels": named(&secret["metadata"]["labels"]),
            "f:ownerReferences": owners,
        },
        "f:type": {},
    });
    secret["metadata"]["managedFields"] = json!([{
        "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
        "manager": "do-cluster-access", "operation": "Apply",
    }]);
    secret
}
