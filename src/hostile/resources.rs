//! `DOClusterAccess` and `DOAccount` as an API server could tell of them.

use kube::Resource;
use kube::core::{ObjectList, WatchEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::{DOAccount, DOClusterAccess};
use crate::controller::watched::{Parts, Watched};
use crate::outputs::{Placement, issue_hash, same_cluster_reference};
use crate::redaction::Redaction;
use crate::rotation::{
    Decision, Issue, MAX_SLEEP_SECONDS, Observed, OutputState, Schedule, Wanted, decide,
    earliest_renewal, renew_at, retry_at,
};

const NOW: i64 = 1_795_338_000;

/// Reads `bytes` as either kind. True when they were decoded as one.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let Ok(object) = serde_json::from_slice::<Value>(bytes) else {
        return false;
    };
    let access: Option<DOClusterAccess> = disturbs_nobody(
        &object,
        &json!({"cluster": {"name": "prod"}, "expirySeconds": 600}),
    );
    let account: Option<DOAccount> = disturbs_nobody(
        &object,
        &json!({"tokenSecretRef": {"name": "digitalocean"}}),
    );
    if let Some(access) = &access {
        check_access(access);
    }
    if let Some(account) = &account {
        check_account(account);
    }
    access.is_some() || account.is_some()
}

/// The object, if it can be decoded. In a list and in a watch the others are read either way: only
/// metadata, which an API server always checks, has to be sound.
fn disturbs_nobody<K>(object: &Value, sound_spec: &Value) -> Option<K>
where
    K: Parts + DeserializeOwned + Serialize + Clone + PartialEq,
{
    let with = |name: &str, mut object: Value| {
        let fields = object.as_object_mut()?;
        fields.insert("apiVersion".to_owned(), K::api_version(&()).into());
        fields.insert("kind".to_owned(), K::kind(&()).into());
        let metadata = json!({
            "name": name, "namespace": "team-a", "uid": "u", "resourceVersion": "7", "generation": 2,
        });
        fields.insert("metadata".to_owned(), metadata);
        Some(object)
    };
    let hostile = with("hostile", object.clone())?;
    let sound = |name| with(name, json!({"spec": sound_spec}));
    let list = json!({
        "apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "9"},
        "items": [sound("one"), hostile, sound("two")],
    });
    // As bytes: that is how they come.
    let list: ObjectList<Watched<K>> =
        serde_json::from_str(&list.to_string()).expect("a list is read whatever is in it");
    let [one, guarded, two] = list.items.try_into().ok().expect("three");
    let sound = serde_json::from_value::<K>(sound("one")?).expect("sound");
    assert!(one.0.is_ok_and(|one| one == sound) && two.0.is_ok());
    assert_eq!(guarded.meta().name.as_deref(), Some("hostile"));
    assert_eq!(guarded.meta().resource_version.as_deref(), Some("7"));

    let event = json!({"type": "MODIFIED", "object": hostile}).to_string();
    let event: WatchEvent<Watched<K>> =
        serde_json::from_str(&event).expect("an event is read whatever is in it");
    assert!(matches!(event, WatchEvent::Modified(told) if told.0.is_ok() == guarded.0.is_ok()));
    match guarded.0 {
        Ok(object) => Some(object),
        Err(invalid) => {
            // It is logged, and a user may have pasted an API token into the wrong field.
            let said = invalid.error.clone();
            let redacted = Redaction::default().redact(said.as_bytes());
            let logged = redacted.unwrap_or(said.into_bytes());
            assert!(!contains(&logged, b"dop_v1_"), "a token in the log");
            None
        }
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

fn check_access(access: &DOClusterAccess) {
    let spec = &access.spec;
    let written = serde_json::to_value(access).expect("JSON");
    let read: DOClusterAccess = serde_json::from_value(written).expect("what was written");
    assert!(read.spec == *spec && read.status == access.status);
    let hash = issue_hash(spec);
    assert_eq!(hash, issue_hash(&read.spec));
    assert!(same_cluster_reference(&hash, &issue_hash(&read.spec)));
    let outputs = access.effective_outputs();
    assert_eq!(
        outputs.is_empty(),
        spec.outputs.as_ref().is_some_and(Vec::is_empty)
    );
    assert!(Placement::of(access).is_some());
    let status = access.status.as_ref();
    let credential = status.and_then(|status| status.credential.as_ref());
    let instant = |time: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
        time.map_or(NOW, |time| time.0.as_second())
    };
    let issue = Issue {
        issued_at: instant(credential.and_then(|known| known.issued_at.as_ref())),
        expires_at: instant(credential.and_then(|known| known.expires_at.as_ref())),
        cluster_id: "a".to_owned(),
        issue_hash: hash.clone(),
        rotate: status.and_then(|status| status.last_rotate_request.clone()),
    };
    check_schedule(access, &issue);
}

/// Whatever times a status or a Secret's marks tell, what is decided makes sense.
fn check_schedule(access: &DOClusterAccess, issue: &Issue) {
    let spec = &access.spec;
    let schedule = Schedule {
        uid: "u",
        renew_before_seconds: spec.renew_before_seconds,
    };
    let at = renew_at(schedule, issue.issued_at, issue.expires_at);
    assert!(at <= issue.expires_at);
    assert!(earliest_renewal(schedule, issue.issued_at, issue.expires_at) <= at);
    let again = retry_at("u", NOW, issue.issued_at, Some(issue.expires_at), None);
    assert!((NOW + 4..=NOW + 720).contains(&again), "{}", again - NOW);
    let wanted = Wanted {
        uid: "u".to_owned(),
        generation: 1,
        suspend: spec.suspend,
        renew_before_seconds: spec.renew_before_seconds,
        issue_hash: issue.issue_hash.clone(),
        cluster_id: None,
        rotate: None,
    };
    let observed = Observed {
        outputs: vec![OutputState::Intact {
            issue: issue.clone(),
            as_wanted: true,
        }],
        ever_issued: true,
        ..Observed::default()
    };
    match decide(&wanted, &observed, NOW) {
        Decision::Wait { until } | Decision::Suspended { until } => {
            assert!((NOW + 1..=NOW + MAX_SLEEP_SECONDS).contains(&until));
            // Issues of one access are spaced, whatever they say.
            let just_issued = NOW - issue.issued_at < 30;
            assert!(spec.suspend || just_issued || issue.expires_at > NOW);
        }
        Decision::Issue(_) => assert!(at <= NOW && !spec.suspend),
        other => panic!("{other:?}"),
    }
}

fn check_account(account: &DOAccount) {
    let spec = &account.spec;
    let clusters = spec.allowed_clusters.as_ref();
    let nothing = clusters.is_none_or(|allowed| allowed.ids.is_empty() && allowed.names.is_empty());
    for name in ["team-a", "", "*", "?", "kube-system", "\u{1f4a5}"] {
        let listed = spec.allowed_namespaces.iter().any(|glob| glob == name);
        let glob = |glob: &String| glob.contains(['*', '?']);
        let globs = spec.allowed_namespaces.iter().any(glob);
        let allowed = spec.allows_namespace(name);
        assert!(allowed || !listed, "{name} is listed");
        assert!(listed || globs || !allowed, "{name} is not listed");
        assert!(!(nothing && spec.allows_cluster("id", name)), "{name}");
    }
}
