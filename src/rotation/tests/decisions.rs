//! What is decided for whatever is observed: a property each, and an example where that tells more.

use proptest::prelude::*;

use super::*;
use crate::api::Reason;

const DAY: i64 = 86_400;

/// Instants around now: some long past, some far ahead, many close by.
fn instants() -> impl Strategy<Value = EpochSeconds> {
    prop_oneof![-40..40_i64, -2 * HOUR..2 * HOUR, -2 * WEEK..2 * WEEK,]
        .prop_map(|distance| NOW + distance)
}

fn wanteds() -> impl Strategy<Value = Wanted> {
    (
        any::<u64>(),
        1..4_i64,
        prop::bool::weighted(0.1),
        prop::option::of(prop_oneof![1..600_i64, 1..WEEK]),
        prop::option::of(Just(CLUSTER.to_string())),
        prop::option::weighted(0.3, "[ab]"),
    )
        .prop_map(
            |(number, generation, suspend, renew_before, cluster_id, rotate)| Wanted {
                uid: uid(number),
                generation,
                suspend,
                renew_before_seconds: renew_before,
                cluster_id,
                rotate,
                ..wanted()
            },
        )
}

/// Issues that mostly answer [`wanteds`], of any age.
fn issues() -> impl Strategy<Value = Issue> {
    (
        instants(),
        prop_oneof![1..120_i64, 60..WEEK + 1],
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        prop::option::weighted(0.3, "[ab]"),
    )
        .prop_map(|(issued_at, lifetime, other_hash, other_cluster, rotate)| {
            let mut issue = issue_of(&wanted(), issued_at, lifetime);
            issue.rotate = rotate;
            if other_hash {
                issue.issue_hash = "other.rest".to_string();
            }
            if other_cluster {
                issue.cluster_id = "another".to_string();
            }
            issue
        })
}

fn outputs() -> impl Strategy<Value = Vec<OutputState>> {
    // Several outputs share one issue, unless a write failed in between.
    (
        issues(),
        issues(),
        prop::collection::vec((0..10_u8, any::<bool>()), 1..4),
    )
        .prop_map(|(one, other, outputs)| {
            let state = |(kind, flag)| match kind {
                0 => OutputState::Missing,
                1 => OutputState::Conflict { passing: flag },
                2 => OutputState::Unsupported,
                3 => OutputState::Damaged,
                4 => intact(&other),
                5 => OutputState::Intact {
                    issue: one.clone(),
                    as_wanted: flag,
                },
                _ => intact(&one),
            };
            outputs.into_iter().map(state).collect()
        })
}

fn failures() -> impl Strategy<Value = Failure> {
    (
        1..4_i64,
        prop::option::weighted(0.3, "[ab]"),
        0..WEEK,
        0..HOUR,
        1..HOUR,
        any::<bool>(),
    )
        .prop_map(
            |(generation, rotate, failing_for, ago, wait, may_have_minted)| Failure {
                attempt: AttemptKey { generation, rotate },
                since: NOW - ago - failing_for,
                at: NOW - ago,
                retry_at: NOW - ago + wait,
                reason: Reason::ApiUnavailable,
                subject: None,
                may_have_minted,
            },
        )
}

fn observeds() -> impl Strategy<Value = Observed> {
    (
        outputs(),
        prop::bool::weighted(0.1),
        prop::option::weighted(0.1, issues()),
        any::<bool>(),
        prop::option::weighted(0.4, (issues(), -60..700_i64)),
        prop::option::weighted(0.4, failures()),
        prop::option::of(0..2 * WEEK),
        prop::collection::vec(0..2 * HOUR, 0..9),
        (
            prop::bool::weighted(0.3),
            prop::collection::vec(-60..2 * HOUR, 0..16),
            prop::option::weighted(0.3, instants()),
            prop::bool::weighted(0.1),
            prop::option::of(-60..2 * HOUR),
        ),
    )
        .prop_map(
            |(
                outputs,
                obsolete,
                former,
                ever_issued,
                held,
                failure,
                last_issue,
                unscheduled,
                (incomplete, repairs, shared_at, rejected, verify_in),
            )| {
                let instants = |agos: Vec<i64>| {
                    let mut instants: Vec<_> = agos.into_iter().map(|ago| NOW - ago).collect();
                    instants.sort_unstable();
                    instants
                };
                Observed {
                    outputs,
                    obsolete: obsolete || former.is_some(),
                    former,
                    incomplete,
                    ever_issued,
                    held: held.map(|(issue, wait)| HeldIssue {
                        issue,
                        not_before: NOW + wait,
                    }),
                    failure,
                    last_issue_at: last_issue.map(|ago| NOW - ago),
                    unscheduled: instants(unscheduled),
                    rejected,
                    verify_at: verify_in.map(|seconds| NOW + seconds),
                    repairs: instants(repairs),
                    shared_at,
                }
            },
        )
}

/// The failure of this very attempt, while its retry lies ahead.
fn backoff(wanted: &Wanted, observed: &Observed, now: EpochSeconds) -> Option<EpochSeconds> {
    let failure = observed.failure.as_ref()?;
    (failure.attempt == wanted.attempt() && failure.retry_at > now).then_some(failure.retry_at)
}

/// What is published answers the spec and is not due.
fn is_current(wanted: &Wanted, observed: &Observed, now: EpochSeconds) -> bool {
    observed.published().is_some_and(|issue| {
        let forced = wanted.rotate.is_some() && wanted.rotate != issue.rotate;
        wanted.is_for(issue) && !forced && now < wanted.renew_at(issue)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_wait_is_longer_than_zero_and_no_longer_than_ten_minutes(
        wanted in wanteds(), observed in observeds(),
    ) {
        if let Some(until) = until(&decide(&wanted, &observed, NOW)) {
            prop_assert!(until > NOW, "{} s", until - NOW);
            prop_assert!(until <= NOW + MAX_SLEEP_SECONDS, "{} s", until - NOW);
        }
    }

    #[test]
    fn the_same_observations_lead_to_the_same_decision(
        wanted in wanteds(), observed in observeds(),
    ) {
        let restarted = (wanted.clone(), observed.clone());
        prop_assert_eq!(
            decide(&wanted, &observed, NOW),
            decide(&restarted.0, &restarted.1, NOW)
        );
    }

    #[test]
    fn whoever_is_woken_early_goes_back_to_sleep_until_the_same_instant(
        wanted in wanteds(), observed in observeds(), share in 0.0..1.0_f64,
    ) {
        let first = decide(&wanted, &observed, NOW);
        // What can be had without a mint is taken as soon as its window opens; and a repair may
        // follow sooner, once earlier ones are an hour old.
        let is_limited_repair = |decision: &Decision| {
            matches!(decision, Decision::Refuse { subject: Some(_), .. })
        };
        if observed.shared_at.is_none()
            && !is_limited_repair(&first)
            && let Some(planned) = until(&first)
        {
            #[expect(clippy::cast_possible_truncation, reason = "at most 600")]
            let slept = ((planned - NOW - 1) as f64 * share) as i64;
            for woken_at in [NOW + slept, planned - 1] {
                let again = decide(&wanted, &observed, woken_at);
                prop_assert_eq!(std::mem::discriminant(&first), std::mem::discriminant(&again));
                let until = until(&again).unwrap_or_default();
                let was_clamped = planned == NOW + MAX_SLEEP_SECONDS;
                prop_assert!(
                    until == planned || was_clamped && until > planned,
                    "woken {} s early: {} s instead of {} s", planned - woken_at, until - NOW, planned - NOW
                );
            }
        }
    }

    #[test]
    fn what_is_to_be_done_stays_to_be_done_until_it_is_done(
        wanted in wanteds(), observed in observeds(), later in 0..2 * WEEK,
    ) {
        let first = decide(&wanted, &observed, NOW);
        let again = decide(&wanted, &observed, NOW + later);
        match first {
            // What is written cannot be completed, and becomes due: that keeps its distance.
            Decision::Issue(IssueReason::Lost) if observed.published().is_some() => prop_assert!(
                matches!(again, Decision::Issue(_) | Decision::Wait { .. }),
                "{:?} became {:?}", first, again
            ),
            Decision::Issue(_) => prop_assert_eq!(again, first),
            // What was to be written, or repaired from, may have become due meanwhile.
            Decision::Publish | Decision::Repair | Decision::Verify => prop_assert!(
                !matches!(again, Decision::Suspended { .. } | Decision::Publish) || again == first,
                "{:?} became {:?}", first, again
            ),
            Decision::Wait { .. } | Decision::Suspended { .. } | Decision::Refuse { .. } => {}
        }
    }

    #[test]
    fn with_nothing_in_the_way_nobody_sleeps_past_the_renewal(
        wanted in wanteds(), observed in observeds(),
    ) {
        let wanted = Wanted { suspend: false, ..wanted };
        let unhindered = Observed { held: None, failure: None, rejected: false, ..observed };
        let all_refused = unhindered.outputs.iter().all(|output| {
            matches!(output, OutputState::Conflict { .. } | OutputState::Unsupported)
        });
        if !all_refused
            && let (Some(until), Some(published)) =
                (until(&decide(&wanted, &unhindered, NOW)), unhindered.published())
        {
            let last = unhindered.last_issue_at.unwrap_or(i64::MIN).max(published.issued_at);
            let spaced = last + spacing_seconds(published.expires_at - published.issued_at);
            prop_assert!(until <= wanted.renew_at(published).max(spaced));
        }
    }

    #[test]
    fn nothing_is_issued_while_what_is_published_is_current(
        wanted in wanteds(), observed in observeds(),
    ) {
        // But for what cannot be written from it, what costs nothing, and what the cluster refuses.
        let observed =
            Observed { incomplete: false, shared_at: None, rejected: false, ..observed };
        if is_current(&wanted, &observed, NOW) {
            let decision = decide(&wanted, &observed, NOW);
            prop_assert!(!matches!(decision, Decision::Issue(_)), "{:?}", decision);
        }
    }

    #[test]
    fn nothing_is_issued_while_suspended_or_refused_everywhere_or_before_its_retry(
        wanted in wanteds(), observed in observeds(),
    ) {
        let refused_everywhere = observed.outputs.iter().all(|output| {
            matches!(output, OutputState::Conflict { .. } | OutputState::Unsupported)
        });
        if wanted.suspend
            || refused_everywhere
            || backoff(&wanted, &observed, NOW).is_some()
        {
            let decision = decide(&wanted, &observed, NOW);
            prop_assert!(!matches!(decision, Decision::Issue(_)), "{:?}", decision);
        }
    }

    #[test]
    fn with_nothing_in_the_way_whatever_is_not_current_is_issued(
        wanted in wanteds(), observed in observeds(),
    ) {
        let wanted = Wanted { suspend: false, ..wanted };
        let unhindered = Observed {
            held: None,
            failure: None,
            last_issue_at: None,
            unscheduled: Vec::new(),
            ..observed
        };
        // Spacing counts from the published issue, too.
        let spaced = unhindered.published().is_some_and(|issue| {
            issue.issued_at + spacing_seconds(issue.expires_at - issue.issued_at) > NOW
        });
        let writable = unhindered.outputs.iter().any(|output| {
            !matches!(output, OutputState::Conflict { .. } | OutputState::Unsupported)
        });
        if writable && !spaced && !is_current(&wanted, &unhindered, NOW) {
            let decision = decide(&wanted, &unhindered, NOW);
            prop_assert!(matches!(decision, Decision::Issue(_)), "{:?}", decision);
        }
    }

    #[test]
    fn a_credential_in_memory_is_used_before_another_one_is_issued(
        wanted in wanteds(), observed in observeds(), held_for in 0..20_i64,
    ) {
        let wanted = Wanted { suspend: false, ..wanted };
        let newest = observed.published().map_or(NOW, |issue| issue.issued_at.max(NOW));
        let mut issue = issue_of(&wanted, newest, WEEK);
        issue.expires_at += 1;
        let observed = Observed {
            held: Some(HeldIssue { issue: issue.clone(), not_before: NOW }),
            ..observed
        };
        let writable = observed.outputs.iter().any(|output| {
            !matches!(output, OutputState::Conflict { .. } | OutputState::Unsupported)
        });
        if writable {
            prop_assert_eq!(decide(&wanted, &observed, NOW + held_for), Decision::Publish);
            let renewed_at = wanted.renew_at(&issue);
            prop_assert_ne!(decide(&wanted, &observed, renewed_at), Decision::Publish);
        }
    }

    #[test]
    fn a_decision_on_the_outputs_does_not_depend_on_their_order(
        wanted in wanteds(), observed in observeds(),
    ) {
        let mut reversed = observed.clone();
        reversed.outputs.reverse();
        // Of several refusals the first is named.
        let named = |decision| match decision {
            Decision::Refuse { until, .. } => Decision::Wait { until },
            decision => decision,
        };
        prop_assert_eq!(
            named(decide(&wanted, &observed, NOW)),
            named(decide(&wanted, &reversed, NOW))
        );
    }
}

/// Whether something is to be written of what is published.
fn has_work(observed: &Observed) -> bool {
    let published = observed.published();
    observed.obsolete
        || observed.outputs.iter().any(|output| match output {
            OutputState::Missing | OutputState::Damaged => true,
            OutputState::Intact { issue, as_wanted } => !as_wanted || Some(issue) != published,
            OutputState::Conflict { .. } | OutputState::Unsupported => false,
        })
}

/// Whether another access's credential comes in time.
fn can_share(wanted: &Wanted, observed: &Observed, now: EpochSeconds) -> bool {
    let schedule = Schedule {
        uid: &wanted.uid,
        renew_before_seconds: wanted.renew_before_seconds,
    };
    observed
        .published()
        .zip(observed.shared_at)
        .is_some_and(|(issue, at)| {
            at > issue.issued_at
                && now >= earliest_renewal(schedule, issue.issued_at, issue.expires_at)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_lacks_something_is_issued_again_only_where_something_is_to_be_written(
        wanted in wanteds(), observed in observeds(),
    ) {
        let observed = Observed {
            incomplete: true, held: None, shared_at: None, rejected: false, ..observed
        };
        let decision = decide(&wanted, &observed, NOW);
        if is_current(&wanted, &observed, NOW) {
            prop_assert_ne!(&decision, &Decision::Repair);
            if matches!(decision, Decision::Issue(_)) {
                prop_assert_eq!(decision, Decision::Issue(IssueReason::Lost));
                prop_assert!(has_work(&observed));
            }
        }
    }

    #[test]
    fn another_accesss_credential_is_taken_within_the_window_and_never_an_older_one(
        wanted in wanteds(), observed in observeds(),
    ) {
        let observed = Observed {
            incomplete: false, held: None, failure: None, rejected: false, ..observed
        };
        if is_current(&wanted, &observed, NOW) {
            let decision = decide(&wanted, &observed, NOW);
            if !can_share(&wanted, &observed, NOW) {
                prop_assert!(!matches!(decision, Decision::Issue(_)), "{:?}", decision);
            }
            let alone = Observed { shared_at: None, ..observed };
            let unlimited = Observed { last_issue_at: None, ..alone.clone() };
            let at = NOW - 1;
            let shared = Observed { shared_at: Some(at), ..unlimited };
            let writable = alone.outputs.iter().any(|output| {
                !matches!(output, OutputState::Conflict { .. } | OutputState::Unsupported)
            });
            let spaced = alone.published().is_some_and(|issue| {
                issue.issued_at + spacing_seconds(issue.expires_at - issue.issued_at) > NOW
            });
            if !wanted.suspend && writable && !spaced && can_share(&wanted, &shared, NOW) {
                prop_assert_eq!(
                    decide(&wanted, &shared, NOW),
                    Decision::Issue(IssueReason::Renewal)
                );
            }
        }
    }

    #[test]
    fn repairs_do_not_change_what_is_decided_of_an_issue(
        wanted in wanteds(), observed in observeds(),
    ) {
        let never_repaired = Observed { repairs: Vec::new(), ..observed.clone() };
        let unlimited = decide(&wanted, &never_repaired, NOW);
        let decision = decide(&wanted, &observed, NOW);
        if unlimited == Decision::Repair {
            let is_limited = matches!(
                decision,
                Decision::Refuse { reason: Reason::SecretConflict, subject: Some(_), .. }
            );
            prop_assert!(is_limited || decision == Decision::Repair, "{:?}", decision);
        } else {
            prop_assert_eq!(decision, unlimited);
        }
    }
}

#[test]
fn a_new_access_is_issued_at_once() {
    assert_eq!(
        decide(&wanted(), &nothing(), NOW),
        Decision::Issue(IssueReason::First)
    );
}

#[test]
fn a_credential_is_renewed_at_its_instant_and_not_a_second_earlier() {
    let wanted = wanted();
    let issue = issue_of(&wanted, NOW, WEEK);
    let observed = published(&issue);
    let renew_at = wanted.renew_at(&issue);
    assert_eq!(
        decide(&wanted, &observed, renew_at - 1),
        Decision::Wait { until: renew_at }
    );
    assert_eq!(
        decide(&wanted, &observed, renew_at),
        Decision::Issue(IssueReason::Renewal)
    );
}

#[test]
fn the_wall_clock_is_read_again_after_ten_minutes_however_far_off_the_renewal_is() {
    let wanted = wanted();
    let observed = published(&issue_of(&wanted, NOW, WEEK));
    assert_eq!(
        decide(&wanted, &observed, NOW),
        Decision::Wait { until: NOW + 600 }
    );
}

#[test]
fn of_several_outputs_the_one_that_lasts_longest_decides_and_the_others_are_repaired_from_it() {
    let wanted = wanted();
    let old = issue_of(&wanted, NOW - 5 * DAY, WEEK);
    let new = issue_of(&wanted, NOW, WEEK);
    let mut observed = published(&new);
    observed.outputs.insert(0, intact(&old));
    assert_eq!(observed.published(), Some(&new));
    assert_eq!(decide(&wanted, &observed, NOW), Decision::Repair);
}

#[test]
fn what_a_sibling_holds_is_repaired_and_not_issued() {
    let wanted = wanted();
    let issue = issue_of(&wanted, NOW, WEEK);
    let edited = OutputState::Intact {
        issue: issue.clone(),
        as_wanted: false,
    };
    for broken in [OutputState::Missing, OutputState::Damaged, edited.clone()] {
        let mut observed = published(&issue);
        observed.outputs.insert(0, broken);
        assert_eq!(decide(&wanted, &observed, NOW), Decision::Repair);
    }
    // Labels of the only output were edited: its content still is what it was.
    let alone = Observed {
        outputs: vec![edited],
        ..published(&issue)
    };
    assert_eq!(decide(&wanted, &alone, NOW), Decision::Repair);
    let obsolete = Observed {
        obsolete: true,
        ..published(&issue)
    };
    assert_eq!(decide(&wanted, &obsolete, NOW), Decision::Repair);
}

#[test]
fn a_renamed_output_is_written_from_the_secret_of_its_old_name() {
    let wanted = wanted();
    let issue = issue_of(&wanted, NOW, WEEK);
    let renamed = Observed {
        outputs: vec![OutputState::Missing],
        obsolete: true,
        former: Some(issue.clone()),
        ever_issued: true,
        ..Observed::default()
    };
    assert_eq!(decide(&wanted, &renamed, NOW), Decision::Repair);
    let due = wanted.renew_at(&issue);
    assert_eq!(
        decide(&wanted, &renamed, due),
        Decision::Issue(IssueReason::Renewal)
    );
}

#[test]
fn a_repair_that_failed_waits_for_its_retry() {
    let wanted = wanted();
    let mut observed = published(&issue_of(&wanted, NOW, WEEK));
    observed.outputs.push(OutputState::Missing);
    observed.failure = Some(failure(&wanted, NOW, NOW + 77));
    assert_eq!(
        decide(&wanted, &observed, NOW + 76),
        Decision::Wait { until: NOW + 77 }
    );
    assert_eq!(decide(&wanted, &observed, NOW + 77), Decision::Repair);
}

#[test]
fn a_credential_that_is_held_nowhere_any_more_is_issued_as_lost() {
    for gone in [OutputState::Missing, OutputState::Damaged] {
        let observed = Observed {
            outputs: vec![gone],
            ever_issued: true,
            ..Observed::default()
        };
        assert_eq!(
            decide(&wanted(), &observed, NOW),
            Decision::Issue(IssueReason::Lost)
        );
    }
}

#[test]
fn a_changed_spec_is_issued_for_whatever_the_age_of_the_credential() {
    let issue = issue_of(&wanted(), NOW, WEEK);
    let changed = Wanted {
        issue_hash: "other".to_string(),
        ..wanted()
    };
    assert_eq!(
        decide(&changed, &published(&issue), NOW),
        Decision::Issue(IssueReason::SpecChanged)
    );
    let moved = Wanted {
        cluster_id: Some("another".to_string()),
        ..wanted()
    };
    assert_eq!(
        decide(&moved, &published(&issue), NOW),
        Decision::Issue(IssueReason::SpecChanged)
    );
}

#[test]
fn a_cluster_that_is_not_known_yet_is_no_change_of_the_spec() {
    let unknown = Wanted {
        cluster_id: None,
        ..wanted()
    };
    let observed = published(&issue_of(&wanted(), NOW, WEEK));
    assert_eq!(
        decide(&unknown, &observed, NOW),
        Decision::Wait { until: NOW + 600 }
    );
}

#[test]
fn a_change_that_needs_no_new_credential_issues_nothing() {
    let changed = Wanted {
        generation: 7,
        renew_before_seconds: Some(60),
        ..wanted()
    };
    let observed = published(&issue_of(&wanted(), NOW, WEEK));
    assert_eq!(
        decide(&changed, &observed, NOW),
        Decision::Wait { until: NOW + 600 }
    );
}

#[test]
fn a_rotation_is_forced_exactly_once_for_each_value_of_the_annotation() {
    let forced = Wanted {
        rotate: Some("1".to_string()),
        ..wanted()
    };
    let before = published(&issue_of(&wanted(), NOW, WEEK));
    assert_eq!(
        decide(&forced, &before, NOW),
        Decision::Issue(IssueReason::Forced)
    );
    let after = published(&issue_of(&forced, NOW, WEEK));
    assert_eq!(
        decide(&forced, &after, NOW),
        Decision::Wait { until: NOW + 600 }
    );
    let again = Wanted {
        rotate: Some("2".to_string()),
        ..wanted()
    };
    assert_eq!(
        decide(&again, &after, NOW),
        Decision::Issue(IssueReason::Forced)
    );
}

#[test]
fn the_annotation_that_goes_away_forces_nothing() {
    let forced = Wanted {
        rotate: Some("1".to_string()),
        ..wanted()
    };
    let after = published(&issue_of(&forced, NOW, WEEK));
    assert_eq!(
        decide(&wanted(), &after, NOW),
        Decision::Wait { until: NOW + 600 }
    );
}

#[test]
fn a_suspended_access_does_nothing_and_is_told_when_its_credential_expires() {
    let suspended = Wanted {
        suspend: true,
        rotate: Some("1".to_string()),
        ..wanted()
    };
    let expiring = published(&issue_of(&wanted(), NOW - DAY, DAY + 20));
    assert_eq!(
        decide(&suspended, &expiring, NOW),
        Decision::Suspended { until: NOW + 20 }
    );
    for observed in [
        nothing(),
        published(&issue_of(&wanted(), NOW - 2 * DAY, DAY)),
    ] {
        assert_eq!(
            decide(&suspended, &observed, NOW),
            Decision::Suspended { until: NOW + 600 }
        );
    }
    let resumed = Wanted {
        suspend: false,
        ..suspended
    };
    assert_eq!(
        decide(&resumed, &expiring, NOW),
        Decision::Issue(IssueReason::Forced)
    );
}

#[test]
fn with_every_output_refused_nothing_is_issued_and_the_first_is_named() {
    let conflict = OutputState::Conflict { passing: false };
    let unsupported = OutputState::Unsupported;
    for (outputs, reason) in [
        (vec![conflict.clone()], Reason::SecretConflict),
        (vec![unsupported.clone()], Reason::FormatNotSupported),
        (
            vec![conflict.clone(), unsupported.clone()],
            Reason::SecretConflict,
        ),
        (
            vec![unsupported.clone(), conflict.clone()],
            Reason::FormatNotSupported,
        ),
    ] {
        let observed = Observed {
            outputs,
            ..Observed::default()
        };
        let expected = Decision::Refuse {
            reason,
            subject: None,
            until: NOW + 600,
        };
        assert_eq!(decide(&wanted(), &observed, NOW), expected);
    }
}

#[test]
fn a_refused_output_does_not_keep_the_others_from_being_issued_and_renewed() {
    for refused in [
        OutputState::Conflict { passing: false },
        OutputState::Unsupported,
    ] {
        let mut observed = nothing();
        observed.outputs.insert(0, refused.clone());
        assert_eq!(
            decide(&wanted(), &observed, NOW),
            Decision::Issue(IssueReason::First)
        );
        let mut observed = published(&issue_of(&wanted(), NOW - WEEK, WEEK));
        observed.outputs.insert(0, refused);
        assert_eq!(
            decide(&wanted(), &observed, NOW),
            Decision::Issue(IssueReason::Renewal)
        );
    }
}

#[test]
fn a_refused_output_alone_is_nothing_to_repair() {
    for refused in [
        OutputState::Conflict { passing: false },
        OutputState::Unsupported,
    ] {
        let mut observed = published(&issue_of(&wanted(), NOW, WEEK));
        observed.outputs.push(refused);
        assert_eq!(
            decide(&wanted(), &observed, NOW),
            Decision::Wait { until: NOW + 600 }
        );
    }
}

#[test]
fn what_cannot_be_written_from_what_is_published_is_issued() {
    let wanted = wanted();
    let issue = issue_of(&wanted, NOW, WEEK);
    let edited = OutputState::Intact {
        issue: issue.clone(),
        as_wanted: false,
    };
    for broken in [OutputState::Missing, OutputState::Damaged, edited] {
        let mut observed = published(&issue);
        observed.outputs.push(broken);
        observed.incomplete = true;
        assert_eq!(
            decide(&wanted, &observed, NOW),
            Decision::Issue(IssueReason::Lost)
        );
    }
    // Nothing is to be written: nobody misses what is not there.
    let whole = Observed {
        incomplete: true,
        ..published(&issue)
    };
    assert_eq!(
        decide(&wanted, &whole, NOW),
        Decision::Wait { until: NOW + 600 }
    );
}

#[test]
fn a_credential_at_hand_is_taken_from_the_first_instant_of_the_window_on() {
    for renew_before_seconds in [None, Some(HOUR)] {
        let wanted = Wanted {
            renew_before_seconds,
            ..wanted()
        };
        let schedule = Schedule {
            uid: &wanted.uid,
            renew_before_seconds,
        };
        let opens = earliest_renewal(schedule, 0, WEEK);
        for (age, taken) in [(opens - 1, false), (opens, true)] {
            let observed = Observed {
                shared_at: Some(NOW - 1),
                ..published(&issue_of(&wanted, NOW - age, WEEK))
            };
            let decision = decide(&wanted, &observed, NOW);
            let expected = Decision::Issue(IssueReason::Renewal);
            assert_eq!(decision == expected, taken, "{age}: {decision:?}");
            // Without it there is time yet.
            let alone = Observed {
                shared_at: None,
                ..observed
            };
            assert!(matches!(
                decide(&wanted, &alone, NOW),
                Decision::Wait { .. }
            ));
        }
    }
}

#[test]
fn a_credential_at_hand_that_is_no_younger_than_the_published_one_is_not_taken() {
    let wanted = wanted();
    let issue = issue_of(&wanted, NOW - 30, 60);
    for (at, taken) in [
        (issue.issued_at - 1, false),
        (issue.issued_at, false),
        (issue.issued_at + 1, true),
    ] {
        let observed = Observed {
            shared_at: Some(at),
            ..published(&issue)
        };
        let now = wanted.renew_at(&issue) - 1;
        let decision = decide(&wanted, &observed, now);
        let expected = Decision::Issue(IssueReason::Renewal);
        assert_eq!(decision == expected, taken, "{decision:?}");
    }
}

#[test]
fn a_credential_in_memory_waits_for_its_time_is_used_until_it_is_due_and_then_forgotten() {
    let wanted = wanted();
    let issue = issue_of(&wanted, NOW, WEEK);
    let held = HeldIssue {
        issue: issue.clone(),
        not_before: NOW + 30,
    };
    let observed = Observed {
        held: Some(held),
        ..nothing()
    };
    assert_eq!(
        decide(&wanted, &observed, NOW),
        Decision::Wait { until: NOW + 30 }
    );
    assert_eq!(decide(&wanted, &observed, NOW + 30), Decision::Publish);
    let renew_at = wanted.renew_at(&issue);
    assert_eq!(decide(&wanted, &observed, renew_at - 1), Decision::Publish);
    assert_eq!(
        decide(&wanted, &observed, renew_at),
        Decision::Issue(IssueReason::First)
    );
}

#[test]
fn a_credential_in_memory_that_is_no_longer_wanted_is_not_published() {
    let issue = issue_of(&wanted(), NOW, WEEK);
    let held = Some(HeldIssue {
        issue,
        not_before: NOW,
    });
    let old = issue_of(&wanted(), NOW - DAY, WEEK);
    for changed in [
        Wanted {
            issue_hash: "other".to_string(),
            ..wanted()
        },
        Wanted {
            cluster_id: Some("another".to_string()),
            ..wanted()
        },
    ] {
        let observed = Observed {
            held: held.clone(),
            ..published(&old)
        };
        assert_eq!(
            decide(&changed, &observed, NOW),
            Decision::Issue(IssueReason::SpecChanged)
        );
    }
    let forced = Wanted {
        rotate: Some("1".to_string()),
        ..wanted()
    };
    let observed = Observed {
        held,
        ..published(&old)
    };
    assert_eq!(
        decide(&forced, &observed, NOW),
        Decision::Issue(IssueReason::Forced)
    );
}

#[test]
fn a_credential_in_memory_that_is_older_than_what_is_published_is_not_published() {
    // Another leader was faster.
    let wanted = wanted();
    let held = issue_of(&wanted, NOW - DAY, WEEK);
    let observed = Observed {
        held: Some(HeldIssue {
            issue: held,
            not_before: NOW,
        }),
        ..published(&issue_of(&wanted, NOW, WEEK))
    };
    assert_eq!(
        decide(&wanted, &observed, NOW),
        Decision::Wait { until: NOW + 600 }
    );
}

#[test]
fn a_conflict_that_is_over_is_nothing_to_wait_for_and_any_other_failure_is() {
    let wanted = wanted();
    let conflict = OutputState::Conflict { passing: false };
    let failed = |reason| Failure {
        reason,
        ..failure(&wanted, NOW, NOW + 600)
    };
    let observed = |outputs, reason| Observed {
        outputs,
        failure: Some(failed(reason)),
        ..Observed::default()
    };
    let waits = |outputs, reason| {
        let decision = decide(&wanted, &observed(outputs, reason), NOW + 1);
        decision != Decision::Issue(IssueReason::First)
    };
    let over = || vec![OutputState::Missing];
    assert!(!waits(over(), Reason::SecretConflict));
    assert!(waits(over(), Reason::SecretWriteFailed));
    let still = vec![OutputState::Missing, conflict];
    assert!(waits(still, Reason::SecretConflict));
}

#[test]
fn what_the_cluster_rejects_for_good_is_issued_anew_within_the_hourly_limit() {
    let wanted = wanted();
    let rejected = Observed {
        rejected: true,
        ..published(&issue_of(&wanted, NOW - HOUR, WEEK))
    };
    let decision = Decision::Issue(IssueReason::Rejected);
    assert_eq!(decide(&wanted, &rejected, NOW), decision);
    let often = Observed {
        unscheduled: (1..=6).map(|minutes| NOW - 60 * minutes).rev().collect(),
        ..rejected
    };
    let Decision::Refuse { reason, .. } = decide(&wanted, &often, NOW) else {
        panic!("not limited");
    };
    assert_eq!(reason, Reason::IssueLimitReached);
}

#[test]
fn the_cluster_is_asked_at_its_time_and_only_when_nothing_else_is_to_be_done() {
    let wanted = wanted();
    let at = NOW + 100;
    let observed = Observed {
        verify_at: Some(at),
        ..published(&issue_of(&wanted, NOW - HOUR, WEEK))
    };
    assert_eq!(
        decide(&wanted, &observed, NOW),
        Decision::Wait { until: at }
    );
    assert_eq!(decide(&wanted, &observed, at), Decision::Verify);
    let broken = Observed {
        obsolete: true,
        ..observed.clone()
    };
    assert_eq!(decide(&wanted, &broken, at), Decision::Repair);
    let suspended = Wanted {
        suspend: true,
        ..wanted
    };
    assert!(matches!(
        decide(&suspended, &observed, at),
        Decision::Suspended { .. }
    ));
}
