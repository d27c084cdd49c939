//! Whether DigitalOcean serves an API token. While it does not, one probe at a time asks, and every
//! access that uses the token waits for the answer.

use crate::api::Reason;
use crate::rotation::EpochSeconds;

const SHORTEST_PROBE_SECONDS: i64 = 5;
const LONGEST_PROBE_SECONDS: i64 = 600;
/// Doubling ends here until the outage has lasted for ten minutes: work goes on soon after it.
const DOUBLED_PROBE_SECONDS: i64 = 15;
/// What share of the outage so far a probe may come after its end.
const SHARE_OF_OUTAGE: i64 = 40;

/// Open, or closed until a probe succeeds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    closed: Option<Closed>,
    recovered_at: Option<EpochSeconds>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Closed {
    reason: Reason,
    failed_probes: u32,
    next_probe_at: EpochSeconds,
    /// Since when it is closed.
    since: EpochSeconds,
}

impl Gate {
    /// Why it is closed, and until when nobody may try.
    #[must_use]
    pub fn closed(&self) -> Option<(Reason, EpochSeconds)> {
        self.closed
            .as_ref()
            .map(|closed| (closed.reason, closed.next_probe_at))
    }

    /// An access met a failure, and no probe has confirmed it yet.
    #[must_use]
    pub fn is_suspected(&self) -> bool {
        self.closed
            .as_ref()
            .is_some_and(|closed| closed.failed_probes == 0)
    }

    /// When the last outage ended that a probe had confirmed.
    #[must_use]
    pub fn recovered_at(&self) -> Option<EpochSeconds> {
        self.recovered_at
    }

    /// An access met a failure that seems to be the token's: the probe asks at `not_before`, or at
    /// once. If it succeeds, the failure was that one access's own.
    pub fn suspect(&mut self, reason: Reason, now: EpochSeconds, not_before: Option<EpochSeconds>) {
        if self.closed.is_none() {
            let next_probe_at = not_before.unwrap_or(now).max(now);
            // Having been told to wait is confirmation enough.
            let failed_probes = u32::from(not_before.is_some());
            self.closed = Some(Closed {
                reason,
                failed_probes,
                next_probe_at,
                since: now,
            });
        }
    }

    /// The probe failed: the next comes after 5 s, doubling to 15 s, or to a fortieth of the outage so far
    /// where that is more, 600 s at the most; but never later than a tenth of what remains until
    /// `most_urgent`, and not before `not_before`, which wins.
    pub fn fail(
        &mut self,
        reason: Reason,
        now: EpochSeconds,
        not_before: Option<EpochSeconds>,
        most_urgent: Option<EpochSeconds>,
    ) {
        let (failed_probes, since) = self
            .closed
            .as_ref()
            .map_or((0, now), |closed| (closed.failed_probes, closed.since));
        let doubled = SHORTEST_PROBE_SECONDS << failed_probes.min(7);
        let longest =
            ((now - since) / SHARE_OF_OUTAGE).clamp(DOUBLED_PROBE_SECONDS, LONGEST_PROBE_SECONDS);
        let urgent = most_urgent
            .filter(|expires_at| *expires_at > now)
            .map_or(LONGEST_PROBE_SECONDS, |expires_at| (expires_at - now) / 10)
            .max(SHORTEST_PROBE_SECONDS);
        let delay = doubled.min(longest).min(urgent);
        let next_probe_at = not_before.filter(|at| *at > now).unwrap_or(now + delay);
        self.closed = Some(Closed {
            reason,
            failed_probes: failed_probes + 1,
            next_probe_at,
            since,
        });
    }

    /// The probe succeeded.
    pub fn open(&mut self, now: EpochSeconds) {
        if let Some(closed) = self.closed.take()
            && closed.failed_probes > 0
        {
            self.recovered_at = Some(now);
        }
    }

    /// Puts right what was noted by a clock that has been set back since.
    pub fn forget_the_future(&mut self, now: EpochSeconds) {
        self.recovered_at.take_if(|at| *at > now);
        if let Some(closed) = &mut self.closed {
            closed.next_probe_at = now;
            closed.since = closed.since.min(now);
        }
    }

    /// The token has just been read anew: ask at once.
    pub fn probe_now(&mut self, now: EpochSeconds) {
        if let Some(closed) = &mut self.closed {
            closed.next_probe_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(most_urgent: Option<i64>) -> Vec<i64> {
        let mut gate = Gate::default();
        let mut now = 1000;
        (0..8)
            .map(|_| {
                gate.fail(Reason::ApiUnavailable, now, None, most_urgent);
                let next = gate.closed().map_or(now, |(_, at)| at);
                let delay = next - now;
                now = next;
                delay
            })
            .collect()
    }

    #[test]
    fn probes_come_after_5_seconds_doubling_to_15() {
        assert_eq!(delays(None), [5, 10, 15, 15, 15, 15, 15, 15]);
    }

    #[test]
    fn the_longer_an_outage_lasts_the_rarer_its_probes_down_to_one_in_600_seconds() {
        let mut gate = Gate::default();
        let mut delay_after = |lasted| {
            gate.fail(Reason::ApiUnavailable, 1000 + lasted, None, None);
            gate.closed().map_or(0, |(_, at)| at - 1000 - lasted)
        };
        let delays = [0, 5, 15, 600, 3600, 18_000, 86_400].map(&mut delay_after);
        assert_eq!(delays, [5, 10, 15, 15, 80, 160, 320]);
        assert_eq!([90_000, 90_000].map(&mut delay_after), [600, 600]);
    }

    #[test]
    fn a_probe_never_waits_longer_than_a_tenth_of_what_remains_to_the_most_urgent_access() {
        assert_eq!(delays(Some(1130)), [5, 10, 11, 10, 9, 8, 7, 7]);
    }

    #[test]
    fn an_expired_access_does_not_make_probes_come_faster_than_the_doubling() {
        assert_eq!(delays(Some(900)), delays(None));
    }

    #[test]
    fn retry_after_wins_over_the_doubling() {
        let mut gate = Gate::default();
        gate.fail(Reason::RateLimited, 1000, Some(1029), Some(1010));
        assert_eq!(gate.closed(), Some((Reason::RateLimited, 1029)));
    }

    #[test]
    fn after_a_clock_was_set_back_the_probe_asks_at_once() {
        let mut gate = Gate::default();
        gate.fail(Reason::ApiUnavailable, 1_000_000, None, None);
        gate.forget_the_future(1000);
        assert_eq!(gate.closed(), Some((Reason::ApiUnavailable, 1000)));
    }

    #[test]
    fn a_failure_that_the_probe_does_not_confirm_is_no_outage() {
        let mut gate = Gate::default();
        gate.suspect(Reason::ApiUnavailable, 1000, None);
        assert_eq!(gate.closed(), Some((Reason::ApiUnavailable, 1000)));
        gate.open(1001);
        assert_eq!((gate.closed(), gate.recovered_at()), (None, None));
        gate.suspect(Reason::ApiUnavailable, 1002, None);
        gate.fail(Reason::ApiUnavailable, 1002, None, None);
        gate.open(1010);
        assert_eq!((gate.closed(), gate.recovered_at()), (None, Some(1010)));
    }
}
