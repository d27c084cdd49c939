//! An operator that keeps credentials of DigitalOcean Kubernetes clusters fresh in Secrets.

pub mod admin;
pub mod api;
pub mod args;
pub mod clock;
pub mod controller;
pub mod credential;
pub mod digitalocean;
mod hexadecimal;
pub mod kubeconfig;
pub mod lookup;
pub mod metrics;
pub mod outputs;
pub mod process;
pub mod redaction;
pub mod rotation;
pub mod status;
pub mod target;
pub mod telemetry;
