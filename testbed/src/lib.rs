//! What the operator is tested, measured and shown with: DigitalOcean, a Kubernetes control plane and a model
//! of its API server, and the programs around them. Never part of the operator.

pub mod api_server;
pub mod bench;
pub mod control_plane;
pub mod demo;
pub mod fault_proxy;
pub mod simulator;
