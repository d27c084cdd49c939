//! What can be measured.

use std::fmt;

use clap::ValueEnum;

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(super) enum Workload {
    /// First issue of many accesses
    W1,
    /// Restart with all of them Ready
    W3,
    /// Nothing to do
    W4,
    /// Many rotations due in one second, no rate limit
    W5,
    /// From apply to Secret: idle, and, with W5, while the rotations go on
    W7,
    /// 20,000 foreign Secrets of 10 KB
    W9,
}

impl fmt::Display for Workload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}
