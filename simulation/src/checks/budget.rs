//! I6: what the operator asks of DigitalOcean with one API token stays within both limits.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::Violation;
use crate::chronicle::Chronicle;

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let mut by_token: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
    for exchange in &chronicle.record.exchanges {
        if exchange.user_agent.as_deref() != Some("somebody-else") {
            let token = exchange.token.as_deref().unwrap_or_default();
            by_token.entry(token).or_default().push(exchange.time);
        }
    }
    let limits = [
        (SignedDuration::from_secs(60), 250),
        (SignedDuration::from_hours(1), 5000),
    ];
    let mut violations = Vec::new();
    for (token, times) in by_token {
        for (window, limit) in limits {
            if let Some(at) = first_excess(&times, window, limit) {
                violations.push(Violation::new(
                    "I6 budget",
                    at,
                    format!("more than {limit} requests in {window:#} with the token {token}"),
                ));
            }
        }
    }
    violations
}

fn first_excess(times: &[Timestamp], window: SignedDuration, limit: usize) -> Option<Timestamp> {
    let mut recent = VecDeque::new();
    for at in times {
        recent.push_back(*at);
        while recent.front().is_some_and(|first| *first + window <= *at) {
            recent.pop_front();
        }
        if recent.len() > limit {
            return Some(*at);
        }
    }
    None
}
