use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::super::memory::{HeldCredential, Reverification};
use super::*;
use crate::api::{ClusterStatus, DOClusterAccess};
use crate::credential::fixtures::token_credential;
use crate::outputs::{Facts, Source};
use crate::rotation::IssueReason;

const UID: &str = "ecadb801-22a4-4948-ab48-930427c76c17";
const CLUSTER_ID: &str = "bd5f5959-5e1e-4205-a714-a914373942af";

fn access(name: &str, uid: &str, outputs: &Value) -> DOClusterAccess {
    let access = json!({
        "apiVersion": "doclusteraccess.dev/v1alpha1",
        "kind": "DOClusterAccess",
        "metadata": {
            "name": name, "namespace": "team-a", "uid": uid, "generation": 1,
            "resourceVersion": "1", "creationTimestamp": "2026-11-22T09:00:00Z",
        },
        "spec": {"cluster": {"name": "prod"}, "outputs": outputs, "deletionPolicy": "Delete"},
    });
    serde_json::from_value(access).unwrap()
}

fn subject(outputs: &Value) -> Subject {
    let key = ObjectKey::new("team-a", "prod");
    let mut subject = Subject::new(&key, access("prod", UID, outputs)).unwrap();
    subject.facts = Some(facts());
    subject
}

fn facts() -> Facts {
    Facts {
        cluster_id: CLUSTER_ID.to_string(),
        cluster_name: "prod".to_string(),
        ..Facts::default()
    }
}

fn issue(issued_at: i64) -> Issue {
    Issue {
        issued_at,
        expires_at: issued_at + 604_800,
        cluster_id: CLUSTER_ID.to_string(),
        issue_hash: "cluster.rest".to_string(),
        rotate: None,
    }
}

fn material(issued_at: i64) -> Material {
    Material {
        issue: issue(issued_at),
        credential: token_credential(),
        kubeconfig: None,
    }
}

/// The fields in `value`, as the API server records them.
fn fields(value: &Value) -> Value {
    let Value::Object(map) = value else {
        return json!({});
    };
    let unrecorded = ["apiVersion", "kind", "name", "namespace"];
    let children = map
        .iter()
        .filter(|(key, _)| !unrecorded.contains(&key.as_str()))
        .map(|(key, child)| match child {
            Value::Array(owners) => {
                let owner = format!("k:{}", json!({"uid": owners[0]["uid"]}));
                (format!("f:{key}"), json!({ owner: {} }))
            }
            child => (format!("f:{key}"), fields(child)),
        });
    children.collect::<serde_json::Map<_, _>>().into()
}

/// The output number `place` as the API server has it after our write of `material`.
fn written(subject: &Subject, place: usize, material: &Material) -> Secret {
    let source = Source {
        output: &subject.outputs[place],
        material,
        facts: &facts(),
        present: None,
    };
    let desired = subject
        .placement
        .desired(&source, &BTreeMap::default())
        .unwrap();
    let mut body = desired.apply_body(&[("uid", "secret"), ("resourceVersion", "7")]);
    let mut recorded = fields(&body);
    for set in ["f:uid", "f:resourceVersion"] {
        recorded["f:metadata"].as_object_mut().unwrap().remove(set);
    }
    body["metadata"]["managedFields"] = json!([{
        "manager": "do-cluster-access", "operation": "Apply", "fieldsV1": recorded,
    }]);
    serde_json::from_value(body).unwrap()
}

fn found(secret: Secret) -> FoundSecret {
    FoundSecret::new(secret).unwrap()
}

/// What is seen of these Secrets, one an output.
fn observe(subject: &Subject, caches: &Caches, secrets: Vec<Option<Secret>>) -> Observation {
    let memory = Memory::default();
    let view = View {
        subject,
        memory: &memory,
        caches,
    };
    let places = subject.outputs.iter().zip(secrets);
    let outputs = places.map(|(output, secret)| view.fresh_output(output, secret.map(found)));
    let mut observation = Observation {
        outputs: outputs.collect(),
        obsolete: Vec::new(),
        former: None,
        incomplete: false,
        endpoint: None,
    };
    observation.incomplete = observation.lacks_material(subject, &memory);
    observation
}

fn observed(subject: &Subject, secrets: Vec<Option<Secret>>) -> Observation {
    observe(subject, &Caches::default(), secrets)
}

fn state(
    subject: &Subject,
    caches: &Caches,
    secret: Option<Secret>,
) -> (OutputState, Option<String>) {
    let place = observe(subject, caches, vec![secret]).outputs.remove(0);
    (place.state, place.conflict)
}

fn kubeconfig() -> Subject {
    subject(&json!([{"secretName": "prod-kubeconfig"}]))
}

#[test]
fn what_was_written_is_intact_and_as_wanted_and_holds_the_credential() {
    let subject = kubeconfig();
    let seen = observed(&subject, vec![Some(written(&subject, 0, &material(100)))]);
    let expected = OutputState::Intact {
        issue: issue(100),
        as_wanted: true,
    };
    assert_eq!(seen.outputs[0].state, expected);
    assert!(seen.holds(&issue(100)) && !seen.holds(&issue(101)));
    let read = seen.material().expect("it holds all");
    assert_eq!(
        (read.issue, read.credential),
        (issue(100), token_credential())
    );
}

#[test]
fn outputs_none_of_which_holds_all_tell_together_what_another_needs() {
    let subject = subject(&json!([
        {"secretName": "flux", "format": "Flux"},
        {"secretName": "karmada", "format": "Karmada"},
        {"secretName": "server", "format": "Custom", "keys": [{"key": "a", "field": "Server"}]},
    ]));
    let karmada = || Some(written(&subject, 1, &material(100)));
    let server = || Some(written(&subject, 2, &material(100)));
    let together = observed(&subject, vec![None, karmada(), server()]);
    assert_eq!(together.outputs[0].state, OutputState::Missing);
    let read = together.material().expect("together they do");
    assert_eq!(read.credential, token_credential());
    assert!(!together.incomplete);
    for alone in [vec![None, karmada(), None], vec![None, None, server()]] {
        let seen = observed(&subject, alone);
        assert!(seen.material().is_none());
        assert!(seen.incomplete);
    }
}

#[test]
fn parts_of_different_issues_do_not_make_a_credential() {
    let subject = subject(&json!([
        {"secretName": "flux", "format": "Flux"},
        {"secretName": "karmada", "format": "Karmada"},
        {"secretName": "server", "format": "Custom", "keys": [{"key": "a", "field": "Server"}]},
    ]));
    let older = Some(written(&subject, 2, &material(100)));
    let newer = Some(written(&subject, 1, &material(101)));
    let seen = observed(&subject, vec![None, newer.clone(), older]);
    assert!(seen.material().is_none());
    assert!(seen.incomplete);
    // Of two whole ones the one that lasts longer counts.
    let whole = Some(written(&subject, 0, &material(100)));
    let seen = observed(&subject, vec![whole, newer, None]);
    assert!(seen.material().is_none(), "the newer is not whole");
}

#[test]
fn nothing_is_incomplete_where_nothing_is_to_be_written_or_nothing_is_there() {
    let subject = subject(&json!([{"secretName": "karmada", "format": "Karmada"}]));
    let intact = observed(&subject, vec![Some(written(&subject, 0, &material(100)))]);
    assert!(intact.material().is_none() && !intact.incomplete);
    assert!(!observed(&subject, vec![None]).incomplete, "it is lost");
}

#[test]
fn an_output_whose_labels_alone_are_wrong_needs_no_credential() {
    let subject = subject(&json!([{"secretName": "karmada", "format": "Karmada"}]));
    let mut secret = written(&subject, 0, &material(100));
    let labels = secret.metadata.labels.as_mut().unwrap();
    labels.remove("app.kubernetes.io/managed-by");
    let seen = observed(&subject, vec![Some(secret)]);
    let expected = OutputState::Intact {
        issue: issue(100),
        as_wanted: false,
    };
    assert_eq!(seen.outputs[0].state, expected);
    assert!(!seen.incomplete);
}

#[test]
fn an_output_that_is_to_have_other_content_needs_a_credential() {
    let old = subject(&json!([{"secretName": "x", "format": "Karmada"}]));
    let secret = written(&old, 0, &material(100));
    let new = subject(&json!([
        {"secretName": "x", "format": "Custom", "keys": [{"key": "a", "field": "Server"}]},
    ]));
    let seen = observed(&new, vec![Some(secret)]);
    assert!(matches!(
        seen.outputs[0].state,
        OutputState::Intact {
            as_wanted: false,
            ..
        }
    ));
    assert!(seen.incomplete, "what is there tells no server");
}

#[test]
fn content_that_is_not_what_one_write_left_is_damaged() {
    let subject = kubeconfig();
    let mut secret = written(&subject, 0, &material(100));
    let data = secret.data.as_mut().unwrap();
    data.insert("token".to_string(), ByteString(b"another".to_vec()));
    let seen = observed(&subject, vec![Some(secret.clone())]);
    assert_eq!(seen.outputs[0].state, OutputState::Damaged);
    assert!(seen.material().is_none());
    let annotations = secret.metadata.annotations.as_mut().unwrap();
    annotations.remove("doclusteraccess.dev/form");
    let seen = observed(&subject, vec![Some(secret)]);
    assert_eq!(seen.outputs[0].state, OutputState::Damaged);
}

#[test]
fn a_secret_of_another_type_is_a_conflict_that_says_so() {
    let subject = kubeconfig();
    let mut secret = written(&subject, 0, &material(100));
    secret.type_ = Some("kubernetes.io/tls".to_string());
    let (state, conflict) = state(&subject, &Caches::default(), Some(secret));
    assert_eq!(state, OutputState::Conflict { passing: false });
    assert!(conflict.unwrap().contains("kubernetes.io/tls"));
}

#[test]
fn a_secret_that_is_being_deleted_is_in_the_way_for_a_while() {
    let subject = kubeconfig();
    let mut secret = serde_json::to_value(written(&subject, 0, &material(100))).unwrap();
    secret["metadata"]["deletionTimestamp"] = json!("2026-11-22T09:00:00Z");
    let secret = serde_json::from_value(secret).unwrap();
    let (state, _) = state(&subject, &Caches::default(), Some(secret));
    assert_eq!(state, OutputState::Conflict { passing: true });
}

/// A Secret that is not ours: with the marks of the access `uid`, and owned by `owner`.
fn foreign(uid: Option<&str>, owner: Option<&str>) -> Option<Secret> {
    let mut metadata = json!({
        "name": "prod-kubeconfig", "namespace": "team-a", "uid": "s", "resourceVersion": "1",
    });
    if let Some(uid) = uid {
        metadata["annotations"] = json!({"doclusteraccess.dev/access-uid": uid});
        metadata["labels"] = json!({"doclusteraccess.dev/access": "other"});
    }
    if let Some(owner) = owner {
        metadata["ownerReferences"] = json!([{
            "apiVersion": "doclusteraccess.dev/v1alpha1", "kind": "DOClusterAccess",
            "name": "other", "uid": owner,
        }]);
    }
    serde_json::from_value(json!({"metadata": metadata, "type": "Opaque"})).unwrap()
}

/// Caches in which the access `other` exists, with these outputs.
fn with_other(uid: &str, outputs: &Value) -> Caches {
    let mut caches = Caches::default();
    caches.observe_access(
        &ObjectKey::new("team-a", "other"),
        access("other", uid, outputs),
    );
    caches
}

#[test]
fn a_secret_that_is_not_ours_is_refused_unless_it_is_to_be_adopted_and_nobodys() {
    let plain = kubeconfig();
    let adopting = subject(&json!([{"secretName": "prod-kubeconfig", "adopt": true}]));
    let caches = with_other("alive", &json!([{"secretName": "x"}]));
    let refused = OutputState::Conflict { passing: false };
    let passing = OutputState::Conflict { passing: true };
    let missing = OutputState::Missing;
    for (uid, owner, unless_adopted, adopted) in [
        (None, None, &refused, &missing),
        // Retained by an access that is gone.
        (Some("gone"), None, &refused, &missing),
        // Garbage collection will take it: not even adoption may keep it from that.
        (Some("gone"), Some("gone"), &passing, &passing),
        (None, Some("gone"), &passing, &passing),
        // Another access's.
        (Some("alive"), Some("alive"), &refused, &refused),
        (Some("alive"), None, &refused, &refused),
    ] {
        let secret = || foreign(uid, owner);
        let (without, _) = state(&plain, &caches, secret());
        assert_eq!(&without, unless_adopted, "{uid:?} {owner:?}");
        let (with, conflict) = state(&adopting, &caches, secret());
        assert_eq!(&with, adopted, "{uid:?} {owner:?}, to be adopted");
        if uid == Some("alive") {
            assert!(conflict.unwrap().contains("other"));
        }
    }
}

#[test]
fn a_secret_that_an_older_access_claims_is_refused_before_it_is_there() {
    let subject = kubeconfig();
    let claimed = json!([{"secretName": "prod-kubeconfig"}]);
    // Of equal age, so that the UID decides.
    let (state_of_younger, conflict) = state(&subject, &with_other("0", &claimed), None);
    assert_eq!(state_of_younger, OutputState::Conflict { passing: false });
    assert!(conflict.unwrap().contains("older DOClusterAccess other"));
    let (state_of_older, conflict) = state(&subject, &with_other("f", &claimed), None);
    assert_eq!((state_of_older, conflict), (OutputState::Missing, None));
}

#[test]
fn of_two_that_want_to_adopt_a_secret_the_older_does() {
    let adopting = json!([{"secretName": "prod-kubeconfig", "adopt": true}]);
    let subject = subject(&adopting);
    let secret = || foreign(None, None);
    let refused = OutputState::Conflict { passing: false };
    assert_eq!(
        state(&subject, &with_other("0", &adopting), secret()).0,
        refused
    );
    let younger = with_other("f", &adopting);
    assert_eq!(state(&subject, &younger, secret()).0, OutputState::Missing);
    // An older one that does not want to adopt it cannot have it.
    let plain = with_other("0", &json!([{"secretName": "prod-kubeconfig"}]));
    assert_eq!(state(&subject, &plain, secret()).0, OutputState::Missing);
}

/// What the caches tell of the one output of `subject`.
fn cached_state(subject: &Subject, memory: &Memory, secret: Secret) -> OutputState {
    let mut caches = Caches::default();
    caches.observe_secret(found(secret).metadata);
    let view = View {
        subject,
        memory,
        caches: &caches,
    };
    view.cached_output(&subject.outputs[0]).state
}

#[test]
fn what_was_read_and_found_right_is_not_read_again_until_something_else_is_asked_for() {
    let labelled = subject(&json!([
        {"secretName": "prod-kubeconfig", "labels": {"team": "a"}},
    ]));
    // Somebody else wrote the token, as it was.
    let mut secret = written(&labelled, 0, &material(100));
    let record = &mut secret.metadata.managed_fields.as_mut().unwrap()[0];
    let fields = &mut record.fields_v1.as_mut().unwrap().0;
    fields["f:data"]
        .as_object_mut()
        .unwrap()
        .remove("f:token")
        .unwrap();

    let state = |as_wanted| OutputState::Intact {
        issue: issue(100),
        as_wanted,
    };
    let ignorant = Memory::default();
    assert_eq!(
        cached_state(&labelled, &ignorant, secret.clone()),
        state(false)
    );
    let seen = observed(&labelled, vec![Some(secret.clone())]);
    assert_eq!(seen.outputs[0].state, state(true));
    let knowing = Memory {
        accepted: accepted(&labelled, &seen),
        ..Memory::default()
    };
    assert_eq!(
        cached_state(&labelled, &knowing, secret.clone()),
        state(true)
    );
    // The label is to go: nobody else will remove it.
    let unlabelled = kubeconfig();
    assert_eq!(
        cached_state(&unlabelled, &knowing, secret.clone()),
        state(false)
    );
    let mut changed = secret;
    changed.metadata.resource_version = Some("8".to_string());
    assert_eq!(cached_state(&labelled, &knowing, changed), state(false));
}

#[test]
fn what_is_not_right_is_not_accepted() {
    let subject = kubeconfig();
    let mut secret = written(&subject, 0, &material(100));
    secret.metadata.labels = None;
    let seen = observed(&subject, vec![Some(secret)]);
    assert!(accepted(&subject, &seen).is_empty());
    assert!(accepted(&subject, &observed(&subject, vec![None])).is_empty());
    let damaged = foreign(Some(UID), None);
    assert!(accepted(&subject, &observed(&subject, vec![damaged])).is_empty());
}

#[test]
fn what_memory_holds_of_the_published_issue_is_not_missing() {
    let subject = subject(&json!([
        {"secretName": "flux", "format": "Flux"},
        {"secretName": "karmada", "format": "Karmada"},
    ]));
    let mut seen = observed(
        &subject,
        vec![None, Some(written(&subject, 1, &material(100)))],
    );
    let remembers = |issued_at| Memory {
        held: Some(Box::new(HeldCredential {
            material: material(issued_at),
            kubeconfig: None,
            reason: IssueReason::First,
            not_before: 0,
            rejections: 0,
            verification: None,
            cluster: ClusterStatus::default(),
            facts: facts(),
            registrations: Vec::new(),
        })),
        ..Memory::default()
    };
    assert!(seen.lacks_material(&subject, &Memory::default()));
    assert!(!seen.lacks_material(&subject, &remembers(100)));
    assert!(
        seen.lacks_material(&subject, &remembers(101)),
        "another issue's"
    );
    // A Secret that the spec no longer names has the rest of it.
    let parts = Parts {
        server: Some(token_credential().server().to_string()),
        ..Parts::default()
    };
    let former = |issued_at| {
        Some(Former {
            issue: issue(issued_at),
            parts: Some(parts.clone()),
        })
    };
    seen.former = former(100);
    assert_eq!(seen.material().unwrap().credential, token_credential());
    assert!(!seen.lacks_material(&subject, &Memory::default()));
    seen.former = former(99);
    assert!(seen.material().is_none(), "another issue's");
}

#[test]
fn a_verdict_says_nothing_of_what_somebody_else_has_published_since() {
    let subject = kubeconfig();
    let reverification = |issued_at| Reverification {
        issue: issue(issued_at),
        at: 0,
        rejections: 3,
        may_be_replaced: true,
    };
    let published = observed(
        &subject,
        vec![Some(written(&subject, 0, &material(1_790_000_000)))],
    );
    let is_rejected = |issued_at| {
        let memory = Memory {
            reverification: Some(reverification(issued_at)),
            ..Memory::default()
        };
        published.summary(&subject, &memory).rejected
    };
    assert!(is_rejected(1_790_000_000));
    assert!(!is_rejected(1_789_000_000));
}
