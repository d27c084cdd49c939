use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};

use super::super::key::ObjectKey;
use super::*;
use crate::api::{DOClusterAccess, DOClusterAccessStatus, OutputStatus, ROTATE_ANNOTATION};

fn access() -> DOClusterAccess {
    let spec = serde_json::json!({"cluster": {"name": "prod"}});
    let mut access = DOClusterAccess::new("prod", serde_json::from_value(spec).unwrap());
    access.metadata.namespace = Some("team-a".to_string());
    access.metadata.uid = Some("u".to_string());
    access.metadata.generation = Some(3);
    access
}

fn subject(access: DOClusterAccess) -> Subject {
    Subject::new(&ObjectKey::new("team-a", "prod"), access).unwrap()
}

fn output(name: &str) -> Output {
    Output::kubeconfig(name.to_string())
}

fn rotated(mut access: DOClusterAccess, value: &str) -> DOClusterAccess {
    let annotation = (ROTATE_ANNOTATION.to_string(), value.to_string());
    access.metadata.annotations = Some(BTreeMap::from([annotation]));
    access
}

/// The outputs with these names turned out to have no form, in an attempt for `subject`.
fn memory(subject: &Subject, names: &[&str]) -> Memory {
    let names = names.iter().map(ToString::to_string).collect();
    Memory {
        unsupported: Some(Box::new((subject.wanted.attempt(), names))),
        ..Memory::default()
    }
}

#[test]
fn an_output_stays_unsupported_until_the_spec_changes_or_a_rotation_is_asked_for() {
    let subject_now = subject(access());
    let memory = memory(&subject_now, &["karmada"]);
    assert!(memory.is_unsupported(&subject_now, &output("karmada")));
    assert!(!memory.is_unsupported(&subject_now, &output("flux")));
    let mut changed = access();
    changed.metadata.generation = Some(4);
    assert!(!memory.is_unsupported(&subject(changed), &output("karmada")));
    let forced = rotated(access(), "1");
    assert!(!memory.is_unsupported(&subject(forced), &output("karmada")));
}

fn condition(reason: Reason) -> Condition {
    Condition {
        type_: "Synced".to_string(),
        status: "False".to_string(),
        reason: reason.as_str().to_string(),
        message: String::new(),
        last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        observed_generation: Some(3),
    }
}

/// Status of an access without any output that could be written.
fn status() -> DOClusterAccessStatus {
    DOClusterAccessStatus {
        observed_generation: Some(3),
        conditions: vec![condition(Reason::FormatNotSupported)],
        ..DOClusterAccessStatus::default()
    }
}

fn is_unsupported_after_a_restart(access: DOClusterAccess) -> bool {
    Memory::default().is_unsupported(&subject(access), &output("karmada"))
}

fn with(status: DOClusterAccessStatus) -> DOClusterAccess {
    DOClusterAccess {
        status: Some(status),
        ..access()
    }
}

#[test]
fn after_a_restart_status_tells_what_is_unsupported() {
    assert!(is_unsupported_after_a_restart(with(status())));
    assert!(!is_unsupported_after_a_restart(access()), "no status yet");
    assert!(!is_unsupported_after_a_restart(with(
        DOClusterAccessStatus::default()
    )));
}

#[test]
fn status_of_another_spec_another_failure_or_something_written_tells_nothing() {
    let other_generation = DOClusterAccessStatus {
        observed_generation: Some(2),
        ..status()
    };
    let other_reason = DOClusterAccessStatus {
        conditions: vec![condition(Reason::ApiUnavailable)],
        ..status()
    };
    let something_written = DOClusterAccessStatus {
        outputs: vec![OutputStatus {
            secret_name: "flux".to_string(),
            content_hash: "0.1".to_string(),
        }],
        ..status()
    };
    for status in [other_generation, other_reason, something_written] {
        assert!(
            !is_unsupported_after_a_restart(with(status.clone())),
            "{status:?}"
        );
    }
}

#[test]
fn a_rotation_that_status_has_not_seen_is_tried_once() {
    assert!(!is_unsupported_after_a_restart(rotated(
        with(status()),
        "1"
    )));
    let seen = DOClusterAccessStatus {
        last_rotate_request: Some("1".to_string()),
        ..status()
    };
    assert!(is_unsupported_after_a_restart(rotated(with(seen), "1")));
}

#[test]
fn what_memory_knows_goes_before_status() {
    let subject = subject(with(status()));
    let memory = memory(&subject, &["karmada"]);
    assert!(!memory.is_unsupported(&subject, &output("flux")));
}

fn secret(uid: &str, resource_version: &str) -> FoundMetadata {
    let metadata = ObjectMeta {
        name: Some("prod-kubeconfig".to_string()),
        namespace: Some("team-a".to_string()),
        uid: Some(uid.to_string()),
        resource_version: Some(resource_version.to_string()),
        ..ObjectMeta::default()
    };
    FoundMetadata::new(&metadata).unwrap()
}

#[test]
fn only_the_very_version_of_a_secret_that_was_found_right_is_accepted() {
    let accepted = BTreeMap::from([(("u".to_string(), "7".to_string()), "fields".to_string())]);
    let memory = Memory {
        accepted,
        ..Memory::default()
    };
    assert_eq!(memory.accepted(&secret("u", "7")), Some("fields"));
    assert_eq!(memory.accepted(&secret("u", "8")), None);
    assert_eq!(memory.accepted(&secret("u", "6")), None);
    assert_eq!(memory.accepted(&secret("v", "7")), None);
    assert_eq!(Memory::default().accepted(&secret("u", "7")), None);
}

#[test]
fn repairs_are_those_for_the_same_spec_and_no_more_than_are_needed() {
    let attempt = |generation, rotate: Option<&str>| AttemptKey {
        generation,
        rotate: rotate.map(str::to_string),
    };
    let mut repairs = Repairs::default();
    assert_eq!(repairs.times(&attempt(1, None)), Vec::<i64>::new());
    repairs.note(attempt(1, None), 10);
    repairs.note(attempt(1, None), 20);
    assert_eq!(repairs.times(&attempt(1, None)), [10, 20]);
    assert!(repairs.times(&attempt(2, None)).is_empty());
    assert!(repairs.times(&attempt(1, Some("1"))).is_empty());
    repairs.note(attempt(2, None), 30);
    assert_eq!(repairs.times(&attempt(2, None)), [30]);
    assert!(repairs.times(&attempt(1, None)).is_empty());
    for at in 31..99 {
        repairs.note(attempt(2, None), at);
    }
    let remembered: Vec<_> = (83..99).collect();
    assert_eq!(repairs.times(&attempt(2, None)), remembered);
}

#[test]
fn the_latest_unscheduled_issues_are_remembered() {
    let mut memory = Memory::default();
    for at in 0..40 {
        memory.note_unscheduled(at);
    }
    let remembered: Vec<_> = (24..40).collect();
    assert_eq!(memory.unscheduled, remembered);
}

#[tokio::test]
async fn the_memory_of_a_uid_is_one_until_it_is_forgotten() {
    let memories = Memories::default();
    memories.of("u").lock().await.last_issue_at = Some(1);
    assert_eq!(memories.of("u").lock().await.last_issue_at, Some(1));
    assert_eq!(memories.of("v").lock().await.last_issue_at, None);
    memories.forget("u");
    assert_eq!(memories.of("u").lock().await.last_issue_at, None);
}

#[test]
fn after_an_outage_of_the_api_server_only_what_it_kept_from_being_written_is_tried_at_once() {
    let failure = |reason| Failure {
        attempt: AttemptKey {
            generation: 1,
            rotate: None,
        },
        since: 1000,
        at: 1000,
        retry_at: 1600,
        reason,
        subject: None,
        may_have_minted: false,
    };
    let retry_at = |reason, outages| {
        let mut memory = Memory {
            failure: Some(Box::new(failure(reason))),
            ..Memory::default()
        };
        memory.follow_outages(outages, 1010);
        memory.failure.map(|failure| failure.retry_at)
    };
    assert_eq!(retry_at(Reason::SecretWriteFailed, 1), Some(1010));
    assert_eq!(retry_at(Reason::SecretWriteFailed, 0), Some(1600));
    assert_eq!(retry_at(Reason::ApiResponseInvalid, 1), Some(1600));
}

#[test]
fn after_the_clock_was_set_back_nothing_waits_for_a_time_that_is_far_off() {
    let now = 1_000_000;
    let later = now + 26 * 3600;
    let failure = |at| Failure {
        attempt: AttemptKey {
            generation: 1,
            rotate: None,
        },
        since: at - 5,
        at,
        retry_at: at + 600,
        reason: Reason::ApiUnavailable,
        subject: None,
        may_have_minted: false,
    };
    let mut memory = Memory {
        failure: Some(Box::new(failure(later))),
        missing_since: Some(Missing {
            cluster_id: "a".to_string(),
            since: later,
            checked_at: later,
        }),
        ..Memory::default()
    };
    memory.follow_clock(0, later);
    let kept = memory.failure.as_deref();
    assert_eq!(kept, Some(&failure(later)), "the clock goes on");
    memory.follow_clock(1, now);
    let failure = memory.failure.unwrap();
    assert_eq!(
        (failure.since, failure.at, failure.retry_at),
        (now, now, now)
    );
    assert_eq!(memory.missing_since, None);
}
