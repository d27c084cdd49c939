//! The budget of one API token: how many requests may still be made, and whose turn it is.
//!
//! DigitalOcean counts requests per token over a sliding minute and a sliding hour. The budget keeps
//! below both: paced at 90 % of the minute's limit with a small burst, and with a tenth of the hour's
//! limit left to the people who use the same token. Nobody waits in it: who gets no grant is told
//! when to come back. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::RateLimit;

/// Milliseconds since any instant that stays the same.
pub type EpochMillis = i64;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const SECOND: i64 = 1000;
/// One request, in the unit of the bucket: so fine that 90 % of any limit a minute is a whole number
/// a millisecond.
const REQUEST: i64 = 600_000;
/// Requests that may be made at once when a process starts, in percent of a minute's: of 250 a list and
/// an issue. More would, with what a process before it has just spent, be too many for one minute.
const FIRST_BURST_PERCENT: i64 = 2;
/// Requests that may be made at once later on.
const LARGEST_BURST: i64 = 20;
/// Grants in a row to those who have a credential, while there are others.
const IN_A_ROW: usize = 9;
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

/// In which order grants are given. Who has a credential that expires goes first, the earliest expiry
/// before all. Of every ten grants one is for those who have none, lest they wait for ever; they take
/// turns by tenant, so that nobody waits behind all that somebody else has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// A credential is published and expires at this instant (seconds since 1970).
    Expiring(i64),
    /// Nothing is published, or it has expired; waiting since this instant.
    Waiting(i64),
}

/// Who shares a budget.
pub trait Sharer: Ord + Clone {
    /// Those among whom turns are taken.
    type Tenant: Ord;

    /// Whose it is.
    fn tenant(&self) -> Self::Tenant;
}

/// The budget of one API token, shared by `K`s.
#[derive(Debug, Clone)]
pub struct Budget<K: Sharer> {
    limits: RequestLimits,
    /// What may be spent at once, in the unit of the bucket; negative after unasked spending.
    level: i64,
    level_at: Option<EpochMillis>,
    /// What was spent in the last hour: minutes and requests, oldest first.
    spent: VecDeque<(i64, i64)>,
    /// What DigitalOcean said is left of the hour, less what was spent since.
    remaining: Option<(EpochMillis, i64)>,
    /// Who waits for what, and when each comes back.
    waiting: BTreeMap<K, (Turn, EpochMillis)>,
    /// Those of them who have a credential, in order.
    expiring: BTreeSet<(i64, K)>,
    /// Those of them who have none, in order, for each tenant.
    without: BTreeMap<K::Tenant, BTreeSet<(i64, K)>>,
    /// Turns that tenants have had, and when each had its last.
    turns: u64,
    last_turns: BTreeMap<K::Tenant, u64>,
    /// Grants in a row to those who have a credential.
    in_a_row: usize,
    /// When it was looked for those who did not come back.
    looked_at: Option<EpochMillis>,
}

impl<K: Sharer> Budget<K> {
    /// A budget below `limits`.
    #[must_use]
    pub fn new(limits: RequestLimits) -> Self {
        Self {
            limits,
            level: i64::from(limits.per_minute) * FIRST_BURST_PERCENT / 100 * REQUEST,
            level_at: None,
            spent: VecDeque::new(),
            remaining: None,
            waiting: BTreeMap::new(),
            expiring: BTreeSet::new(),
            without: BTreeMap::new(),
            turns: 0,
            last_turns: BTreeMap::new(),
            in_a_row: 0,
            looked_at: None,
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
        self.forget(key);
        self.forget_the_impatient(now);
        let ahead = i64::try_from(self.ahead(key, turn)).unwrap_or(i64::from(u32::MAX));
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
            self.note_turn(key, turn);
            return Ok(());
        }
        self.enqueue(key, turn, back);
        Err(back)
    }

    fn note_turn(&mut self, key: &K, turn: Turn) {
        let Turn::Waiting(_) = turn else {
            self.in_a_row += 1;
            return;
        };
        self.in_a_row = 0;
        self.turns += 1;
        // Of those who do not wait any more, nothing needs to be known.
        let without = &self.without;
        self.last_turns
            .retain(|tenant, _| without.contains_key(tenant));
        self.last_turns.insert(key.tenant(), self.turns);
    }

    fn enqueue(&mut self, key: &K, turn: Turn, back: EpochMillis) {
        self.waiting.insert(key.clone(), (turn, back));
        match turn {
            Turn::Expiring(at) => {
                self.expiring.insert((at, key.clone()));
            }
            Turn::Waiting(since) => {
                let tenant = self.without.entry(key.tenant()).or_default();
                tenant.insert((since, key.clone()));
            }
        }
    }

    fn forget(&mut self, key: &K) {
        match self.waiting.remove(key) {
            Some((Turn::Expiring(at), _)) => {
                self.expiring.remove(&(at, key.clone()));
            }
            Some((Turn::Waiting(since), _)) => {
                let tenant = key.tenant();
                if let Some(queue) = self.without.get_mut(&tenant) {
                    queue.remove(&(since, key.clone()));
                    if queue.is_empty() {
                        self.without.remove(&tenant);
                    }
                }
            }
            None => {}
        }
    }

    /// Who did not come back for a grant waits no more.
    fn forget_the_impatient(&mut self, now: EpochMillis) {
        if self
            .looked_at
            .is_some_and(|at| (at..at + SECOND).contains(&now))
        {
            return;
        }
        self.looked_at = Some(now);
        let late = self
            .waiting
            .iter()
            .filter(|(_, (_, back))| *back + PATIENCE <= now);
        let late: Vec<_> = late.map(|(key, _)| key.clone()).collect();
        for key in late {
            self.forget(&key);
        }
    }

    /// How many grants come before that of `key`.
    fn ahead(&self, key: &K, turn: Turn) -> usize {
        match turn {
            Turn::Expiring(at) => {
                let earlier = self.expiring.range(..(at, key.clone())).count();
                let waiting: usize = self.without.values().map(BTreeSet::len).sum();
                // Turns of those who have none that come up meanwhile.
                let between = (self.in_a_row + earlier) / IN_A_ROW;
                earlier + between.min(waiting)
            }
            Turn::Waiting(since) => {
                let before = self.ahead_without(key, since);
                // Turns of those who have one until as many of the others have come up.
                let between = (before + 1) * IN_A_ROW;
                before
                    + between
                        .saturating_sub(self.in_a_row)
                        .min(self.expiring.len())
            }
        }
    }

    /// How many of those without a credential come before: tenants take turns, each with its longest
    /// waiting.
    fn ahead_without(&self, key: &K, since: i64) -> usize {
        let tenant = key.tenant();
        let place = (since, key.clone());
        let own = self
            .without
            .get(&tenant)
            .map_or(0, |queue| queue.range(..&place).count());
        let others = self.without.iter().filter(|(other, _)| **other != tenant);
        let turn_of = |tenant| self.last_turns.get(tenant).copied().unwrap_or_default();
        let theirs = others.map(|(other, queue)| {
            let goes_first = (turn_of(other), other) < (turn_of(&tenant), &tenant);
            queue.len().min(own + usize::from(goes_first))
        });
        own + theirs.sum::<usize>()
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

    /// Each thousand is a tenant.
    impl Sharer for u32 {
        type Tenant = u32;

        fn tenant(&self) -> u32 {
            self / 1000
        }
    }

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
    fn renewals_that_never_end_do_not_starve_who_has_nothing() {
        let mut budget = Budget::new(LIMITS);
        budget.spend(50, 0);
        let waits = 5000;
        let renewal = |key: u32| (key, Turn::Expiring(i64::from(key)));
        let mut asking: BTreeMap<(EpochMillis, u32), Turn> = (0..30)
            .map(renewal)
            .map(|(key, turn)| ((1, key), turn))
            .collect();
        asking.insert((1, waits), Turn::Waiting(0));
        let mut renewals = 30;
        while let Some(((now, key), turn)) = asking.pop_first() {
            match budget.grant(&key, turn, 2, now) {
                Ok(()) if key == waits => break,
                Ok(()) => {
                    let (key, turn) = renewal(renewals);
                    asking.insert((now, key), turn);
                    renewals += 1;
                }
                Err(back) => {
                    asking.insert((back, key), turn);
                }
            }
        }
        let before = usize::try_from(renewals - 30).unwrap();
        assert!((IN_A_ROW - 1..=IN_A_ROW + 2).contains(&before), "{before}");
    }

    #[test]
    fn a_tenant_who_asks_for_much_does_not_hold_up_who_asks_for_little() {
        let mut budget = Budget::new(LIMITS);
        budget.spend(50, 0);
        let much = (0..900).map(|key| (key, Turn::Waiting(0)));
        let little = (1000..1003).map(|key| (key, Turn::Waiting(100)));
        let granted = run(&mut budget, much.chain(little), 2, 1);
        let places = granted.iter().enumerate();
        let little: Vec<_> = places
            .filter(|(_, (_, key))| *key >= 1000)
            .map(|(place, _)| place)
            .collect();
        assert_eq!(little.len(), 3);
        assert!(little.iter().all(|place| *place < 12), "{little:?}");
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

#[cfg(test)]
mod storms;
