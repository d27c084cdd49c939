//! The instants: when to renew, when to try again.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// From the shortest lifetime that anything can have to a year.
fn lifetimes() -> impl Strategy<Value = i64> {
    prop_oneof![1..120_i64, 60..=WEEK, 60..=31_536_000_i64]
}

fn renew_befores() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(prop_oneof![1..600_i64, 1..31_536_000_i64])
}

fn schedule(uid: &str, renew_before_seconds: Option<i64>) -> Schedule<'_> {
    Schedule {
        uid,
        renew_before_seconds,
    }
}

/// How much earlier than without any spread accesses of equal age are renewed.
fn offsets(count: u64, lifetime: i64, renew_before: Option<i64>) -> Vec<i64> {
    let expires_at = NOW + lifetime;
    let margin = renew_before.unwrap_or(lifetime / 3).min(lifetime * 4 / 5);
    (0..count)
        .map(|number| {
            let uid = uid(number);
            expires_at - margin - renew_at(schedule(&uid, renew_before), NOW, expires_at)
        })
        .collect()
}

/// How many of `offsets` lie in each of `buckets` equal parts of the span from 0 to `span`.
fn histogram(offsets: &[i64], span: i64, buckets: i64) -> Vec<usize> {
    (0..buckets)
        .map(|bucket| {
            let within = |offset: &&i64| **offset * buckets / span == bucket;
            offsets.iter().filter(within).count()
        })
        .collect()
}

#[test]
fn renewals_of_equal_age_spread_over_the_jitter_without_a_bucket_above_three_times_the_mean() {
    for count in [1_000, 2_500, 10_000] {
        for lifetime in [86_400, WEEK, WEEK + 12_345, 31_536_000] {
            for (renew_before, share) in [(None, 10), (Some(lifetime / 4), 20)] {
                let offsets = offsets(count, lifetime, renew_before);
                let span = lifetime / share;
                assert!(offsets.iter().all(|offset| (0..=span).contains(offset)));
                // Of 0.001·L each.
                let buckets = histogram(&offsets, span, 1000 / share);
                let counted: usize = buckets.iter().sum();
                assert_eq!(counted as u64, count);
                let mean = offsets.len() / buckets.len();
                let fullest = buckets.iter().max().copied().unwrap_or_default();
                assert!(
                    fullest <= 3 * mean,
                    "{count} accesses, lifetime {lifetime}, margin {renew_before:?}: {buckets:?}"
                );
                let empty = buckets.iter().filter(|count| **count == 0).count();
                assert_eq!(
                    empty, 0,
                    "the spread does not reach everywhere: {buckets:?}"
                );
            }
        }
    }
}

#[test]
fn an_access_is_not_renewed_at_the_same_share_of_every_lifetime() {
    // Otherwise those that once coincide would do so for ever.
    let shares: std::collections::BTreeSet<_> = (0..100)
        .map(|week| {
            let issued_at = NOW + week * WEEK;
            renew_at(schedule(UID, None), issued_at, issued_at + WEEK) - issued_at
        })
        .collect();
    assert!(shares.len() > 90, "{}", shares.len());
}

#[test]
fn the_default_margin_is_a_third_of_the_lifetime() {
    for number in 0..200 {
        let renewed_at = renew_at(schedule(&uid(number), None), NOW, NOW + WEEK) - NOW;
        let latest = WEEK - WEEK / 3;
        assert!(
            (latest - WEEK / 10..=latest).contains(&renewed_at),
            "{renewed_at}"
        );
    }
}

#[test]
fn a_margin_that_is_set_is_kept_with_half_the_spread() {
    for number in 0..200 {
        let renewed_at = renew_at(schedule(&uid(number), Some(100_000)), NOW, NOW + WEEK) - NOW;
        let latest = WEEK - 100_000;
        assert!(
            (latest - WEEK / 20..=latest).contains(&renewed_at),
            "{renewed_at}"
        );
    }
}

#[test]
fn a_margin_longer_than_the_lifetime_that_was_granted_counts_as_four_fifths_of_it() {
    for number in 0..200 {
        let renewed_at = renew_at(schedule(&uid(number), Some(WEEK)), NOW, NOW + 1000) - NOW;
        assert!((150..=200).contains(&renewed_at), "{renewed_at}");
    }
}

#[test]
fn absurd_marks_do_not_overflow() {
    for (issued_at, expires_at) in [
        (i64::MIN, i64::MAX),
        (i64::MAX, i64::MIN),
        (0, i64::MAX),
        (i64::MIN, 0),
        (0, 0),
    ] {
        for renew_before in [None, Some(i64::MAX), Some(i64::MIN)] {
            assert!(renew_at(schedule(UID, renew_before), issued_at, expires_at) <= expires_at);
        }
    }
    for (failed_at, since) in [(i64::MAX, i64::MIN), (i64::MIN, i64::MAX), (0, i64::MIN)] {
        for expires_at in [None, Some(i64::MAX), Some(i64::MIN)] {
            assert!(retry_at(UID, failed_at, since, expires_at, None) >= failed_at);
        }
    }
}

/// The retry rule: what remains or has failed, in seconds, and the delay before jitter.
const RETRIES: [(i64, i64); 10] = [
    (0, 5),
    (9, 5),
    (50, 5),
    (59, 5),
    (60, 6),
    (1_000, 100),
    (5_999, 599),
    (6_000, 600),
    (WEEK, 600),
    (i64::MAX / 4, 600),
];

fn assert_is_about(delay: i64, nominal: i64) {
    let (least, most) = (nominal * 4 / 5, nominal * 6 / 5);
    assert!(
        (least..=most).contains(&delay),
        "{delay} s instead of about {nominal} s"
    );
}

#[test]
fn while_a_credential_is_valid_retries_come_after_a_tenth_of_what_remains() {
    for (remaining, nominal) in RETRIES.into_iter().skip(1) {
        for number in 0..50 {
            // How long it has been failing does not matter then.
            for failing_since in [NOW, NOW - WEEK] {
                let uid = uid(number);
                let at = retry_at(&uid, NOW, failing_since, Some(NOW + remaining), None);
                assert_is_about(at - NOW, nominal);
            }
        }
    }
}

#[test]
fn without_a_valid_credential_retries_come_after_a_tenth_of_the_time_that_has_failed() {
    for (failing_for, nominal) in RETRIES {
        for number in 0..50 {
            for expires_at in [None, Some(NOW), Some(NOW - WEEK)] {
                let at = retry_at(&uid(number), NOW, NOW - failing_for, expires_at, None);
                assert_is_about(at - NOW, nominal);
            }
        }
    }
}

#[test]
fn retries_of_accesses_that_failed_together_do_not_come_together() {
    let instants: std::collections::BTreeSet<_> = (0..1000)
        .map(|number| retry_at(&uid(number), NOW, NOW - WEEK, None, None))
        .collect();
    assert!(instants.len() > 200, "{} of 241 seconds", instants.len());
    let (first, last) = (
        instants.first().unwrap() - NOW,
        instants.last().unwrap() - NOW,
    );
    assert!(first < 490 && last > 710, "{first} to {last}");
}

#[test]
fn what_the_other_side_asks_for_wins_over_the_retry_rule_unless_it_lies_in_the_past() {
    for asked in [1, 29, 3600] {
        for expires_at in [None, Some(NOW + 30), Some(NOW + WEEK)] {
            assert_eq!(
                retry_at(UID, NOW, NOW, expires_at, Some(NOW + asked)),
                NOW + asked
            );
        }
    }
    for past in [0, -1, -WEEK] {
        assert_is_about(retry_at(UID, NOW, NOW, None, Some(NOW + past)) - NOW, 5);
    }
}

#[test]
fn issues_that_were_due_are_a_twentieth_of_the_lifetime_apart_and_thirty_seconds_at_the_least() {
    for (lifetime, spacing) in [(0, 30), (60, 30), (600, 30), (620, 31), (WEEK, 30_240)] {
        assert_eq!(spacing_seconds(lifetime), spacing);
    }
}

proptest! {
    #[test]
    fn a_renewal_lies_between_a_tenth_of_the_lifetime_and_the_margin_that_is_wanted(
        number in any::<u64>(), lifetime in lifetimes(), renew_before in renew_befores(),
    ) {
        let expires_at = NOW + lifetime;
        let uid = uid(number);
        let renewed_at = renew_at(schedule(&uid, renew_before), NOW, expires_at);
        let margin = renew_before.unwrap_or(lifetime / 3).min(lifetime * 4 / 5);
        prop_assert!(renewed_at <= expires_at - margin);
        prop_assert!(renewed_at >= NOW + lifetime / 10, "{} s", renewed_at - NOW);
    }

    #[test]
    fn a_restart_computes_the_same_instants(
        number in any::<u64>(), lifetime in lifetimes(), renew_before in renew_befores(),
        rotate in prop::option::of("[a-z]{1,8}"), generation in 1..1000_i64, suspend: bool,
    ) {
        let base = Wanted { uid: uid(number), renew_before_seconds: renew_before, ..wanted() };
        let issue = issue_of(&base, NOW, lifetime);
        // Nothing but UID, margin and marks matters.
        let other = Wanted {
            generation,
            suspend,
            rotate: rotate.clone(),
            cluster_id: None,
            issue_hash: "other".to_string(),
            ..base.clone()
        };
        let marked = Issue { rotate, issue_hash: "x".to_string(), cluster_id: "y".to_string(), ..issue.clone() };
        prop_assert_eq!(base.renew_at(&issue), other.renew_at(&issue));
        prop_assert_eq!(base.renew_at(&issue), base.renew_at(&marked));
    }

    #[test]
    fn a_retry_is_always_in_the_future_and_within_twelve_minutes(
        number in any::<u64>(), failing_for in 0..31_536_000_i64,
        remaining in prop::option::of(-WEEK..31_536_000_i64),
    ) {
        let expires_at = remaining.map(|remaining| NOW + remaining);
        let delay = retry_at(&uid(number), NOW, NOW - failing_for, expires_at, None) - NOW;
        prop_assert!((4..=720).contains(&delay), "{delay} s");
        prop_assert_eq!(
            delay + NOW,
            retry_at(&uid(number), NOW, NOW - failing_for, expires_at, None)
        );
    }

    #[test]
    fn after_a_failure_with_more_than_six_seconds_left_the_next_attempt_comes_before_expiry(
        number in any::<u64>(), remaining in 7..31_536_000_i64, failing_for in 0..WEEK,
    ) {
        let expires_at = NOW + remaining;
        let next = retry_at(&uid(number), NOW, NOW - failing_for, Some(expires_at), None);
        prop_assert!(next < expires_at, "{} s of {remaining} s", next - NOW);
    }

    #[test]
    fn jitter_keeps_a_delay_within_a_fifth_and_above_zero(
        number in any::<u64>(), at in any::<i64>(), delay in prop_oneof![0..5_i64, 0..100_000_i64],
    ) {
        let jittered = jittered(&uid(number), at, delay);
        prop_assert!(jittered >= (delay * 4 / 5).max(1));
        prop_assert!(jittered <= (delay * 6 / 5).max(1));
    }
}

#[test]
fn a_credential_is_asked_about_every_half_hour_at_an_instant_that_the_uid_alone_decides() {
    for uid in ["a", "b", "c"] {
        let first = next_verification(uid, NOW);
        assert!((1..=1800).contains(&(first - NOW)), "{}", first - NOW);
        for now in [NOW, first - 1] {
            assert_eq!(
                next_verification(uid, now),
                first,
                "a restart asks nothing earlier"
            );
        }
        assert_eq!(next_verification(uid, first), first + 1800);
    }
    let instants: BTreeSet<_> = (0..100)
        .map(|number| next_verification(&number.to_string(), NOW))
        .collect();
    assert!(instants.len() > 90, "they are spread");
}
