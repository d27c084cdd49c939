//! The operator, end to end: on a real Kubernetes API server, against the DigitalOcean simulator, for
//! clusters that really accept and refuse what was minted.
//!
//! Most of a test's time is waiting, so run many at once: `cargo test` takes the number of threads from
//! `RUST_TEST_THREADS`, which `.cargo/config.toml` sets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "functions beside the tests are test code, too"
)]
#![allow(
    clippy::format_collect,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "tables of cases are long, and plain beats fast"
)]

#[macro_use]
mod harness;

mod accounts;
mod always_valid;
mod bad_input;
mod cel;
mod clusters;
mod conformance;
mod consumers;
mod cost;
mod crash_plans;
mod documentation;
mod foreign_edits;
mod formats;
mod image;
mod install;
mod issue;
mod leadership;
mod live;
mod many_outputs;
mod outage;
mod ownership;
mod process;
mod prometheus;
mod rbac;
mod repair;
mod secrecy;
mod sharing;
mod tenancy;
mod triggers;
mod upgrade;
mod verification;
mod writes;
