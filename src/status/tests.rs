use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::rotation::Issue;

const NOW: EpochSeconds = 1_790_000_000;
const DAY: i64 = 86_400;

fn wanted() -> Wanted {
    Wanted {
        uid: "5b1f6c0e-8f0e-4c3c-9f43-0d5f5f3f7c11".to_string(),
        generation: 3,
        suspend: false,
        renew_before_seconds: None,
        issue_hash: "cluster.rest".to_string(),
        cluster_id: Some("bd5f5959".to_string()),
        rotate: None,
    }
}

fn issue() -> Issue {
    Issue {
        issued_at: NOW - DAY,
        expires_at: NOW + 6 * DAY,
        cluster_id: "bd5f5959".to_string(),
        issue_hash: "cluster.rest".to_string(),
        rotate: None,
    }
}

fn intact(issue: Issue) -> OutputState {
    OutputState::Intact {
        issue,
        as_wanted: true,
    }
}

fn observed(outputs: Vec<OutputState>) -> Observed {
    Observed {
        outputs,
        ever_issued: true,
        ..Observed::default()
    }
}

/// What happened, with an owner for what it borrows.
#[derive(Debug)]
struct Story {
    wanted: Wanted,
    observed: Observed,
    synced: Finding,
    verification: Option<Verification>,
    cluster: Option<ClusterStatus>,
    now: EpochSeconds,
}

impl Story {
    /// All is well.
    fn new() -> Self {
        Self {
            wanted: wanted(),
            observed: observed(vec![intact(issue())]),
            synced: Finding::of(Reason::UpToDate),
            verification: None,
            cluster: None,
            now: NOW,
        }
    }

    fn with_outputs(outputs: Vec<OutputState>) -> Self {
        Self {
            observed: observed(outputs),
            ..Self::new()
        }
    }

    fn failed(self, reason: Reason) -> Self {
        Self {
            synced: Finding::of(reason),
            ..self
        }
    }

    fn verified(self, verification: Verification) -> Self {
        Self {
            verification: Some(verification),
            ..self
        }
    }

    fn after(&self, previous: &DOClusterAccessStatus) -> DOClusterAccessStatus {
        let intact = |output: &OutputState| matches!(output, OutputState::Intact { .. });
        let outputs = self.observed.outputs.iter().filter(|output| intact(output));
        Outcome {
            wanted: &self.wanted,
            observed: &self.observed,
            outputs: outputs
                .enumerate()
                .map(|(number, _)| OutputStatus {
                    secret_name: format!("output-{number}"),
                    content_hash: "89ab".to_string(),
                })
                .collect(),
            synced: self.synced.clone(),
            verification: self.verification.clone(),
            cluster: self.cluster.clone(),
            now: self.now,
        }
        .status(previous)
    }

    /// The first status ever.
    fn status(&self) -> DOClusterAccessStatus {
        self.after(&DOClusterAccessStatus::default())
    }
}

fn accepted() -> Verification {
    Verification {
        reason: Reason::Accepted,
        at: Some(NOW),
        username: Some("ci@example.com".to_string()),
        groups: vec!["k8saas:authenticated".to_string()],
    }
}

fn condition<'a>(status: &'a DOClusterAccessStatus, kind: &str) -> Option<&'a Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
}

/// Status and reason of a condition.
fn says<'a>(status: &'a DOClusterAccessStatus, kind: &str) -> (&'a str, &'a str) {
    let condition = condition(status, kind).expect(kind);
    (&condition.status, &condition.reason)
}

fn since(status: &DOClusterAccessStatus, kind: &str) -> EpochSeconds {
    let condition = condition(status, kind).expect(kind);
    condition.last_transition_time.0.as_second()
}

/// What kstatus, and with it Flux, Argo CD and kubectl wait, makes of it.
fn kstatus(status: &DOClusterAccessStatus, generation: i64) -> &'static str {
    let is_true = |kind| condition(status, kind).is_some_and(|found| found.status == "True");
    let is_false = |kind| condition(status, kind).is_some_and(|found| found.status == "False");
    if status.observed_generation != Some(generation) {
        "InProgress"
    } else if is_true("Stalled") {
        "Failed"
    } else if is_true("Reconciling") || is_false("Ready") {
        "InProgress"
    } else {
        "Current"
    }
}

#[test]
fn an_access_that_works_is_ready_synced_and_nothing_else_is_said_to_be_wrong() {
    let status = Story::new().verified(accepted()).status();
    assert_eq!(says(&status, "Ready"), ("True", "Published"));
    assert_eq!(says(&status, "Synced"), ("True", "UpToDate"));
    assert_eq!(says(&status, "Verified"), ("True", "Accepted"));
    assert!(condition(&status, "Stalled").is_none());
    assert_eq!(kstatus(&status, 3), "Current");
}

#[test]
fn the_credential_is_described_without_anything_secret() {
    let status = Story::new().verified(accepted()).status();
    let credential = status.credential.expect("published");
    assert_eq!(credential.issued_at, Some(time(NOW - DAY)));
    assert_eq!(credential.expires_at, Some(time(NOW + 6 * DAY)));
    assert_eq!(credential.renew_at, Some(time(wanted().renew_at(&issue()))));
    assert_eq!(credential.verified_at, Some(time(NOW)));
    assert_eq!(credential.username.as_deref(), Some("ci@example.com"));
    assert_eq!(credential.groups, ["k8saas:authenticated"]);
}

#[test]
fn readiness_has_a_reason_for_every_way_in_which_an_output_can_be_wrong() {
    let other = |change: fn(&mut Issue)| {
        let mut issue = issue();
        change(&mut issue);
        intact(issue)
    };
    let expired = || other(|issue| issue.expires_at = NOW);
    let other_spec = || other(|issue| issue.issue_hash = "other.rest".to_string());
    let other_cluster = || other(|issue| issue.cluster_id = "another".to_string());
    let edited = || OutputState::Intact {
        issue: issue(),
        as_wanted: false,
    };
    let conflict = || OutputState::Conflict { passing: false };
    let whole = || intact(issue());
    let table = [
        (vec![whole()], "Published"),
        (vec![whole(), whole()], "Published"),
        (vec![OutputState::Missing], "OutputMissing"),
        (vec![OutputState::Damaged], "OutputMissing"),
        (vec![conflict()], "OutputMissing"),
        (vec![OutputState::Unsupported], "OutputMissing"),
        (vec![whole(), OutputState::Missing], "OutputMissing"),
        (vec![whole(), conflict()], "OutputMissing"),
        (vec![whole(), OutputState::Unsupported], "OutputMissing"),
        (vec![whole(), OutputState::Damaged], "OutOfDate"),
        (vec![edited()], "OutOfDate"),
        (vec![whole(), edited()], "OutOfDate"),
        (vec![other_spec()], "OutOfDate"),
        (vec![other_cluster()], "OutOfDate"),
        (vec![expired()], "Expired"),
        (vec![expired(), expired()], "Expired"),
        // One of them still serves: not expired, and not as it should be either.
        (vec![whole(), expired()], "OutOfDate"),
        (vec![expired(), OutputState::Missing], "Expired"),
    ];
    for (outputs, reason) in table {
        let status = Story::with_outputs(outputs.clone()).status();
        let ready = if reason == "Published" {
            "True"
        } else {
            "False"
        };
        assert_eq!(says(&status, "Ready"), (ready, reason), "{outputs:?}");
    }
    let mut never = Story::with_outputs(vec![OutputState::Missing]);
    never.observed.ever_issued = false;
    assert_eq!(says(&never.status(), "Ready"), ("False", "NotIssued"));
}

#[test]
fn a_credential_is_ready_until_the_second_in_which_it_expires() {
    let mut story = Story::new();
    story.now = issue().expires_at - 1;
    assert_eq!(says(&story.status(), "Ready").1, "Published");
    story.now += 1;
    assert_eq!(says(&story.status(), "Ready").1, "Expired");
}

#[test]
fn a_failed_renewal_leaves_a_valid_credential_ready_and_does_not_stall() {
    for reason in Reason::ALL.into_iter().filter(|reason| reason.stalls()) {
        let status = Story::new().failed(reason).status();
        assert_eq!(says(&status, "Ready").0, "True");
        assert_eq!(says(&status, "Synced"), ("False", reason.as_str()));
        assert!(condition(&status, "Stalled").is_none(), "{reason:?}");
        assert_eq!(kstatus(&status, 3), "Current");
    }
}

#[test]
fn while_not_ready_what_only_a_user_can_mend_stalls_and_nothing_else_does() {
    let missing = || Story::with_outputs(vec![OutputState::Missing]);
    for reason in Reason::ALL {
        if reason.condition() != ConditionType::Synced {
            continue;
        }
        let status = missing().failed(reason).status();
        let stalled = condition(&status, "Stalled");
        assert_eq!(stalled.is_some(), reason.stalls(), "{reason:?}");
        if let Some(stalled) = stalled {
            let synced = condition(&status, "Synced").unwrap();
            assert_eq!(
                (&stalled.status, &stalled.reason),
                (&"True".to_string(), &synced.reason)
            );
            assert_eq!(stalled.message, synced.message);
        }
        let expected = if reason.stalls() {
            "Failed"
        } else {
            "InProgress"
        };
        assert_eq!(kstatus(&status, 3), expected, "{reason:?}");
    }
    // What usually stalls need not: garbage collection is about to help.
    let mut passing = missing().failed(Reason::SecretConflict);
    passing.synced.stalls = false;
    assert!(condition(&passing.status(), "Stalled").is_none());
}

#[test]
fn a_stalled_access_stops_being_stalled_when_it_gets_going() {
    let stalled = Story::with_outputs(vec![OutputState::Missing])
        .failed(Reason::Unauthorized)
        .status();
    let going = Story::new().after(&stalled);
    assert!(condition(&going, "Stalled").is_none());
}

#[test]
fn a_suspended_access_is_unknown_to_be_synced_and_its_expiry_is_still_told() {
    let mut story = Story::new().failed(Reason::Suspended);
    let status = story.status();
    assert_eq!(says(&status, "Synced"), ("Unknown", "Suspended"));
    assert_eq!(says(&status, "Ready"), ("True", "Published"));
    story.now = issue().expires_at;
    let status = story.after(&status);
    assert_eq!(says(&status, "Ready"), ("False", "Expired"));
    assert!(condition(&status, "Stalled").is_none());
}

#[test]
fn every_condition_speaks_of_the_generation_that_was_observed() {
    let mut story = Story::with_outputs(vec![OutputState::Missing]).failed(Reason::Unauthorized);
    let first = story.status();
    assert_eq!(first.observed_generation, Some(3));
    story.wanted.generation = 4;
    let second = story.after(&first);
    assert_eq!(second.observed_generation, Some(4));
    assert_eq!(second.conditions.len(), 4);
    for condition in &second.conditions {
        assert_eq!(
            condition.observed_generation,
            Some(4),
            "{}",
            condition.type_
        );
    }
    // Whoever waits for generation 4 was not told too early.
    assert_eq!(kstatus(&first, 4), "InProgress");
}

#[test]
fn a_condition_is_dated_to_when_its_status_flipped_and_not_to_when_its_reason_changed() {
    let mut story = Story::new().failed(Reason::ApiUnavailable);
    let first = story.status();
    assert_eq!(since(&first, "Synced"), NOW);
    story.now = NOW + 10;
    story.synced = Finding::of(Reason::RateLimited);
    let second = story.after(&first);
    assert_eq!(says(&second, "Synced"), ("False", "RateLimited"));
    assert_eq!(since(&second, "Synced"), NOW);
    story.now = NOW + 20;
    story.synced = Finding::of(Reason::UpToDate);
    let third = story.after(&second);
    assert_eq!(since(&third, "Synced"), NOW + 20);
    assert_eq!(since(&third, "Ready"), NOW);
}

#[test]
fn a_verdict_is_kept_for_the_credential_that_it_was_given_on_and_for_no_other() {
    let first = Story::new().verified(accepted()).status();
    let kept = Story::new().after(&first);
    assert_eq!(says(&kept, "Verified"), ("True", "Accepted"));
    assert_eq!(kept.credential, first.credential);
    for change in [(|issue| issue.issued_at += 1) as fn(&mut Issue), |issue| {
        issue.expires_at += 1;
    }] {
        let mut other = issue();
        change(&mut other);
        let renewed = Story::with_outputs(vec![intact(other)]).after(&first);
        assert_eq!(says(&renewed, "Verified"), ("Unknown", "Off"));
        let credential = renewed.credential.unwrap();
        assert_eq!((credential.verified_at, credential.username), (None, None));
        assert!(credential.groups.is_empty());
    }
    let gone = Story::with_outputs(vec![OutputState::Missing]).after(&first);
    assert_eq!(says(&gone, "Verified"), ("Unknown", "Off"));
}

#[test]
fn every_verdict_is_kept_and_a_new_one_replaces_it() {
    for (reason, says_so) in [
        (Reason::Accepted, ("True", "Accepted")),
        (Reason::Rejected, ("False", "Rejected")),
        (Reason::Unreachable, ("Unknown", "Unreachable")),
        (Reason::Off, ("Unknown", "Off")),
    ] {
        let verdict = Verification {
            reason,
            ..Verification::off()
        };
        let first = Story::new().verified(verdict).status();
        assert_eq!(says(&first, "Verified"), says_so);
        assert_eq!(says(&Story::new().after(&first), "Verified"), says_so);
        let replaced = Story::new().verified(accepted()).after(&first);
        assert_eq!(says(&replaced, "Verified"), ("True", "Accepted"));
    }
}

#[test]
fn an_output_whose_credential_is_gone_leaves_no_credential_in_status() {
    let first = Story::new().status();
    let gone = Story::with_outputs(vec![OutputState::Missing]).after(&first);
    assert_eq!(gone.credential, None);
    assert!(gone.outputs.is_empty());
}

#[test]
fn what_is_known_of_the_cluster_stays_while_nothing_newer_is() {
    let facts = |state: &str| ClusterStatus {
        state: Some(state.to_string()),
        ..ClusterStatus::default()
    };
    let mut story = Story::new();
    story.cluster = Some(facts("running"));
    let first = story.status();
    story.cluster = None;
    let second = story.after(&first);
    assert_eq!(second.cluster, Some(facts("running")));
    story.cluster = Some(facts("degraded"));
    assert_eq!(story.after(&second).cluster, Some(facts("degraded")));
}

#[test]
fn a_forced_rotation_is_acknowledged_once_its_credential_is_published_and_not_before() {
    let mut story = Story::new().failed(Reason::ApiUnavailable);
    story.wanted.rotate = Some("1".to_string());
    let asked = story.status();
    assert_eq!(asked.last_rotate_request, None);
    story.observed = observed(vec![intact(Issue {
        rotate: Some("1".to_string()),
        ..issue()
    })]);
    let done = story.after(&asked);
    assert_eq!(done.last_rotate_request.as_deref(), Some("1"));
    // It stays when the annotation and the Secret are gone.
    let gone = Story::with_outputs(vec![OutputState::Missing]).after(&done);
    assert_eq!(gone.last_rotate_request.as_deref(), Some("1"));
}

#[test]
fn a_subject_stands_in_front_of_the_sentence() {
    let finding = Finding {
        subject: Some("Secret prod".to_string()),
        ..Finding::of(Reason::SecretConflict)
    };
    assert!(
        finding
            .message()
            .starts_with("Secret prod: The Secret is not")
    );
    assert_eq!(
        Finding::of(Reason::SecretConflict).message(),
        Reason::SecretConflict.sentence()
    );
}

#[test]
fn conditions_are_what_the_api_machinery_takes() {
    let status = Story::with_outputs(vec![OutputState::Missing])
        .failed(Reason::Forbidden)
        .status();
    let kinds: BTreeSet<_> = status
        .conditions
        .iter()
        .map(|found| found.type_.as_str())
        .collect();
    assert_eq!(
        kinds.len(),
        status.conditions.len(),
        "a type twice is refused"
    );
    for condition in &status.conditions {
        assert!(["True", "False", "Unknown"].contains(&condition.status.as_str()));
        let word = condition.reason.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(word && !condition.reason.is_empty() && condition.reason.len() <= 1024);
        assert!(!condition.message.is_empty() && condition.message.len() <= 32_768);
    }
}

#[test]
fn instants_are_written_in_whole_seconds() {
    let status = serde_json::to_value(Story::new().verified(accepted()).status()).unwrap();
    let credential = status["credential"].as_object().unwrap();
    for field in ["issuedAt", "expiresAt", "renewAt", "verifiedAt"] {
        let written = credential[field].as_str().unwrap();
        assert!(
            written.ends_with('Z') && !written.contains('.'),
            "{field}: {written}"
        );
    }
}

fn synced_findings() -> impl Strategy<Value = Finding> {
    let synced: Vec<_> = Reason::ALL
        .into_iter()
        .filter(|reason| reason.condition() == ConditionType::Synced)
        .collect();
    (
        prop::sample::select(synced),
        prop::option::of("[a-z ]{1,20}"),
    )
        .prop_map(|(reason, subject)| Finding {
            subject,
            ..Finding::of(reason)
        })
}

fn stories() -> impl Strategy<Value = Story> {
    let output = (0..7_u8, 0..14_i64).prop_map(|(kind, age)| {
        let aged = Issue {
            issued_at: NOW - age * DAY,
            expires_at: NOW + (7 - age) * DAY,
            ..issue()
        };
        match kind {
            0 => OutputState::Missing,
            1 => OutputState::Conflict { passing: age > 7 },
            2 => OutputState::Unsupported,
            3 => OutputState::Damaged,
            4 => OutputState::Intact {
                issue: aged,
                as_wanted: false,
            },
            _ => intact(aged),
        }
    });
    let verdicts = [
        Reason::Accepted,
        Reason::Rejected,
        Reason::Unreachable,
        Reason::Off,
    ];
    let verification = prop::sample::select(verdicts.to_vec()).prop_map(|reason| match reason {
        Reason::Accepted => accepted(),
        reason => Verification {
            reason,
            ..Verification::off()
        },
    });
    (
        prop::collection::vec(output, 1..4),
        synced_findings(),
        prop::option::of(verification),
        any::<bool>(),
        0..2 * DAY,
    )
        .prop_map(|(outputs, synced, verification, ever_issued, later)| {
            let observed = Observed {
                outputs,
                ever_issued,
                ..Observed::default()
            };
            Story {
                // A verdict is on what was just published.
                verification: verification.filter(|_| observed.published().is_some()),
                observed,
                synced,
                now: NOW + later,
                ..Story::new()
            }
        })
}

proptest! {
    #[test]
    fn the_same_outcome_reported_again_changes_nothing(
        before in stories(), story in stories(), later in 0..600_i64,
    ) {
        let reported = story.after(&before.status());
        // A second time at once, and a third time later, as far as nothing expired meanwhile.
        prop_assert_eq!(&story.after(&reported), &reported);
        let later_on = Story { now: story.now + later, verification: None, ..story };
        let changes = later_on.observed.outputs.iter().any(|output| {
            matches!(output, OutputState::Intact { issue, .. }
                if issue.expires_at > later_on.now - later && issue.expires_at <= later_on.now)
        });
        if !changes {
            prop_assert_eq!(&later_on.after(&reported), &reported);
        }
    }

    #[test]
    fn an_access_is_never_ready_and_stalled(before in stories(), story in stories()) {
        let status = story.after(&before.status());
        let ready = says(&status, "Ready").0 == "True";
        prop_assert!(!(ready && condition(&status, "Stalled").is_some()));
    }

    #[test]
    fn a_transition_is_dated_now_exactly_when_the_status_is_another(
        before in stories(), story in stories(),
    ) {
        let previous = before.status();
        let status = story.after(&previous);
        for condition in &status.conditions {
            let flipped = previous
                .conditions
                .iter()
                .find(|found| found.type_ == condition.type_)
                .is_none_or(|found| found.status != condition.status);
            let dated = condition.last_transition_time.0.as_second();
            prop_assert_eq!(dated, if flipped { story.now } else { before.now });
        }
    }

    #[test]
    fn ready_is_claimed_only_with_every_output_intact_unexpired_and_for_the_right_cluster(
        story in stories(),
    ) {
        let ready = says(&story.status(), "Ready").0 == "True";
        let right = story.observed.outputs.iter().all(|output| match output {
            OutputState::Intact { issue, as_wanted } => {
                *as_wanted && issue.expires_at > story.now && story.wanted.is_for(issue)
            }
            _ => false,
        });
        prop_assert_eq!(ready, right);
    }
}
