//! The DigitalOcean simulator, seen by its clients.

#![allow(
    clippy::expect_used,
    reason = "a test binary: what is not as expected fails the test"
)]

mod access;
mod command;
mod control;
mod faults;
mod limits;
mod listing;
mod review;
mod socket;
mod world;
