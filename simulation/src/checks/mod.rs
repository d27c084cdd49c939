//! Every invariant, checked over everything that happened in a run.
//!
//! A checker relies on what the API server and DigitalOcean recorded, and on the operator's own functions only
//! where those are the definition (when a renewal is due, what a mark looks like).

mod atomic;
mod budget;
mod convergence;
mod deletion;
mod isolation;
mod mints;
mod monotone;
mod no_expired;
mod ownership;
mod promptness;
mod quiet;
mod removal;
mod secrecy;
mod truth;
mod verification;

use std::fmt;

use jiff::Timestamp;

use crate::chronicle::Chronicle;

/// An invariant did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: &'static str,
    /// When that showed.
    pub at: Timestamp,
    /// What was seen.
    pub what: String,
}

impl Violation {
    fn new(invariant: &'static str, at: Timestamp, what: impl Into<String>) -> Self {
        Self {
            invariant,
            at,
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} at {}: {}",
            self.invariant, self.at, self.what
        )
    }
}

type Check = fn(&Chronicle<'_>) -> Vec<Violation>;

/// Name and function of each.
pub const CHECKS: &[(&str, Check)] = &[
    ("I1 no-expired", no_expired::check),
    ("I2 truth", truth::check),
    ("I3 atomic", atomic::check),
    ("I4 monotone", monotone::check),
    ("I5 mints", mints::check),
    ("I6 budget", budget::check),
    ("I9 isolation", isolation::check),
    ("I9 promptness", promptness::check),
    ("I10 quiet", quiet::check),
    ("I11 converge", convergence::check),
    ("I12 deletion", deletion::check),
    ("I13 secrecy", secrecy::check),
    ("I14 no mass removal", removal::check),
    ("verification", verification::check),
    ("ownership", ownership::check),
    ("no panic", no_panic),
];

fn no_panic(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let panics = chronicle.record.panics.iter();
    panics
        .map(|panic| Violation::new("no panic", chronicle.end, panic))
        .collect()
}

/// Everything that did not hold.
#[must_use]
pub fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    CHECKS
        .iter()
        .flat_map(|(_, check)| check(chronicle))
        .collect()
}
