//! The budget of one API token: how many requests may still be made, and whose turn it is.
//!
//! DigitalOcean counts requests per token over a sliding minute and a sliding hour. The budget keeps
//! below both: paced at 90 % of the minute's limit with a small burst, and with a tenth of the hour's
//! limit left to the people who use the same token. Nobody waits in it: who gets no grant is told
//! when to come back. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::RateLimit;

/// Milliseconds since 1970.
pub type EpochMillis = i64;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// One request, in the unit of the bucket: so fine that 90 % of any limit a minute is a whole number
/// a millisecond.
const REQUEST: i64 = 600_000;
/// Requests that may be made at once when a process starts: a list and one issue. More would, with
/// what a process before it has just spent, be too many for one minute.
const FIRST_BURST: i64 = 5;
/// Requests that may be made at once later on.
const LARGEST_BURST: i64 = 20;
/// Somebody who does not come back for a grant does not block others for longer than this.
const PATIENCE: i64 = MINUTE;

/// DigitalOcean's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Requests in any 60 s.
    pub per_minute: u32,
    /// Requests in any hour.
    pub per_hour: u32,
}

impl Default for RequestLimits {
    /// Those that DigitalOcean documents.
    fn default() -> Self {
        Self {
            per_minute: 250,
            per_hour: 5_000,
        }
    }
}

/// In which order grants are given: first the class, then the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// A credential is published and expires at this instant (seconds since 1970).
    Expiring(i64),
    /// Nothing is published, or it has expired; waiting since this instant.
    Waiting(i64),
}

/// The budget of one API token, shared by `K`s.
#[derive(Debug, Clone)]
pub struct Budget<K> {
    limits: RequestLimits,
    /// What may be spent at once, in the unit of the bucket; negative after unasked spending.
    level: i64,
    level_at: Option<EpochMillis>,
    /// What was spent in the last hour: minutes and requests, oldest first.
    spent: VecDeque<(i64, i64)>,
    /// What DigitalOcean said is left of the hour, less what was spent since.
    remaining: Option<(EpochMillis, i64)>,
    /// Who waits, and when each comes back.
    waiting: BTreeMap<(Turn, K), EpochMillis>,
}

impl<K: Ord + Clone> Budget<K> {
    /// A budget below `limits`.
    #[must_use]
    pub fn new(limits: RequestLimits) -> Self {
        Self {
            limits,
            level: FIRST_BURST * REQUEST,
            level_at: None,
            spent: VecDeque::new(),
            remaining: None,
            waiting: BTreeMap::new(),
        }
    }

    /// Grants `requests` to `key`, if it is its turn.
    ///
    /// # Errors
    /// When to ask again, later than now.
    pub fn grant(
        &mut self,
        key: &K,
        turn: Turn,
        requests: u32,
        now: EpochMillis,
    ) -> Result<(), EpochMillis> {
        self.refill(now);
        self.waiting
            .retain(|(_, waiting), back| waiting != key && *back + PATIENCE > now);
        let place = (turn, key.clone());
        let ahead = self.waiting.range(..&place).count();
        let ahead = i64::try_from(ahead).unwrap_or(i64::from(u32::MAX));
        let requests = i64::from(requests);
        let missing = (ahead + 1) * requests * REQUEST - self.level;
        let paced = if missing > 0 {
            now + missing / self.rate() + 1
        } else {
            now
        };
        let hourly = self.hourly(requests, now);
        let back = paced.max(hourly);
        if back <= now {
            self.take(requests, now);
            return Ok(());
        }
        self.waiting.insert(place, back);
        Err(back)
    }

    /// Counts requests that were made without asking.
    pub fn spend(&mut self, requests: u32, now: EpochMillis) {
        self.refill(now);
        self.take(requests.into(), now);
    }

    /// Takes over what an answer said of the limits: others may use the same token.
    pub fn correct(&mut self, said: &RateLimit, now: EpochMillis) {
        if let Some(remaining) = said.remaining {
            self.remaining = Some((now, remaining.into()));
        }
    }

    /// What comes back every millisecond: 90 % of the minute's limit.
    fn rate(&self) -> i64 {
        i64::from(self.limits.per_minute) * REQUEST * 9 / 10 / MINUTE
    }

    /// Left to the people who use the same token.
    fn reserve(&self) -> i64 {
        i64::from(self.limits.per_hour) / 10
    }

    fn burst(&self) -> i64 {
        (i64::from(self.limits.per_minute) * 8 / 100).clamp(2, LARGEST_BURST) * REQUEST
    }

    fn refill(&mut self, now: EpochMillis) {
        // A clock that was set back gives nothing, and takes nothing away.
        let elapsed = self.level_at.map_or(0, |at| (now - at).clamp(0, MINUTE));
        self.level = (self.level + elapsed * self.rate()).min(self.burst().max(self.level));
        self.level_at = Some(now);
    }

    fn take(&mut self, requests: i64, now: EpochMillis) {
        self.level -= requests * REQUEST;
        let minute = now.div_euclid(MINUTE);
        match self.spent.back_mut() {
            Some((last, count)) if *last >= minute => *count += requests,
            _ => self.spent.push_back((minute, requests)),
        }
        let reserve = self.reserve();
        if let Some((at, remaining)) = &mut self.remaining {
            *remaining -= requests;
            if *remaining < reserve {
                // This one is to find out how much is left now; the others wait for its answer.
                *at = now;
            }
        }
    }

    /// When the hour has room for `requests`; now, if it has.
    fn hourly(&mut self, requests: i64, now: EpochMillis) -> EpochMillis {
        let minute = now.div_euclid(MINUTE);
        while self
            .spent
            .front()
            .is_some_and(|(spent, _)| *spent + 60 < minute)
        {
            self.spent.pop_front();
        }
        let reserve = self.reserve();
        let allowed = i64::from(self.limits.per_hour) - reserve;
        let spent: i64 = self.spent.iter().map(|(_, count)| count).sum();
        if spent + requests > allowed {
            let oldest = self.spent.front().map_or(minute, |(minute, _)| *minute);
            return ((oldest + 61) * MINUTE).max(now + 1);
        }
        match self.remaining {
            // What was said an hour ago says nothing any more.
            Some((at, remaining)) if now - at < HOUR && remaining - requests < reserve => {
                // The count moves with every request that leaves the hour: look again in a minute.
                if now - at < MINUTE { at + MINUTE } else { now }
            }
            _ => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RequestLimits = RequestLimits {
        per_minute: 250,
        per_hour: 5_000,
    };

    /// Lets `keys` ask for `requests` each until all have them, and returns when each was granted.
    fn run(
        budget: &mut Budget<u32>,
        keys: impl Iterator<Item = (u32, Turn)>,
        requests: u32,
        start: EpochMillis,
    ) -> Vec<(EpochMillis, u32)> {
        let mut asking: BTreeMap<(EpochMillis, u32), Turn> =
            keys.map(|(key, turn)| ((start, key), turn)).collect();
        let mut granted = Vec::new();
        while let Some(((now, key), turn)) = asking.pop_first() {
            match budget.grant(&key, turn, requests, now) {
                Ok(()) => granted.push((now, key)),
                Err(back) => {
                    assert!(back > now, "told to come back at once");
                    asking.insert((back, key), turn);
                }
            }
        }
        granted
    }

    fn most_in(granted: &[(EpochMillis, u32)], requests: usize, window: i64) -> usize {
        let within = |start: i64| {
            granted
                .iter()
                .filter(|(at, _)| *at >= start && *at < start + window)
                .count()
                * requests
        };
        granted.iter().map(|(at, _)| within(*at)).max().unwrap_or(0)
    }

    #[test]
    fn however_many_ask_at_once_neither_limit_is_reached() {
        let mut budget = Budget::new(LIMITS);
        let keys = (0..3_000).map(|key| (key, Turn::Waiting(0)));
        let granted = run(&mut budget, keys, 2, 1_000_000_000);
        assert_eq!(granted.len(), 3_000);
        assert!(
            most_in(&granted, 2, MINUTE) <= 250,
            "{}",
            most_in(&granted, 2, MINUTE)
        );
        assert!(
            most_in(&granted, 2, HOUR) <= 4_500,
            "{}",
            most_in(&granted, 2, HOUR)
        );
    }

    #[test]
    fn a_restart_in_the_middle_of_a_storm_stays_within_the_minute() {
        let start = 1_000_000_000;
        let mut before = Budget::new(LIMITS);
        let mut granted: Vec<_> = run(
            &mut before,
            (0..500).map(|key| (key, Turn::Waiting(0))),
            2,
            start,
        )
        .into_iter()
        .filter(|(at, _)| *at < start + 40_000)
        .collect();
        let mut after = Budget::new(LIMITS);
        let again = (0..500).map(|key| (key, Turn::Waiting(0)));
        granted.extend(run(&mut after, again, 2, start + 40_000));
        assert!(
            most_in(&granted, 2, MINUTE) <= 250,
            "{}",
            most_in(&granted, 2, MINUTE)
        );
    }

    #[test]
    fn the_earliest_expiry_goes_first_and_those_without_credential_last() {
        let mut budget = Budget::new(LIMITS);
        budget.spend(200, 0);
        let turns = [
            (1, Turn::Waiting(0)),
            (2, Turn::Expiring(900)),
            (3, Turn::Expiring(100)),
        ];
        for (key, turn) in turns {
            assert!(budget.grant(&key, turn, 2, 0).is_err());
        }
        let granted = run(&mut budget, turns.into_iter(), 2, 1);
        assert_eq!(
            granted.iter().map(|(_, key)| *key).collect::<Vec<_>>(),
            [3, 2, 1]
        );
    }

    #[test]
    fn what_others_spend_with_the_same_token_counts() {
        let mut budget = Budget::new(LIMITS);
        let said = RateLimit {
            limit: Some(5_000),
            remaining: Some(501),
            reset: None,
        };
        budget.correct(&said, 0);
        assert_eq!(budget.grant(&1, Turn::Waiting(0), 2, 0), Err(MINUTE));
        let said = RateLimit {
            remaining: Some(502),
            ..said
        };
        budget.correct(&said, 0);
        assert_eq!(budget.grant(&1, Turn::Waiting(0), 2, 0), Ok(()));
    }

    #[test]
    fn who_does_not_come_back_blocks_nobody_for_ever() {
        let mut budget = Budget::new(LIMITS);
        budget.spend(5, 0);
        assert!(budget.grant(&1, Turn::Expiring(1), 20, 0).is_err());
        assert!(budget.grant(&2, Turn::Waiting(0), 2, 10_000).is_err() || budget.level >= 0);
        assert_eq!(budget.grant(&2, Turn::Waiting(0), 2, 3 * MINUTE), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_back_gives_nothing_away() {
        let mut budget = Budget::new(LIMITS);
        budget.spend(25, 10 * MINUTE);
        assert!(budget.grant(&1, Turn::Waiting(0), 2, 0).is_err());
    }
}
