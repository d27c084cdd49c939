//! Counting how a credential was received.

use std::time::Duration;

/// How the target answered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The credential works.
    Accepted,
    /// It does not, or there is none.
    Refused,
    /// There was no answer, or one that says nothing about the credential.
    Unanswered,
}

/// The calls of a poller.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) calls: usize,
    pub(super) refusals: usize,
    pub(super) unanswered: usize,
    refused: Duration,
    refused_since: Option<Duration>,
}

impl Tally {
    /// A call that was made at `at`, since the beginning. Calls come in their order.
    pub(super) fn record(&mut self, at: Duration, verdict: Verdict) {
        self.calls += 1;
        match verdict {
            Verdict::Accepted => {
                if let Some(since) = self.refused_since.take() {
                    self.refused += at.saturating_sub(since);
                }
            }
            Verdict::Refused => {
                self.refusals += 1;
                self.refused_since.get_or_insert(at);
            }
            // Whatever it was before, nothing shows that it is different now.
            Verdict::Unanswered => self.unanswered += 1,
        }
    }

    /// For how long the credential was refused: each time from the first refusal until the first call
    /// that was accepted, or until `now`.
    pub(super) fn refused(&self, now: Duration) -> Duration {
        let current = self
            .refused_since
            .map_or(Duration::ZERO, |since| now.saturating_sub(since));
        self.refused + current
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Accepted, Refused, Unanswered};
    use super::*;

    fn tally(calls: &[(u64, Verdict)]) -> Tally {
        let mut tally = Tally::default();
        for (milliseconds, verdict) in calls {
            tally.record(Duration::from_millis(*milliseconds), *verdict);
        }
        tally
    }

    fn refused_milliseconds(calls: &[(u64, Verdict)], now: u64) -> u128 {
        tally(calls).refused(Duration::from_millis(now)).as_millis()
    }

    #[test]
    fn a_credential_that_always_works_was_never_refused() {
        let calls = [(0, Accepted), (200, Accepted), (400, Accepted)];
        assert_eq!(refused_milliseconds(&calls, 10_000), 0);
        assert_eq!(tally(&calls).calls, 3);
    }

    #[test]
    fn a_refusal_lasts_until_the_next_call_that_is_accepted() {
        let calls = [
            (0, Accepted),
            (200, Refused),
            (400, Refused),
            (600, Accepted),
        ];
        assert_eq!(refused_milliseconds(&calls, 10_000), 400);
        assert_eq!(tally(&calls).refusals, 2);
    }

    #[test]
    fn several_refusals_add_up() {
        let calls = [
            (0, Refused),
            (200, Accepted),
            (400, Refused),
            (700, Accepted),
        ];
        assert_eq!(refused_milliseconds(&calls, 10_000), 500);
    }

    #[test]
    fn a_refusal_that_has_not_ended_lasts_until_now() {
        assert_eq!(
            refused_milliseconds(&[(0, Accepted), (200, Refused)], 1_000),
            800
        );
    }

    #[test]
    fn a_call_without_an_answer_neither_begins_nor_ends_a_refusal() {
        let calls = [(0, Accepted), (200, Unanswered), (400, Accepted)];
        assert_eq!(refused_milliseconds(&calls, 1_000), 0);
        let calls = [(0, Refused), (200, Unanswered), (400, Accepted)];
        assert_eq!(refused_milliseconds(&calls, 1_000), 400);
        assert_eq!(tally(&calls).unanswered, 1);
    }
}
