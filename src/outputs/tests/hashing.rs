//! The hashes and marks: what changes them, and what does not.

use proptest::prelude::*;

use super::*;

fn contents(entries: &[(&str, &str)]) -> Contents {
    let mut contents = Contents::default();
    for (key, value) in entries {
        contents.insert(key, value);
    }
    contents
}

const FORM: &str = "Custom a=Server b=Token";
const RENDERING: &str = "89ab";

/// The hash of `contents` in the access with that UID, written in [`FORM`].
fn hash(access_uid: &str, issue: &Issue, contents: &Contents) -> String {
    content_hash(access_uid, issue, FORM, RENDERING, contents)
}

fn baseline() -> String {
    hash(ACCESS_UID, &issue(), &contents(&[("a", "1"), ("b", "2")]))
}

#[test]
fn the_content_hash_changes_with_form_and_rendering_and_shows_the_latter() {
    let contents = contents(&[("a", "1"), ("b", "2")]);
    let hash = |form, rendering| content_hash(ACCESS_UID, &issue(), form, rendering, &contents);
    assert_ne!(hash("Custom a=Server b=Region", RENDERING), baseline());
    let front = |hash: &str| hash.split_once('.').map(|(front, _)| front.to_string());
    let other = hash(FORM, "89ac");
    assert_eq!(
        other.split_once('.').map(|(_, behind)| behind),
        Some("89ac")
    );
    assert_ne!(
        front(&other),
        front(&baseline()),
        "the rendering is covered, too"
    );
    // What lies on which side of a border counts.
    assert_ne!(
        front(&hash("Custom8", "9ab")),
        front(&hash("Custom", "89ab"))
    );
}

#[test]
fn the_content_hash_changes_with_every_mark() {
    let unchanged = contents(&[("a", "1"), ("b", "2")]);
    assert_eq!(hash(ACCESS_UID, &issue(), &unchanged), baseline());
    assert_ne!(hash("another", &issue(), &unchanged), baseline());
    for changed in [
        Issue {
            issued_at: ISSUED_AT + 1,
            ..issue()
        },
        Issue {
            expires_at: EXPIRES_AT + 1,
            ..issue()
        },
        Issue {
            cluster_id: "another".to_string(),
            ..issue()
        },
        Issue {
            issue_hash: "0123.4568".to_string(),
            ..issue()
        },
        Issue {
            rotate: Some("2".to_string()),
            ..issue()
        },
        Issue {
            rotate: Some(String::new()),
            ..issue()
        },
        Issue {
            rotate: None,
            ..issue()
        },
        // The same values in each other's place.
        Issue {
            issued_at: EXPIRES_AT,
            expires_at: ISSUED_AT,
            ..issue()
        },
        Issue {
            cluster_id: issue().issue_hash,
            issue_hash: issue().cluster_id,
            ..issue()
        },
    ] {
        assert_ne!(
            hash(ACCESS_UID, &changed, &unchanged),
            baseline(),
            "{changed:?}"
        );
    }
}

#[test]
fn the_content_hash_changes_with_every_key_and_value() {
    for changed in [
        contents(&[]),
        contents(&[("a", "1")]),
        contents(&[("a", "1"), ("b", "3")]),
        contents(&[("a", "2"), ("b", "1")]),
        contents(&[("a", "1"), ("c", "2")]),
        contents(&[("a", "1"), ("b", "2"), ("c", "")]),
        // What lies on which side of a border counts.
        contents(&[("a", "1b"), ("", "2")]),
        contents(&[("a1", ""), ("b", "2")]),
    ] {
        assert_ne!(
            hash(ACCESS_UID, &issue(), &changed),
            baseline(),
            "{changed:?}"
        );
    }
}

#[test]
fn no_content_can_pass_for_a_mark() {
    let without = Issue {
        rotate: None,
        ..issue()
    };
    let posing = contents(&[("rotate", "1")]);
    let honest = hash(ACCESS_UID, &issue(), &contents(&[]));
    assert_ne!(hash(ACCESS_UID, &without, &posing), honest);
}

#[test]
fn the_content_hash_is_the_same_in_every_version() {
    // Another value would make every published Secret look damaged after an upgrade.
    assert_eq!(baseline(), "dd80aad0c127ec587b65723744a2ee3d.89ab");
}

/// The smallest spec, and the same with one field more or other.
fn variations() -> Vec<(&'static str, Value)> {
    vec![
        ("name", json!({"cluster": {"name": "prod"}})),
        ("another name", json!({"cluster": {"name": "test"}})),
        ("id", json!({"cluster": {"id": CLUSTER_ID}})),
        (
            "a name like an id",
            json!({"cluster": {"name": CLUSTER_ID}}),
        ),
        (
            "account",
            json!({"cluster": {"name": "prod"}, "accountRef": {"name": "a"}}),
        ),
        (
            "another account",
            json!({"cluster": {"name": "prod"}, "accountRef": {"name": "b"}}),
        ),
        (
            "token",
            json!({"cluster": {"name": "prod"}, "tokenSecretRef": {"name": "default"}}),
        ),
        (
            "another token",
            json!({"cluster": {"name": "prod"}, "tokenSecretRef": {"name": "b"}}),
        ),
        (
            "token key",
            json!({"cluster": {"name": "prod"}, "tokenSecretRef": {"name": "default", "key": "b"}}),
        ),
        (
            "lifetime",
            json!({"cluster": {"name": "prod"}, "expirySeconds": 3600}),
        ),
        (
            "another lifetime",
            json!({"cluster": {"name": "prod"}, "expirySeconds": 3601}),
        ),
        (
            "source",
            json!({"cluster": {"name": "prod"}, "kubeconfigSource": "Rendered"}),
        ),
    ]
}

#[test]
fn the_issue_hash_changes_with_everything_that_needs_a_new_credential() {
    let mut hashes = BTreeMap::new();
    for (what, variation) in variations() {
        let other = hashes.insert(issue_hash(&spec(variation)), what);
        assert_eq!(other, None, "{what} has the same hash");
    }
}

#[test]
fn the_issue_hash_does_not_change_with_anything_else() {
    let plain = spec(json!({"cluster": {"name": "prod"}}));
    let mut decorated = spec(json!({
        "cluster": {"name": "prod"},
        "renewBeforeSeconds": 60,
        "verification": "Required",
        "outputs": [{"secretName": "other", "labels": {"a": "b"}, "adopt": true}],
        "deletionPolicy": "Retain",
        "suspend": true,
    }));
    assert_eq!(issue_hash(&plain), issue_hash(&decorated));
    decorated.expiry_seconds = Some(3600);
    assert_ne!(issue_hash(&plain), issue_hash(&decorated));
}

#[test]
fn the_issue_hash_of_a_cluster_id_does_not_depend_on_its_case() {
    let id = |id: String| issue_hash(&spec(json!({"cluster": {"id": id}})));
    assert_eq!(id(CLUSTER_ID.to_uppercase()), id(CLUSTER_ID.to_string()));
}

#[test]
fn naming_the_account_that_is_used_anyway_changes_no_issue_hash() {
    let plain = issue_hash(&spec(json!({"cluster": {"name": "prod"}})));
    let account = |name: &str| {
        issue_hash(&spec(
            json!({"cluster": {"name": "prod"}, "accountRef": {"name": name}}),
        ))
    };
    assert_eq!(account("default"), plain);
    for other in ["Default", "default-2", ""] {
        assert_ne!(account(other), plain, "{other}");
    }
}

#[test]
fn an_absent_field_contributes_nothing_so_that_an_upgrade_issues_nothing() {
    // As this version computed them when it was released.
    let minimal = issue_hash(&spec(json!({"cluster": {"name": "prod"}})));
    assert_eq!(
        minimal,
        "831ff42bf3c3bc18c745a51ef7af597d.e3b0c44298fc1c149afbf4c8996fb924"
    );
    let usual = json!({
        "cluster": {"id": CLUSTER_ID},
        "tokenSecretRef": {"name": "digitalocean"},
        "expirySeconds": 86400,
        "kubeconfigSource": "Rendered",
    });
    assert_eq!(
        issue_hash(&spec(usual)),
        "f47087744c1ad4b43969f670a5324c92.40413c78c73accf245496545f72ce00b"
    );
    // The default, written out, is no change either.
    let spelled_out = json!({"cluster": {"name": "prod"}, "kubeconfigSource": "DigitalOcean"});
    assert_eq!(issue_hash(&spec(spelled_out)), minimal);
}

#[test]
fn the_part_before_the_dot_speaks_of_the_cluster_alone() {
    let hashes: Vec<_> = variations()
        .into_iter()
        .map(|(what, variation)| (what, issue_hash(&spec(variation))))
        .collect();
    let (_, by_name) = &hashes[0];
    for (what, hash) in &hashes {
        let same = !["another name", "id", "a name like an id"].contains(what);
        assert_eq!(same_cluster_reference(by_name, hash), same, "{what}");
    }
}

#[test]
fn marks_are_read_back_from_the_annotations_that_they_were_written_to() {
    for rotate in [None, Some(String::new()), Some("1764000000".to_string())] {
        let marks = Marks {
            access_uid: ACCESS_UID.to_string(),
            issue: Issue { rotate, ..issue() },
            form: FORM.to_string(),
            content_hash: "89ab.cdef".to_string(),
        };
        let annotations = marks.annotations(false);
        assert_eq!(Marks::read(&annotations), Some(marks));
        assert_eq!(annotations[Marks::ACCESS_UID], ACCESS_UID);
    }
}

#[test]
fn marks_with_one_missing_or_senseless_are_none() {
    let marks = Marks {
        access_uid: ACCESS_UID.to_string(),
        issue: Issue {
            rotate: None,
            ..issue()
        },
        form: FORM.to_string(),
        content_hash: "89ab.cdef".to_string(),
    };
    let complete = marks.annotations(false);
    assert_eq!(complete.len(), 7);
    for key in complete.keys() {
        let mut lacking = complete.clone();
        lacking.remove(key);
        assert_eq!(Marks::read(&lacking), None, "without {key}");
    }
    for key in ["issued-at", "expires-at"] {
        let mut senseless = complete.clone();
        senseless.insert(format!("doclusteraccess.dev/{key}"), "tomorrow".to_string());
        assert_eq!(Marks::read(&senseless), None, "{key}");
    }
}

#[test]
fn released_marks_name_no_access() {
    let marks = Marks {
        access_uid: ACCESS_UID.to_string(),
        issue: issue(),
        form: FORM.to_string(),
        content_hash: "89ab.cdef".to_string(),
    };
    let released = marks.annotations(true);
    assert!(!released.contains_key(Marks::ACCESS_UID));
    assert_eq!(released.len(), marks.annotations(false).len() - 1);
}

proptest! {
    #[test]
    fn marks_survive_annotations_whatever_they_hold(
        issued_at in 0..4_000_000_000_i64, lifetime in 1..31_536_000_i64,
        texts in prop::array::uniform5(".{0,40}"), rotate in prop::option::of(".{0,40}"),
    ) {
        let [access_uid, cluster_id, issue_hash, form, content_hash] = texts;
        let marks = Marks {
            access_uid,
            issue: Issue { issued_at, expires_at: issued_at + lifetime, cluster_id, issue_hash, rotate },
            form,
            content_hash,
        };
        prop_assert_eq!(Marks::read(&marks.annotations(false)), Some(marks));
    }

    #[test]
    fn different_contents_have_different_hashes(
        one in prop::collection::btree_map("[a-c.]{0,3}", ".{0,3}", 0..4),
        other in prop::collection::btree_map("[a-c.]{0,3}", ".{0,3}", 0..4),
    ) {
        let hash_of = |entries: &BTreeMap<String, String>| {
            let entries: Vec<_> =
                entries.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            hash(ACCESS_UID, &issue(), &contents(&entries))
        };
        prop_assert_eq!(one == other, hash_of(&one) == hash_of(&other));
    }
}
