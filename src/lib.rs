//! An operator that keeps credentials of DigitalOcean Kubernetes clusters fresh in Secrets.
//!
//! # The job
//!
//! A `DOClusterAccess` names a cluster. The operator calls DigitalOcean's get_kubeconfig and
//! get_credentials for it, writes the result into Secrets, comes back before it expires, and tells
//! the truth in status conditions all along. Each of those calls mints a token that cannot be
//! revoked, so "when to call" is the heart of the matter.
//!
//! # The picture
//!
//! ```text
//!            watches                        ┌──────────────── one run ────────────────┐
//!  API ───▶ accesses  ─▶ caches ─▶ queue ─▶ │ observe ▶ decide ▶ issue ▶ verify ▶      │
//!  server   Secrets'     (read     (earliest│ publish ▶ report, and when to come back  │
//!           metadata      our own  deadline └───┬──────────┬──────────┬──────────┬────┘
//!                         writes)  first)      pure    DigitalOcean  the cluster  API server
//!                                                        door 1       door 2       door 3
//! ```
//!
//! * **Pure**, without `async`, client or clock: the resource ([`api`]), the decisions
//!   ([`rotation`]), which cluster a reference leads to ([`lookup`]), what an account allows
//!   ([`permission`]), credentials ([`credential`], [`kubeconfig`]), Secrets from credentials and back
//!   ([`outputs`]), status from outcomes ([`status`]).
//! * **Three doors** to the outside, each a `tower` service that is handed in: [`digitalocean`], the
//!   clusters ([`target`]), and the management cluster's API server (`kube::Client`). So is the
//!   [`clock`]; `clippy.toml` bans every other. The whole operator therefore runs unchanged against
//!   stand-ins, in virtual time.
//! * **The loop** ([`controller`]) is what connects them. It alone knows `async`.
//! * **The process** around it: [`args`], [`process`], [`admin`], [`metrics`], [`telemetry`],
//!   [`redaction`].
//!
//! # The rules that everything follows
//!
//! * State stands on the Secret that it describes, as annotations written together with the data
//!   ([`outputs::Marks`]); status is a copy. A restart reads it back and mints nothing.
//! * [`rotation::decide`] is asked twice: with what the caches tell, which costs nothing, and, only
//!   where that looks as if something were due or changed, with what the API server itself tells. A
//!   stale cache can so cost a read, never a token.
//! * Backoff is part of the decision, not of the queue: whatever wakes an access, it does not act
//!   before its time.
//! * What is wrong with an API token is found out once a token: a run of its own reads its Secret and
//!   lists its clusters. Accesses never wait inside a run; they are woken.
//! * A credential that is issued and cannot be written yet is held in memory and used when it can.
//! * The published credential stays until a better one is verified.

#![cfg_attr(
    test,
    allow(
        clippy::cast_precision_loss,
        clippy::format_collect,
        reason = "in tests plain beats exact and fast"
    )
)]

pub mod admin;
pub mod api;
pub mod args;
pub mod clock;
pub mod controller;
pub mod credential;
pub mod digitalocean;
mod hexadecimal;
#[cfg(test)]
mod hostile;
pub mod kubeconfig;
pub mod lookup;
pub mod metrics;
pub mod outputs;
pub mod permission;
pub mod process;
pub mod redaction;
pub mod rotation;
pub mod signal;
pub mod status;
pub mod target;
pub mod telemetry;
