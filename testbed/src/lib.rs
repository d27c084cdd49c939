//! x

pub mod control_plane;
pub mod simulator;
