//! x

pub mod bench;
pub mod control_plane;
pub mod demo;
pub mod simulator;
