//! I6: what the operator asks of DigitalOcean with one API token stays within both limits.

use std::collections::BTreeMap;

use super::Violation;
use crate::chronicle::Chronicle;
use crate::stage::most_within;

/// The limits: so many requests within so many milliseconds.
const LIMITS: [(i64, usize); 2] = [(60_000, 250), (3_600_000, 5000)];

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let mut by_token: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for exchange in &chronicle.record.exchanges {
        if exchange.user_agent.as_deref() != Some("somebody-else") {
            let token = exchange.token.as_deref().unwrap_or_default();
            let times = by_token.entry(token).or_default();
            times.push(exchange.time.as_millisecond());
        }
    }
    let mut violations = Vec::new();
    for (token, times) in by_token {
        for (window, limit) in LIMITS {
            let most = most_within(&times, window);
            if most > limit {
                let seconds = window / 1000;
                let what = format!("{most} requests within {seconds} s with the token {token}");
                violations.push(Violation::new("I6 budget", chronicle.end, what));
            }
        }
    }
    violations
}
