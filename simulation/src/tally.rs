//! Figures of many runs.

use std::collections::BTreeMap;
use std::fmt;

use crate::journal::{End, Event};
use crate::run::Record;

const YEAR: i64 = 31_557_600;

/// What many runs came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Seconds of simulated time.
    pub seconds: i64,
    /// Credentials that were issued.
    pub issues: usize,
    /// The fewest that a run saw, first issues left out.
    pub fewest_renewals: Option<usize>,
    /// Writes that the API server took.
    pub writes: usize,
    /// Requests that DigitalOcean got.
    pub exchanges: usize,
    /// Processes that were killed.
    pub crashes: usize,
    /// Runs whose log was read at the level `trace`.
    pub listened: u64,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Violations, by invariant.
    pub violations: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Adds a run.
    pub fn add(&mut self, record: &Record, listened: bool) {
        self.runs += 1;
        self.seconds += record.seconds;
        self.issues += record.issues();
        let renewals = record.issues().saturating_sub(record.plan.accesses.len());
        self.fewest_renewals = Some(
            self.fewest_renewals
                .map_or(renewals, |fewest| fewest.min(renewals)),
        );
        self.writes += record.writes.len();
        self.exchanges += record.exchanges.len();
        self.listened += u64::from(listened);
        for entry in &record.journal {
            match &entry.event {
                Event::Ended {
                    how: End::Crash, ..
                } => self.crashes += 1,
                Event::Deed { what, .. } => self.count(&format!("deed: {}", first_word(what)), 1),
                Event::Begin { what, .. }
                    if !what.starts_with("Api") && !what.starts_with("Watches") =>
                {
                    self.count(&format!("trouble: {}", first_word(what)), 1);
                }
                _ => {}
            }
        }
        for (fault, times) in &record.faults {
            self.count(fault, *times);
        }
        let struck = record
            .exchanges
            .iter()
            .filter(|exchange| !exchange.faults.is_empty());
        self.count("DigitalOcean: an answer of its own", struck.count() as u64);
    }

    fn count(&mut self, fault: &str, times: u64) {
        if times > 0 {
            *self.faults.entry(fault.to_owned()).or_default() += times;
        }
    }

    /// Adds the figures of another thread.
    pub fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.seconds += other.seconds;
        self.issues += other.issues;
        self.fewest_renewals = [self.fewest_renewals, other.fewest_renewals]
            .into_iter()
            .flatten()
            .min();
        self.writes += other.writes;
        self.exchanges += other.exchanges;
        self.crashes += other.crashes;
        self.listened += other.listened;
        for (fault, times) in &other.faults {
            self.count(fault, *times);
        }
        for (invariant, times) in &other.violations {
            *self.violations.entry(invariant).or_default() += times;
        }
    }

    /// Faults that struck.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults.values().sum()
    }
}

fn first_word(what: &str) -> &str {
    let end = what.find(|letter: char| !letter.is_ascii_alphanumeric());
    &what[..end.unwrap_or(what.len())]
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.seconds * 10 / YEAR;
        writeln!(
            formatter,
            "{} runs, {}.{} simulated years, {} issues (at least {} renewals a run), {} writes to the API server, \
             {} requests to DigitalOcean, {} processes killed, {} faults and deeds, {} logs read at trace level",
            self.runs,
            tenths / 10,
            tenths % 10,
            self.issues,
            self.fewest_renewals.unwrap_or_default(),
            self.writes,
            self.exchanges,
            self.crashes,
            self.faults(),
            self.listened,
        )?;
        for (fault, times) in &self.faults {
            writeln!(formatter, "  {times:>9}  {fault}")?;
        }
        match self.violations.values().sum::<u64>() {
            0 => writeln!(formatter, "0 violations"),
            all => writeln!(formatter, "{all} violations: {:?}", self.violations),
        }
    }
}
