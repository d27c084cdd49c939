//! The two sliding rate limits of an API token: so many requests in any minute, so many in any hour.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// How many requests an API token may make.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests in any 60 seconds (the burst limit).
    pub requests_per_minute: usize,
    /// Requests in any 3,600 seconds.
    pub requests_per_hour: usize,
}

impl Default for Limits {
    /// DigitalOcean's documented limits: 250 a minute and 5,000 an hour.
    fn default() -> Self {
        Self {
            requests_per_minute: 250,
            requests_per_hour: 5_000,
        }
    }
}

/// Which of the two limits a request ran into.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitWindow {
    /// The burst limit; its 429 carries `retry-after`.
    Minute,
    /// The hourly limit; its 429 carries no `retry-after`.
    Hour,
}

/// A request that came too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) window: LimitWindow,
    /// Whole seconds until the window has room again; at least 1.
    pub(crate) retry_after: i64,
}

/// What the `ratelimit-*` headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) limit: usize,
    pub(crate) remaining: usize,
    /// Unix seconds at which the oldest counted request leaves the hour.
    pub(crate) reset: i64,
}

/// The accepted requests of the past hour, oldest first. Refused requests do not count.
#[derive(Debug, Default)]
pub(crate) struct SlidingWindow {
    accepted: VecDeque<Timestamp>,
}

impl SlidingWindow {
    /// Counts a request at `now`, or refuses it. A clock that went backwards is taken to have stood still.
    pub(crate) fn admit(&mut self, now: Timestamp, limits: Limits) -> Result<(), Exceeded> {
        let now = self.forget_older_than_an_hour(now);
        if self.accepted.len() >= limits.requests_per_hour {
            return Err(Exceeded {
                window: LimitWindow::Hour,
                retry_after: seconds_until_left(self.accepted.front(), HOUR, now),
            });
        }
        let minute_start = self
            .accepted
            .partition_point(|&accepted| now.duration_since(accepted) >= MINUTE);
        if self.accepted.len() - minute_start >= limits.requests_per_minute {
            return Err(Exceeded {
                window: LimitWindow::Minute,
                retry_after: seconds_until_left(self.accepted.get(minute_start), MINUTE, now),
            });
        }
        self.accepted.push_back(now);
        Ok(())
    }

    /// What the headers say at `now`.
    pub(crate) fn allowance(&mut self, now: Timestamp, limits: Limits) -> Allowance {
        let now = self.forget_older_than_an_hour(now);
        Allowance {
            limit: limits.requests_per_hour,
            remaining: limits.requests_per_hour.saturating_sub(self.accepted.len()),
            reset: self.accepted.front().unwrap_or(&now).as_second() + HOUR.as_secs(),
        }
    }

    fn forget_older_than_an_hour(&mut self, now: Timestamp) -> Timestamp {
        let now = self.accepted.back().map_or(now, |&last| now.max(last));
        while self
            .accepted
            .front()
            .is_some_and(|&oldest| now.duration_since(oldest) >= HOUR)
        {
            self.accepted.pop_front();
        }
        now
    }
}

fn seconds_until_left(oldest: Option<&Timestamp>, window: SignedDuration, now: Timestamp) -> i64 {
    let left = oldest.map_or(window, |&oldest| window - now.duration_since(oldest));
    left.as_secs() + i64::from(left.subsec_nanos() > 0)
}
