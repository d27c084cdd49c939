use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::json;

use super::*;
use crate::api::{CredentialStatus, DOClusterAccessStatus, Output};

/// An access that claims these Secrets; the default one, if `None`.
fn access(name: &str, uid: &str, created: i64, outputs: Option<&[&str]>) -> DOClusterAccess {
    let spec = json!({"cluster": {"name": "prod"}});
    let mut access = DOClusterAccess::new(name, serde_json::from_value(spec).unwrap());
    let output = |name: &&str| Output::kubeconfig((*name).to_string());
    access.spec.outputs = outputs.map(|outputs| outputs.iter().map(output).collect());
    access.metadata.namespace = Some("team-a".to_string());
    access.metadata.uid = Some(uid.to_string());
    access.metadata.resource_version = Some("1".to_string());
    access.metadata.creation_timestamp = Some(Time(instant(created)));
    access
}

fn instant(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(seconds).unwrap()
}

fn version(mut access: DOClusterAccess, resource_version: &str) -> DOClusterAccess {
    access.metadata.resource_version = Some(resource_version.to_string());
    access
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("team-a", name)
}

fn keys(names: &[&str]) -> Vec<ObjectKey> {
    names.iter().map(|name| key(name)).collect()
}

/// Caches with these accesses.
fn caches(accesses: &[DOClusterAccess]) -> Caches {
    let mut caches = Caches::default();
    for access in accesses {
        observe(&mut caches, access.clone());
    }
    caches
}

fn observe(caches: &mut Caches, access: DOClusterAccess) -> (bool, Vec<ObjectKey>) {
    let namespace = access.metadata.namespace.clone().unwrap();
    let key = ObjectKey::new(&namespace, &access.metadata.name.clone().unwrap());
    caches.observe_access(&key, access)
}

/// A Secret that belongs to the access with this name and UID.
fn secret(name: &str, owner: Option<(&str, &str)>, resource_version: &str) -> FoundMetadata {
    let entry = |key: &str, value: &str| BTreeMap::from([(key.to_string(), value.to_string())]);
    let metadata = ObjectMeta {
        name: Some(name.to_string()),
        namespace: Some("team-a".to_string()),
        uid: Some("secret".to_string()),
        resource_version: Some(resource_version.to_string()),
        labels: owner.map(|(access, _)| entry("doclusteraccess.dev/access", access)),
        annotations: owner.map(|(_, uid)| entry("doclusteraccess.dev/access-uid", uid)),
        ..ObjectMeta::default()
    };
    FoundMetadata::new(&metadata).unwrap()
}

fn secrets_of(caches: &Caches, uid: &str) -> Vec<String> {
    caches
        .secrets_of(uid)
        .map(|secret| secret.name.to_string())
        .collect()
}

#[test]
fn the_claimants_of_a_secret_are_those_that_name_it_and_the_one_whose_default_it_is() {
    let caches = caches(&[
        access("a", "1", 1, Some(&["x", "y"])),
        access("b", "2", 2, Some(&["y", "prod-kubeconfig"])),
        access("prod", "3", 3, None),
        access("other", "4", 4, Some(&["z"])),
    ]);
    for (secret, claimants) in [
        ("x", &["a"][..]),
        ("y", &["a", "b"]),
        ("z", &["other"]),
        ("prod-kubeconfig", &["b", "prod"]),
        // It names other outputs, so it has no default one.
        ("other-kubeconfig", &[]),
        ("none-kubeconfig", &[]),
        ("prod", &[]),
    ] {
        assert_eq!(caches.claimants(&key(secret)), keys(claimants), "{secret}");
    }
    let elsewhere = ObjectKey::new("team-b", "y");
    assert!(caches.claimants(&elsewhere).is_empty());
}

#[test]
fn the_same_name_in_another_namespace_is_another_secret() {
    let mut elsewhere = access("a", "1", 1, Some(&["x"]));
    elsewhere.metadata.namespace = Some("team-b".to_string());
    let here = access("a", "2", 2, Some(&["x"]));
    let caches = caches(&[elsewhere, here.clone()]);
    assert_eq!(caches.claimants(&key("x")), keys(&["a"]));
    assert_eq!(caches.older_claimant(&here, &key("x"), |_| true), None);
}

#[test]
fn the_older_of_two_claimants_gets_a_secret_and_of_equal_age_the_one_with_the_lesser_uid() {
    for (ages, uids, older) in [
        ((1, 2), ("b", "a"), Some("first")),
        ((2, 1), ("a", "b"), None),
        ((1, 1), ("a", "b"), Some("first")),
        ((1, 1), ("b", "a"), None),
    ] {
        let first = access("first", uids.0, ages.0, Some(&["x"]));
        let second = access("second", uids.1, ages.1, Some(&["x"]));
        let caches = caches(&[first.clone(), second.clone()]);
        let older_than = |access| caches.older_claimant(access, &key("x"), |_| true);
        assert_eq!(older_than(&second).as_deref(), older, "{ages:?} {uids:?}");
        // Exactly one of them gets it.
        let other = if older.is_some() {
            None
        } else {
            Some("second")
        };
        assert_eq!(older_than(&first).as_deref(), other, "{ages:?} {uids:?}");
    }
}

#[test]
fn an_older_claimant_that_could_not_have_the_secret_is_in_nobodys_way() {
    let mut adopting = access("a", "1", 1, Some(&["y", "x"]));
    adopting.spec.outputs.as_mut().unwrap()[1].adopt = true;
    let younger = access("b", "2", 2, Some(&["x"]));
    let caches = caches(&[adopting, younger.clone()]);
    let older = |could: fn(&Output) -> bool| caches.older_claimant(&younger, &key("x"), could);
    assert_eq!(older(|output| output.adopt).as_deref(), Some("a"));
    assert_eq!(older(|output| !output.adopt), None);
}

#[test]
fn the_default_output_is_a_claim_like_any_other() {
    let default = access("prod", "1", 1, None);
    let explicit = access("other", "2", 2, Some(&["prod-kubeconfig"]));
    let caches = caches(&[default.clone(), explicit.clone()]);
    let secret = key("prod-kubeconfig");
    let older = caches.older_claimant(&explicit, &secret, |_| true);
    assert_eq!(older.as_deref(), Some("prod"));
    assert_eq!(caches.older_claimant(&default, &secret, |_| true), None);
}

#[test]
fn an_access_that_is_being_deleted_is_in_nobodys_way() {
    let mut going = access("a", "1", 1, Some(&["x"]));
    going.metadata.deletion_timestamp = Some(Time(instant(5)));
    let younger = access("b", "2", 2, Some(&["x"]));
    let caches = caches(&[going, younger.clone()]);
    assert_eq!(caches.older_claimant(&younger, &key("x"), |_| true), None);
}

#[test]
fn an_access_that_drops_an_output_wakes_those_who_may_have_it_now() {
    let older = access("a", "1", 1, Some(&["x", "y"]));
    let mut caches = caches(&[
        older.clone(),
        access("b", "2", 2, Some(&["x"])),
        access("c", "3", 3, Some(&["y", "z"])),
    ]);
    let mut dropped = version(older.clone(), "2");
    dropped.spec.outputs.as_mut().unwrap().remove(0);
    let (taken_over, woken) = observe(&mut caches, dropped);
    assert!(taken_over);
    assert!(woken.contains(&key("b")), "{woken:?}");
    assert!(!woken.contains(&key("a")));
    assert_eq!(caches.claimants(&key("x")), keys(&["b"]));
    assert_eq!(caches.claimants(&key("y")), keys(&["a", "c"]));
    // What lags behind does not bring it back.
    assert_eq!(observe(&mut caches, older), (false, Vec::new()));
    assert_eq!(caches.claimants(&key("x")), keys(&["b"]));
}

#[test]
fn an_access_that_names_outputs_for_the_first_time_gives_its_default_one_up() {
    let default = access("prod", "1", 1, None);
    let mut caches = caches(&[
        default.clone(),
        access("b", "2", 2, Some(&["prod-kubeconfig"])),
    ]);
    let mut explicit = version(default, "2");
    explicit.spec.outputs = Some(vec![Output::kubeconfig("x".to_string())]);
    assert_eq!(observe(&mut caches, explicit), (true, keys(&["b"])));
    assert_eq!(caches.claimants(&key("prod-kubeconfig")), keys(&["b"]));
    assert_eq!(caches.claimants(&key("x")), keys(&["prod"]));
}

#[test]
fn an_access_whose_outputs_stay_the_same_wakes_nobody() {
    let older = access("a", "1", 1, Some(&["x"]));
    let mut caches = caches(&[older.clone(), access("b", "2", 2, Some(&["x"]))]);
    let mut changed = version(older, "2");
    changed.spec.suspend = true;
    assert_eq!(observe(&mut caches, changed), (true, Vec::new()));
    assert_eq!(caches.claimants(&key("x")), keys(&["a", "b"]));
}

#[test]
fn an_access_that_was_made_anew_is_the_younger_one_now() {
    let old = access("a", "1", 1, Some(&["x"]));
    let other = access("b", "2", 2, Some(&["x"]));
    let mut caches = caches(&[old, other.clone()]);
    assert!(caches.older_claimant(&other, &key("x"), |_| true).is_some());
    // The watch was cut off while it was deleted and created again.
    let anew = version(access("a", "3", 3, Some(&["x"])), "9");
    assert_eq!(observe(&mut caches, anew.clone()), (true, keys(&["b"])));
    assert_eq!(caches.older_claimant(&other, &key("x"), |_| true), None);
    let older = caches.older_claimant(&anew, &key("x"), |_| true);
    assert_eq!(older.as_deref(), Some("b"));
}

#[test]
fn an_access_that_goes_wakes_those_who_may_have_its_secrets_now() {
    let mut caches = caches(&[
        version(access("a", "1", 1, Some(&["x"])), "5"),
        access("b", "2", 2, Some(&["x"])),
        access("c", "3", 3, Some(&["y"])),
    ]);
    assert_eq!(caches.remove_access(&key("a"), "4"), (false, Vec::new()));
    assert_eq!(caches.claimants(&key("x")), keys(&["a", "b"]));
    assert_eq!(caches.remove_access(&key("a"), "6"), (true, keys(&["b"])));
    assert_eq!(caches.claimants(&key("x")), keys(&["b"]));
    assert_eq!(caches.remove_access(&key("a"), "7"), (false, Vec::new()));
    assert!(!caches.access_exists("team-a", "1"));
    assert!(caches.access_exists("team-a", "2"));
    assert!(!caches.access_exists("team-b", "2"));
}

#[test]
fn accesses_that_a_list_no_longer_holds_go_and_wake_those_who_may_have_their_secrets_now() {
    let mut elsewhere = access("d", "4", 4, Some(&["x"]));
    elsewhere.metadata.namespace = Some("team-b".to_string());
    let mut caches = caches(&[
        access("a", "1", 1, Some(&["x"])),
        access("b", "2", 2, Some(&["x"])),
        access("c", "3", 3, None),
        elsewhere,
    ]);
    let listed = BTreeSet::from([key("b")]);
    let concerned = caches.retain_listed_accesses(Some("team-a"), &listed);
    let concerned: BTreeSet<_> = concerned.into_iter().collect();
    assert_eq!(concerned, keys(&["a", "b", "c"]).into_iter().collect());
    assert_eq!(caches.claimants(&key("x")), keys(&["b"]));
    assert!(caches.claimants(&key("c-kubeconfig")).is_empty());
    assert!(caches.access_exists("team-b", "4"));
}

#[test]
fn a_secret_concerns_the_access_that_it_belongs_to_and_the_one_before() {
    let mut caches = Caches::default();
    let mine = secret("x", Some(("a", "1")), "1");
    assert_eq!(caches.observe_secret(mine.clone()), keys(&["a"]));
    assert_eq!(secrets_of(&caches, "1"), ["x"]);
    assert_eq!(caches.observe_secret(mine), keys(&[]), "the same version");
    let moved = secret("x", Some(("b", "2")), "2");
    assert_eq!(caches.observe_secret(moved), keys(&["a", "b"]));
    assert!(secrets_of(&caches, "1").is_empty());
    assert_eq!(secrets_of(&caches, "2"), ["x"]);
    let lagging = secret("x", Some(("a", "1")), "1");
    assert_eq!(caches.observe_secret(lagging), keys(&[]));
    assert_eq!(secrets_of(&caches, "2"), ["x"]);
}

#[test]
fn a_secret_that_is_released_wakes_those_whom_it_was_in_the_way_of() {
    let mut caches = caches(&[
        access("a", "1", 1, Some(&["y"])),
        access("b", "2", 2, Some(&["x"])),
    ]);
    caches.observe_secret(secret("x", Some(("a", "1")), "1"));
    assert_eq!(
        caches.observe_secret(secret("x", None, "2")),
        keys(&["a", "b"])
    );
    assert!(secrets_of(&caches, "1").is_empty());
    // It is nobody's already.
    assert_eq!(caches.observe_secret(secret("x", None, "3")), keys(&[]));
    // It was in nobody's way before it was there, nor is it by a change of ours.
    assert_eq!(
        caches.observe_secret(secret("z", Some(("b", "2")), "1")),
        keys(&["b"])
    );
    caches.observe_secret(secret("x", Some(("b", "2")), "4"));
    let changed = secret("x", Some(("b", "2")), "5");
    assert_eq!(caches.observe_secret(changed), keys(&["b"]));
}

#[test]
fn a_secret_that_goes_wakes_its_access_and_those_whom_it_was_in_the_way_of() {
    let mut caches = caches(&[
        access("a", "1", 1, Some(&["x"])),
        access("b", "2", 2, Some(&["x"])),
        access("c", "3", 3, Some(&["y"])),
    ]);
    caches.observe_secret(secret("x", Some(("a", "1")), "5"));
    assert_eq!(caches.remove_secret(&key("x"), "4"), keys(&[]));
    assert_eq!(secrets_of(&caches, "1"), ["x"]);
    assert_eq!(caches.remove_secret(&key("x"), "6"), keys(&["a", "b"]));
    assert!(secrets_of(&caches, "1").is_empty());
    assert_eq!(caches.remove_secret(&key("x"), "7"), keys(&[]));
    // One that belongs to nobody.
    caches.observe_secret(secret("y", None, "8"));
    assert_eq!(caches.remove_secret(&key("y"), "9"), keys(&["c"]));
}

#[test]
fn secrets_that_a_list_no_longer_holds_go_and_wake_the_same() {
    let mut caches = caches(&[
        access("a", "1", 1, Some(&["x", "y"])),
        access("b", "2", 2, Some(&["x"])),
        access("c", "3", 3, Some(&["y"])),
    ]);
    caches.observe_secret(secret("x", Some(("a", "1")), "5"));
    caches.observe_secret(secret("y", Some(("a", "1")), "5"));
    let listed = BTreeSet::from([key("y")]);
    assert!(
        caches
            .retain_listed_secrets(Some("team-b"), &listed)
            .is_empty()
    );
    let concerned = caches.retain_listed_secrets(None, &listed);
    let concerned: BTreeSet<_> = concerned.into_iter().collect();
    assert_eq!(concerned, keys(&["a", "b"]).into_iter().collect());
    assert_eq!(secrets_of(&caches, "1"), ["y"]);
}

#[test]
fn the_users_of_an_account_are_those_that_name_it_or_by_default() {
    let mut named = access("named", "1", 1, None);
    let account = json!({"cluster": {"name": "prod"}, "accountRef": {"name": "production"}});
    named.spec = serde_json::from_value(account).unwrap();
    let mut with_token = access("with-token", "2", 2, None);
    let token = json!({"cluster": {"name": "prod"}, "tokenSecretRef": {"name": "production"}});
    with_token.spec = serde_json::from_value(token).unwrap();
    let mut elsewhere = named.clone();
    elsewhere.metadata.namespace = Some("team-b".to_string());
    let caches = caches(&[
        named,
        with_token,
        access("default", "3", 3, None),
        elsewhere,
    ]);
    let elsewhere = ObjectKey::new("team-b", "named");
    assert_eq!(
        caches.users_of_account("production"),
        [key("named"), elsewhere]
    );
    assert_eq!(caches.users_of_account("default"), keys(&["default"]));
    assert!(caches.users_of_account("none").is_empty());
}

#[test]
fn an_access_is_due_when_its_status_says_that_its_credential_expires() {
    let mut with_status = access("a", "1", 1, None);
    with_status.status = Some(DOClusterAccessStatus {
        credential: Some(CredentialStatus {
            expires_at: Some(Time(instant(77))),
            ..CredentialStatus::default()
        }),
        ..DOClusterAccessStatus::default()
    });
    let caches = caches(&[with_status, access("b", "2", 2, None)]);
    assert_eq!(caches.expires_at(&key("a")), Some(77));
    assert_eq!(caches.expires_at(&key("b")), None);
    assert_eq!(caches.expires_at(&key("c")), None);
}

#[test]
fn accesses_are_found_by_the_cluster_that_they_name_or_led_to_last() {
    let by_id = |id: &str| {
        let mut access = access("by-id", "uid-id", 1, None);
        access.spec.cluster = serde_json::from_value(json!({"id": id})).unwrap();
        access
    };
    let mut led = access("led", "uid-led", 1, None);
    led.spec.cluster = serde_json::from_value(json!({"name": "renamed"})).unwrap();
    led.status = serde_json::from_value(json!({"cluster": {"id": "ID"}})).unwrap();
    let mut caches = caches(&[access("named", "uid", 1, None), by_id("Id"), led.clone()]);
    let of = |caches: &Caches, id, name| -> Vec<String> {
        let found = caches.accesses_of_cluster(id, name);
        found.map(|(key, _)| key.name.to_string()).collect()
    };
    assert_eq!(of(&caches, "id", Some("prod")), ["by-id", "led", "named"]);
    assert_eq!(of(&caches, "id", None), ["by-id", "led"]);
    assert_eq!(of(&caches, "i", Some("pro")), [""; 0]);

    observe(&mut caches, version(by_id("other"), "2"));
    caches.remove_access(&key("named"), "2");
    assert_eq!(of(&caches, "id", Some("prod")), ["led"]);
    assert_eq!(of(&caches, "other", None), ["by-id"]);
    caches.retain_listed_accesses(None, &BTreeSet::from([key("by-id")]));
    assert_eq!(of(&caches, "id", Some("prod")), [""; 0]);
    assert_eq!(caches.by_cluster.len(), 1);
}
