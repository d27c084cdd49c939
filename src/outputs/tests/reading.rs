//! A Secret as it was found: is it what one write of ours made it?

use proptest::prelude::*;

use super::*;

/// The credential in a Secret, where its content is what one write of ours left.
fn material(secret: Secret) -> Option<Material> {
    let found = found(secret);
    let parts = found.parts()?;
    parts.into_material(found.metadata.marks?.issue)
}

#[test]
fn what_was_written_is_read_back_whole() {
    for written in materials() {
        let read = material(stored(&desired(&written))).expect("intact");
        assert_eq!(read.issue, written.issue);
        assert_eq!(read.credential, written.credential);
        assert_eq!(desired(&read).contents, desired(&written).contents);
    }
}

#[test]
fn what_others_added_does_not_count() {
    for written in materials() {
        let mut secret = stored(&desired(&written));
        let data = secret.data.as_mut().unwrap();
        data.insert("note".to_string(), ByteString(b"theirs".to_vec()));
        let metadata = &mut secret.metadata;
        for map in [&mut metadata.labels, &mut metadata.annotations] {
            map.get_or_insert_default()
                .insert("note".to_string(), "theirs".to_string());
        }
        assert!(material(secret).is_some());
    }
}

#[test]
fn a_key_that_is_missing_or_empty_is_noticed() {
    for written in materials() {
        let intact = stored(&desired(&written));
        for key in intact.data.as_ref().unwrap().keys() {
            let mut secret = intact.clone();
            secret.data.as_mut().unwrap().remove(key);
            assert!(material(secret).is_none(), "without {key}");
            let mut secret = intact.clone();
            secret
                .data
                .as_mut()
                .unwrap()
                .insert(key.clone(), ByteString(Vec::new()));
            assert!(material(secret).is_none(), "{key} empty");
        }
    }
}

#[test]
fn a_mark_that_is_missing_or_changed_is_noticed() {
    for written in materials() {
        let intact = stored(&desired(&written));
        let marks = written.issue.rotate.is_some();
        assert!(marks, "all eight marks are there");
        let annotations = intact.metadata.annotations.clone().unwrap();
        let ours = annotations
            .iter()
            .filter(|(key, _)| key.starts_with("doclusteraccess.dev/"));
        for (key, value) in ours {
            let mut secret = intact.clone();
            secret.metadata.annotations.as_mut().unwrap().remove(key);
            assert!(material(secret).is_none(), "without {key}");
            for changed in [
                String::new(),
                format!("{value}x"),
                value.replace(|c: char| c.is_ascii_digit(), "9"),
                // A credential that seems to last longer than it does.
                value.replace("2026", "2036"),
            ] {
                if changed != *value {
                    let mut secret = intact.clone();
                    let annotations = secret.metadata.annotations.as_mut().unwrap();
                    annotations.insert(key.clone(), changed.clone());
                    assert!(material(secret).is_none(), "{key}: {changed}");
                }
            }
        }
    }
}

#[test]
fn all_annotations_are_remembered_whether_the_marks_are_complete_changed_or_spelt_otherwise() {
    let written = stored(&desired(&token_material()));
    let ours = |key: &str| format!("doclusteraccess.dev/{key}");
    for (key, value) in [
        ("example.com/note".to_string(), Some("mine")),
        (ours("rotate"), None),
        (ours("access-uid"), None),
        (ours("access-uid"), Some(SECRET_UID)),
        (ours("expires-at"), Some("tomorrow")),
        (ours("expires-at"), Some("2026-11-22T10:00:00+00:00")),
    ] {
        let mut secret = written.clone();
        let annotations = secret.metadata.annotations.as_mut().unwrap();
        annotations.remove(&key);
        annotations.extend(value.map(|value| (key.clone(), value.to_string())));
        let annotations = annotations.clone();
        let metadata = found(secret).metadata;
        assert_eq!(metadata.annotations(), annotations, "{key}: {value:?}");
        let uid = annotations.get(Marks::ACCESS_UID).map(String::as_str);
        assert_eq!(metadata.access_uid(), uid, "{key}: {value:?}");
    }
}

#[test]
fn a_rotate_mark_that_somebody_adds_is_noticed() {
    let written = Material {
        issue: Issue {
            rotate: None,
            ..issue()
        },
        ..token_material()
    };
    let mut secret = stored(&desired(&written));
    assert!(material(secret.clone()).is_some());
    let annotations = secret.metadata.annotations.as_mut().unwrap();
    annotations.insert("doclusteraccess.dev/rotate".to_string(), "1".to_string());
    assert!(material(secret).is_none());
}

#[test]
fn the_content_of_another_access_is_not_taken_for_ones_own() {
    // A copy under another access's marks.
    let mut secret = stored(&desired(&token_material()));
    let annotations = secret.metadata.annotations.as_mut().unwrap();
    annotations.insert(
        "doclusteraccess.dev/access-uid".to_string(),
        SECRET_UID.to_string(),
    );
    assert!(material(secret).is_none());
}

#[test]
fn a_secret_without_data_or_marks_is_read_and_holds_nothing() {
    let mut secret = stored(&desired(&token_material()));
    secret.data = None;
    assert!(material(secret.clone()).is_none());
    secret.metadata.annotations = None;
    secret.type_ = None;
    let found = found(secret);
    assert_eq!(found.metadata.marks, None);
    assert_eq!(found.secret_type, "Opaque");
    assert!(found.intact().is_none());
    assert!(found.parts().is_none());
}

#[test]
fn an_object_that_no_api_server_has_stored_is_none() {
    let stored = stored(&desired(&token_material()));
    for strip in [
        (|metadata| metadata.uid = None) as fn(&mut ObjectMeta),
        |metadata| metadata.resource_version = None,
        |metadata| metadata.name = None,
        |metadata| metadata.namespace = None,
    ] {
        let mut secret = stored.clone();
        strip(&mut secret.metadata);
        assert!(FoundSecret::new(secret).is_none());
    }
}

#[test]
fn a_secret_that_kubectl_applied_does_not_keep_a_copy_of_its_data_in_memory() {
    let key = "kubectl.kubernetes.io/last-applied-configuration";
    let mut secret = stored(&desired(&token_material()));
    let annotations = secret.metadata.annotations.as_mut().unwrap();
    annotations.insert(
        key.to_string(),
        r#"{"data":{"token":"c2VjcmV0"}}"#.to_string(),
    );
    assert!(!found(secret).metadata.annotations().contains_key(key));
}

#[test]
fn only_an_owner_reference_to_an_access_makes_an_owner() {
    let reference = |api_version: &str, kind: &str| json!([{"apiVersion": api_version, "kind": kind, "name": "prod", "uid": "u", "controller": true}]);
    let owner = |references: Value| {
        let mut secret = stored(&desired(&token_material()));
        secret.metadata.owner_references = Some(serde_json::from_value(references).unwrap());
        found(secret).metadata.owner_uid
    };
    assert_eq!(
        owner(reference("doclusteraccess.dev/v1alpha1", "DOClusterAccess")),
        Some("u".to_string())
    );
    // A later version of the same kind is the same kind.
    assert_eq!(
        owner(reference("doclusteraccess.dev/v1", "DOClusterAccess")),
        Some("u".to_string())
    );
    assert_eq!(
        owner(reference("doclusteraccess.dev/v1alpha1", "DOAccount")),
        None
    );
    assert_eq!(owner(reference("example.com/v1", "DOClusterAccess")), None);
    assert_eq!(owner(json!([])), None);
}

proptest! {
    #[test]
    fn a_single_changed_byte_is_noticed_wherever_it_is(
        which in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(),
        flip in 1..=255_u8, certificate: bool,
    ) {
        let written = if certificate { certificate_material() } else { token_material() };
        let mut secret = stored(&desired(&written));
        let data = secret.data.as_mut().unwrap();
        let key = which.get(&data.keys().cloned().collect::<Vec<_>>()).clone();
        let value = &mut data.get_mut(&key).unwrap().0;
        let place = place.index(value.len());
        value[place] ^= flip;
        prop_assert!(material(secret).is_none(), "byte {} of {}", place, key);
    }
}
