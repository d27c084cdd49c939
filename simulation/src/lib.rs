//! The whole operator in virtual time.
//!
//! A [seed](draw::draw) is a [plan]: accesses, DigitalOcean accounts and clusters, how many replicas of the
//! operator there are, and all that goes wrong, when. A [run] carries it out: the operator as it ships, on one
//! thread and under a clock that stands still while there is work, against the testbed's API server model and
//! DigitalOcean simulator behind [doors](mod@doors) at which there is [weather]. The [journal] notes what neither
//! of those records. What happened is then [checked](checks) against every invariant of the operator.
//!
//! The same seed gives the same run on every machine.

#![allow(
    clippy::missing_panics_doc,
    reason = "nothing here panics but for a defect of the simulation itself"
)]

pub mod checks;
pub mod chronicle;
pub mod deeds;
pub mod doors;
pub mod draw;
pub mod idle;
pub mod journal;
pub mod log;
pub mod outage;
pub mod panics;
pub mod plan;
pub mod replica;
pub mod run;
pub mod rush;
pub mod stage;
pub mod tally;
#[cfg(test)]
mod tests;
pub mod time;
pub mod weather;
pub mod world;
