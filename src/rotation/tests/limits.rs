//! How often a credential may be issued.

use proptest::prelude::*;

use super::*;
use crate::api::Reason;
use crate::rotation::schedule::{is_given_up, repair_spacing_seconds};

/// Instants at which an access whose Secret vanishes as soon as it is written was issued for, woken
/// at every instant that was asked for and every `wake_every` seconds besides.
fn issues_of_a_vanishing_secret(seconds: i64, wake_every: i64) -> Vec<EpochSeconds> {
    let wanted = wanted();
    let mut observed = Observed {
        ever_issued: true,
        ..nothing()
    };
    let mut now = NOW;
    while now < NOW + seconds {
        match decide(&wanted, &observed, now) {
            Decision::Issue(reason) => {
                assert_eq!(reason, IssueReason::Lost);
                observed.unscheduled.push(now);
                observed.last_issue_at = Some(now);
                now += 1;
            }
            Decision::Refuse { reason, until, .. } => {
                assert_eq!(reason, Reason::IssueLimitReached);
                now = until.min(now + wake_every);
            }
            decision => panic!("{decision:?}"),
        }
    }
    observed.unscheduled
}

#[test]
fn a_secret_that_keeps_vanishing_costs_six_issues_in_any_hour_and_no_fewer() {
    let issued = issues_of_a_vanishing_secret(24 * HOUR, 7);
    assert_eq!(issued.len(), 24 * 6);
    for hour in issued.windows(7) {
        assert!(
            hour[6] - hour[0] >= HOUR,
            "seven within {} s",
            hour[6] - hour[0]
        );
    }
}

#[test]
fn the_limit_says_when_it_ends_and_then_lets_one_through() {
    let wanted = wanted();
    let observed = Observed {
        ever_issued: true,
        unscheduled: (0..6)
            .map(|number| NOW - HOUR + 100 + 10 * number)
            .collect(),
        ..nothing()
    };
    let refused = Decision::Refuse {
        reason: Reason::IssueLimitReached,
        subject: None,
        until: NOW + 100,
    };
    assert_eq!(decide(&wanted, &observed, NOW), refused);
    assert_eq!(decide(&wanted, &observed, NOW + 99), refused);
    assert_eq!(
        decide(&wanted, &observed, NOW + 100),
        Decision::Issue(IssueReason::Lost)
    );
}

/// The answer of the last attempt was lost, and with it perhaps a credential.
fn lost_answer(wanted: &Wanted) -> Failure {
    Failure {
        may_have_minted: true,
        ..failure(wanted, NOW - 10, NOW - 5)
    }
}

fn six_within_the_hour() -> Vec<EpochSeconds> {
    vec![NOW - 60; 6]
}

#[test]
fn attempts_whose_answers_were_lost_count_towards_the_limit() {
    let wanted = wanted();
    let due = published(&issue_of(&wanted, NOW - WEEK, WEEK));
    for observed in [nothing(), due] {
        let observed = Observed {
            failure: Some(lost_answer(&wanted)),
            unscheduled: six_within_the_hour(),
            ..observed
        };
        let decision = decide(&wanted, &observed, NOW);
        let Decision::Refuse { reason, .. } = decision else {
            panic!("{decision:?}");
        };
        assert_eq!(reason, Reason::IssueLimitReached);
    }
}

#[test]
fn a_renewal_that_was_due_is_not_unscheduled() {
    let wanted = wanted();
    let observed = Observed {
        unscheduled: six_within_the_hour(),
        ..published(&issue_of(&wanted, NOW - WEEK, WEEK))
    };
    assert_eq!(
        decide(&wanted, &observed, NOW),
        Decision::Issue(IssueReason::Renewal)
    );
}

#[test]
fn issues_that_were_due_keep_their_distance_even_when_what_they_brought_is_due_already() {
    // DigitalOcean grants a shorter life than the distance.
    let wanted = wanted();
    for (lifetime, spacing) in [(10, 30), (WEEK, WEEK / 20)] {
        let issued_at = NOW;
        let due_at_once = Issue {
            expires_at: issued_at + lifetime,
            ..issue_of(&wanted, NOW, 0)
        };
        let mut observed = published(&due_at_once);
        // Another issue began since, and what it brought was not better.
        observed.last_issue_at = Some(due_at_once.expires_at);
        let now = due_at_once.expires_at;
        let next = now + spacing;
        assert_eq!(
            decide(&wanted, &observed, next - 1),
            Decision::Wait { until: next }
        );
        assert_eq!(
            decide(&wanted, &observed, next),
            Decision::Issue(IssueReason::Renewal)
        );
    }
}

#[test]
fn after_a_restart_the_distance_is_kept_from_the_published_issue() {
    let wanted = wanted();
    let observed = Observed {
        last_issue_at: None,
        ..published(&issue_of(&wanted, NOW, 10))
    };
    assert_eq!(
        decide(&wanted, &observed, NOW + 10),
        Decision::Wait { until: NOW + 30 }
    );
}

#[test]
fn an_issue_that_seems_to_lie_in_the_future_keeps_no_distance() {
    // The clock has been set back. The credential has its marks by the other clock.
    let wanted = wanted();
    let mut observed = published(&issue_of(&wanted, NOW + HOUR, 0));
    observed.outputs = vec![intact(&Issue {
        expires_at: NOW,
        ..issue_of(&wanted, NOW + HOUR, 0)
    })];
    assert_eq!(
        decide(&wanted, &observed, NOW),
        Decision::Issue(IssueReason::Renewal)
    );
}

/// An output that somebody else keeps changing, with these repairs behind it.
fn fought_over(wanted: &Wanted, repairs: Vec<EpochSeconds>) -> Observed {
    let issue = issue_of(wanted, NOW, WEEK);
    Observed {
        outputs: vec![OutputState::Intact {
            issue: issue.clone(),
            as_wanted: false,
        }],
        repairs,
        ..published(&issue)
    }
}

/// When the next repair may come, after `count` of them, all of them now.
fn next_repair(count: usize) -> EpochSeconds {
    let wanted = wanted();
    let observed = fought_over(&wanted, vec![NOW; count]);
    let mut now = NOW;
    while let Decision::Refuse { reason, until, .. } = decide(&wanted, &observed, now) {
        assert_eq!(reason, Reason::SecretConflict);
        now = until;
    }
    assert_eq!(decide(&wanted, &observed, now), Decision::Repair);
    now - NOW
}

#[test]
fn three_repairs_follow_at_once_and_then_ever_more_rarely_down_to_one_in_ten_minutes() {
    let spacings: Vec<_> = (0..13).map(next_repair).collect();
    assert_eq!(
        spacings,
        [0, 0, 0, 5, 10, 20, 40, 80, 160, 320, 600, 600, 600]
    );
    assert_eq!(repair_spacing_seconds(usize::MAX), 600);
}

#[test]
fn repairs_count_for_an_hour_and_those_of_a_clock_that_was_set_back_do_not() {
    let wanted = wanted();
    let refused = |repairs: Vec<EpochSeconds>| {
        let decision = decide(&wanted, &fought_over(&wanted, repairs), NOW);
        assert!(matches!(
            decision,
            Decision::Refuse { .. } | Decision::Repair
        ));
        decision != Decision::Repair
    };
    assert!(refused(vec![NOW - HOUR + 1, NOW - 4, NOW - 4]));
    assert!(!refused(vec![NOW - HOUR, NOW - 4, NOW - 4]));
    assert!(!refused(vec![NOW - HOUR + 1, NOW - 5, NOW - 5]));
    assert!(!refused(vec![NOW + 1; 9]));
    // The others still do.
    assert!(refused(vec![NOW, NOW, NOW, NOW + 600]));
    assert!(!refused(vec![NOW - 5, NOW - 5, NOW - 5, NOW + 600]));
}

#[test]
fn two_writers_take_turns_no_more_than_sixteen_times_in_any_hour() {
    let wanted = wanted();
    let mut repaired = Vec::new();
    let mut now = NOW;
    while now < NOW + 24 * HOUR {
        match decide(&wanted, &fought_over(&wanted, repaired.clone()), now) {
            Decision::Repair => {
                repaired.push(now);
                now += 1;
            }
            Decision::Refuse { until, .. } => now = until,
            // The credential's own life goes on meanwhile; here it is as young as ever.
            decision => panic!("{decision:?}"),
        }
    }
    // That many are remembered.
    for hour in repaired.windows(17) {
        assert!(hour[16] - hour[0] >= HOUR);
    }
    let count = repaired.len();
    assert!((24 * 6..24 * 12).contains(&count), "{count} in a day");
}

#[test]
fn who_repairs_in_vain_still_renews_in_time() {
    let wanted = wanted();
    // Lives for less than the distance that repairs keep.
    let issue = issue_of(&wanted, NOW, 60);
    let observed = Observed {
        outputs: vec![OutputState::Intact {
            issue: issue.clone(),
            as_wanted: false,
        }],
        repairs: vec![NOW; 12],
        ..published(&issue)
    };
    let renew_at = wanted.renew_at(&issue);
    let decision = decide(&wanted, &observed, NOW);
    assert_eq!(until(&decision), Some(renew_at), "{decision:?}");
    assert_eq!(
        decide(&wanted, &observed, renew_at),
        Decision::Issue(IssueReason::Renewal)
    );
}

#[test]
fn what_cannot_be_completed_is_issued_under_the_hourly_limit_and_still_renewed_in_time() {
    let wanted = wanted();
    let issue = issue_of(&wanted, NOW, 60);
    let observed = Observed {
        outputs: vec![intact(&issue), OutputState::Missing],
        incomplete: true,
        unscheduled: vec![NOW; 6],
        ..published(&issue)
    };
    let renew_at = wanted.renew_at(&issue);
    let refused = Decision::Refuse {
        reason: Reason::IssueLimitReached,
        subject: None,
        until: renew_at,
    };
    assert_eq!(decide(&wanted, &observed, NOW), refused);
    assert_eq!(
        decide(&wanted, &observed, renew_at),
        Decision::Issue(IssueReason::Renewal)
    );
    let five = Observed {
        unscheduled: vec![NOW; 5],
        ..observed
    };
    assert_eq!(
        decide(&wanted, &five, NOW),
        Decision::Issue(IssueReason::Lost)
    );
}

proptest! {
    #[test]
    fn a_changed_spec_and_a_forced_rotation_are_never_limited(
        age in 0..WEEK, last_issue in 0..2 * HOUR, issues in 0..16_usize, lost: bool, forced: bool,
        tried_before: bool,
    ) {
        let before = wanted();
        let wanted = if forced {
            Wanted { rotate: Some("1".to_string()), ..before.clone() }
        } else {
            Wanted { issue_hash: "other".to_string(), generation: 2, ..before.clone() }
        };
        // The retry of what was wanted before lies ahead; that of what is wanted now is due.
        let failure = if tried_before {
            failure(&wanted, NOW - 60, NOW)
        } else {
            failure(&before, NOW, NOW + 600)
        };
        let observed = Observed {
            last_issue_at: Some(NOW - last_issue),
            unscheduled: vec![NOW - 1; issues],
            failure: Some(Failure { may_have_minted: lost, ..failure }),
            ..published(&issue_of(&before, NOW - age, WEEK))
        };
        let reason = if forced { IssueReason::Forced } else { IssueReason::SpecChanged };
        prop_assert_eq!(decide(&wanted, &observed, NOW), Decision::Issue(reason));
    }

    #[test]
    fn six_issues_an_hour_is_the_most_that_a_vanishing_secret_costs_whoever_wakes_the_access(
        wake_every in 1..2 * HOUR,
    ) {
        let issued = issues_of_a_vanishing_secret(6 * HOUR, wake_every);
        for hour in issued.windows(7) {
            prop_assert!(hour[6] - hour[0] >= HOUR);
        }
    }
}

#[test]
fn a_new_credential_that_its_cluster_rejects_is_given_up_after_a_twentieth_of_its_life_and_a_minute_at_least()
 {
    let of = |lifetime| {
        let given_up = (0..lifetime).find(|age| is_given_up(NOW, NOW + lifetime, NOW + age));
        given_up.unwrap()
    };
    assert_eq!(of(600), 60);
    assert_eq!(of(2400), 120);
    assert_eq!(of(604_800), 30_240);
}
