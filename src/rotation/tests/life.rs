//! The life of an access, in virtual time: it is woken at every instant that was asked for, and no
//! earlier.

use proptest::prelude::*;

use super::*;

/// What DigitalOcean does at an attempt.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// It issues, after so many seconds.
    Issued { after: i64 },
    /// It fails.
    Failed {
        may_have_minted: bool,
        retry_after: Option<i64>,
    },
}

/// An access, what is published of it, and what it remembers.
struct Life {
    wanted: Wanted,
    lifetime: i64,
    observed: Observed,
    now: EpochSeconds,
    /// When attempts were made, and whether they succeeded.
    attempts: Vec<(EpochSeconds, bool)>,
    /// Seconds during which what was published had expired.
    expired_seconds: i64,
}

impl Life {
    fn new(wanted: Wanted, lifetime: i64) -> Self {
        Self {
            wanted,
            lifetime,
            observed: nothing(),
            now: NOW,
            attempts: Vec::new(),
            expired_seconds: 0,
        }
    }

    /// Does what is decided, once, and lets the time pass until the next decision.
    fn turn(&mut self, answer: impl FnOnce(EpochSeconds) -> Answer) {
        let decision = decide(&self.wanted, &self.observed, self.now);
        match decision {
            // Refused: six answers were lost within the hour.
            Decision::Wait { until } | Decision::Refuse { until, .. } => self.sleep(until),
            Decision::Issue(_) => self.attempt(answer(self.now)),
            decision => panic!("{decision:?}"),
        }
    }

    fn sleep(&mut self, until: EpochSeconds) {
        assert!(until > self.now && until <= self.now + MAX_SLEEP_SECONDS);
        if let Some(published) = self.observed.published() {
            self.expired_seconds += (until - published.expires_at.max(self.now)).max(0);
        }
        self.now = until;
    }

    fn attempt(&mut self, answer: Answer) {
        let now = self.now;
        let lost = self
            .observed
            .failure
            .as_ref()
            .is_some_and(|failure| failure.may_have_minted);
        if lost {
            self.observed.unscheduled.push(now);
        }
        match answer {
            Answer::Issued { after } => {
                self.attempts.push((now, true));
                self.observed.last_issue_at = Some(now);
                let issue = issue_of(&self.wanted, now, self.lifetime);
                self.sleep(now + after.max(1));
                self.observed.outputs = vec![intact(&issue)];
                self.observed.ever_issued = true;
                self.observed.failure = None;
            }
            Answer::Failed {
                may_have_minted,
                retry_after,
            } => {
                self.attempts.push((now, false));
                let since = self
                    .observed
                    .failure
                    .as_ref()
                    .map_or(now, |failure| failure.since);
                let expires_at = self.observed.published().map(|issue| issue.expires_at);
                let not_before = retry_after.map(|seconds| now + seconds);
                self.observed.failure = Some(Failure {
                    since,
                    may_have_minted,
                    ..failure(
                        &self.wanted,
                        now,
                        retry_at(&self.wanted.uid, now, since, expires_at, not_before),
                    )
                });
            }
        }
    }

    fn remaining(&self) -> Option<i64> {
        self.observed
            .published()
            .map(|issue| issue.expires_at - self.now)
    }
}

fn wanteds() -> impl Strategy<Value = (Wanted, i64)> {
    (
        any::<u64>(),
        prop_oneof![60..HOUR, HOUR..=WEEK],
        prop::option::of(0.0..1.0_f64),
    )
        .prop_map(|(number, lifetime, margin)| {
            #[expect(clippy::cast_possible_truncation, reason = "less than the lifetime")]
            let renew_before = margin.map(|share| ((lifetime as f64 * share) as i64).max(1));
            let wanted = Wanted {
                uid: uid(number),
                renew_before_seconds: renew_before,
                ..wanted()
            };
            (wanted, lifetime)
        })
}

proptest! {
    #[test]
    fn while_issues_succeed_no_credential_expires_and_each_is_used_for_most_of_what_it_can_be(
        (wanted, lifetime) in wanteds(), latency in 1..4_i64,
    ) {
        // A margin shorter than an issue takes is no margin: 3 s of 60 s are the least here.
        let margin = wanted.renew_before_seconds.unwrap_or(lifetime / 3);
        prop_assume!(margin > latency);
        let mut life = Life::new(wanted, lifetime);
        while life.attempts.len() < 20 {
            life.turn(|_| Answer::Issued { after: latency });
        }
        prop_assert_eq!(life.expired_seconds, 0);
        let least = spacing_seconds(lifetime).min(lifetime - margin.min(lifetime * 4 / 5));
        for pair in life.attempts.windows(2) {
            prop_assert!(pair[1].0 - pair[0].0 >= least.min(lifetime / 10));
            prop_assert!(pair[1].0 - pair[0].0 < lifetime);
        }
    }

    #[test]
    fn a_restart_at_any_moment_changes_no_instant_and_issues_nothing(
        (wanted, lifetime) in wanteds(), restart_every in 1..50_usize,
    ) {
        let run = |restart_every: usize| {
            let mut life = Life::new(wanted.clone(), lifetime);
            for turn in 1.. {
                if life.attempts.len() == 5 {
                    break;
                }
                life.turn(|_| Answer::Issued { after: 1 });
                if turn % restart_every == 0 {
                    // Memory is lost; what stands on the Secrets is not.
                    life.observed.last_issue_at = None;
                }
            }
            life.attempts
        };
        prop_assert_eq!(run(restart_every), run(usize::MAX));
    }

    #[test]
    fn failures_are_retried_by_the_rule_and_end_when_their_cause_does(
        (wanted, lifetime) in wanteds(),
        failures in 1..40_usize,
        retry_after in prop::option::weighted(0.3, 1..HOUR),
        first: bool,
    ) {
        let mut life = Life::new(wanted, lifetime);
        while !first && life.attempts.is_empty() {
            life.turn(|_| Answer::Issued { after: 1 });
        }
        let healthy = life.attempts.len();
        let failed = Answer::Failed { may_have_minted: false, retry_after };
        while life.attempts.len() < healthy + failures {
            let before = life.attempts.len();
            let failing_since = life.observed.failure.as_ref().map(|failure| failure.since);
            life.turn(|_| failed);
            if life.attempts.len() > before {
                let now = life.now;
                let wait = life.observed.failure.as_ref().map_or(0, |failure| failure.retry_at - now);
                let span = life
                    .remaining()
                    .filter(|remaining| *remaining > 0)
                    .unwrap_or(now - failing_since.unwrap_or(now));
                let delay = (span / 10).clamp(5, 600);
                match retry_after {
                    Some(seconds) => prop_assert_eq!(wait, seconds),
                    None => prop_assert!((delay * 4 / 5..=delay * 6 / 5).contains(&wait)),
                }
            }
        }
        // No attempt came before its time, and none was left out.
        let retry_at = life.observed.failure.as_ref().map_or(0, |failure| failure.retry_at);
        while life.attempts.len() == healthy + failures {
            life.turn(|_| Answer::Issued { after: 1 });
        }
        let (healed_at, _) = life.attempts[healthy + failures];
        prop_assert_eq!(healed_at, retry_at);
    }

    #[test]
    fn a_window_in_which_everything_answers_is_enough_to_renew_in_time(
        (wanted, lifetime) in wanteds(), share in 0.0..1.0_f64,
    ) {
        // DigitalOcean is away from the renewal on, and back early enough before expiry.
        let mut life = Life::new(wanted, lifetime);
        while life.attempts.is_empty() {
            life.turn(|_| Answer::Issued { after: 1 });
        }
        let expires_at = life.observed.published().map_or(0, |issue| issue.expires_at);
        let renew_at = life.observed.published().map_or(0, |issue| life.wanted.renew_at(issue));
        #[expect(clippy::cast_possible_truncation, reason = "less than a lifetime")]
        let back_at = renew_at + ((expires_at - renew_at) as f64 * share) as i64;
        let window = 12 * ((expires_at - back_at) / 10).clamp(5, 600) / 10 + 2;
        prop_assume!(expires_at - back_at > window);
        while !life.attempts.iter().skip(1).any(|(_, succeeded)| *succeeded) {
            life.turn(|now| if now < back_at {
                Answer::Failed { may_have_minted: false, retry_after: None }
            } else {
                Answer::Issued { after: 1 }
            });
        }
        prop_assert_eq!(life.expired_seconds, 0);
    }

    #[test]
    fn lost_answers_cost_no_more_than_six_unscheduled_issues_in_any_hour(
        (wanted, lifetime) in wanteds(), hours in 1..6_i64,
    ) {
        let mut life = Life::new(wanted, lifetime);
        while life.now < NOW + hours * HOUR {
            life.turn(|_| Answer::Failed { may_have_minted: true, retry_after: None });
        }
        // The first was due.
        let unscheduled: Vec<_> = life.attempts.iter().skip(1).map(|(at, _)| *at).collect();
        for hour in unscheduled.windows(7) {
            prop_assert!(hour[6] - hour[0] >= HOUR);
        }
        for pair in unscheduled.windows(2) {
            prop_assert!(pair[1] - pair[0] <= 720, "{pair:?}");
        }
        prop_assert!(i64::try_from(unscheduled.len()).unwrap() >= 5 * hours);
    }

    #[test]
    fn a_renewal_whose_answers_are_lost_is_tried_often_enough_for_its_lifetime(
        (wanted, lifetime) in wanteds(),
    ) {
        let mut life = Life::new(wanted, lifetime);
        while life.attempts.is_empty() {
            life.turn(|_| Answer::Issued { after: 1 });
        }
        while life.attempts.len() < 20 {
            life.turn(|_| Answer::Failed { may_have_minted: true, retry_after: None });
        }
        let longest = (lifetime / 20).clamp(30, 720);
        for pair in life.attempts[1..].windows(2) {
            // The retry rule may ask for more while much of the lifetime remains.
            let remaining = (NOW + lifetime - pair[0].0).max(pair[0].0 - life.attempts[1].0);
            let retry = (remaining / 10).clamp(5, 600) * 6 / 5 + 1;
            prop_assert!(pair[1].0 - pair[0].0 <= longest.max(retry), "{pair:?}");
        }
        for three in life.attempts[2..].windows(3) {
            prop_assert!(three[2].0 - three[0].0 >= longest);
        }
    }
}

#[test]
fn a_week_of_default_life_costs_two_issues() {
    // 604800 − 201600 − at most 60480 s apart.
    let mut life = Life::new(wanted(), WEEK);
    while life.now < NOW + WEEK {
        life.turn(|_| Answer::Issued { after: 1 });
    }
    assert_eq!(life.attempts.len(), 2);
}

#[test]
fn a_sixty_second_token_is_renewed_every_thirty_to_forty_seconds() {
    let mut life = Life::new(wanted(), 60);
    while life.attempts.len() < 100 {
        life.turn(|_| Answer::Issued { after: 1 });
    }
    for pair in life.attempts.windows(2) {
        assert!((34..=40).contains(&(pair[1].0 - pair[0].0)), "{pair:?}");
    }
    assert_eq!(life.expired_seconds, 0);
}

#[test]
fn a_token_that_expired_during_an_outage_is_renewed_at_the_first_retry_after_it() {
    let mut life = Life::new(wanted(), HOUR);
    while life.attempts.is_empty() {
        life.turn(|_| Answer::Issued { after: 1 });
    }
    let back_at = NOW + 5 * HOUR;
    while life
        .attempts
        .iter()
        .filter(|(_, succeeded)| *succeeded)
        .count()
        < 2
    {
        life.turn(|now| {
            if now < back_at {
                Answer::Failed {
                    may_have_minted: false,
                    retry_after: None,
                }
            } else {
                Answer::Issued { after: 1 }
            }
        });
    }
    let (healed_at, _) = life.attempts.last().copied().unwrap();
    assert!(
        healed_at - back_at <= 720,
        "{} s after it",
        healed_at - back_at
    );
}
