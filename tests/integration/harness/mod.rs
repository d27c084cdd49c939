//! What every test stands on.
//!
//! All tests of this process share one [`World`]: a real control plane and one DigitalOcean simulator,
//! which also is the control plane's token webhook, so that minted tokens authenticate, and expire, for
//! real. It starts with the first test and ends with the process.
//!
//! Each test sets a [`Stage`] of its own in it: a namespace, a DigitalOcean account with an API token in a
//! Secret, and a ServiceAccount with the rights that the chart grants. On the stage it puts clusters and
//! [`Access`]es, and an operator: within this process ([`Operator`], with a clock that can be set forward) or
//! as the real program ([`OperatorProcess`]).
//!
//! ```ignore
//! #[tokio::test]
//! async fn an_access_by_name_becomes_ready() {
//!     let stage = stage!();
//!     let _operator = Operator::start(&stage).await;
//!     stage.add_cluster(stage.cluster("prod"));
//!     let access = stage.create_access("prod", json!({"cluster": {"name": "prod"}})).await;
//!     access.ready().await;
//!     assert_eq!(stage.mints().len(), 2);
//! }
//! ```
//!
//! Nothing here sleeps for a condition: conditions are awaited, and one that does not come true within
//! [`PATIENCE`] fails the test with what was there instead.

mod access;
mod accounts;
mod admission;
mod chart;
mod feed;
mod operator;
mod poller;
mod process;
mod release;
mod stage;
mod tags;
mod target;
mod tools;
mod waiting;
mod world;

pub(crate) use access::{Access, annotation, assert_condition, condition, has_condition, text};
pub(crate) use accounts::{Account, Host, Tenant, message};
pub(crate) use admission::Refusal;
pub(crate) use chart::{Rights, container, render_chart};
pub(crate) use feed::{Feed, SIX, keys, labels, same, six, uids};
pub(crate) use operator::Operator;
pub(crate) use poller::Poller;
pub(crate) use process::{OperatorProcess, Route, program};
pub(crate) use release::Release;
pub(crate) use stage::{Stage, TOKEN_SECRET, summary};
pub(crate) use tags::Tags;
pub(crate) use target::{ask_who_i_am, target, token_in, whoami, whoami_by_token};
pub(crate) use tools::tool;
pub(crate) use waiting::{PATIENCE, eventually, eventually_some};
pub(crate) use world::{World, repository, unavailable};

/// A [`Stage`] in the world that tests share. Where the programs that it takes were not built, the test ends here.
macro_rules! stage {
    () => {
        match $crate::harness::Stage::new().await {
            Some(stage) => stage,
            None => return,
        }
    };
}

/// A [`Tenant`] of the operator that tests share. Where the programs that it takes were not built, the test ends here.
macro_rules! tenant {
    () => {
        match $crate::harness::Tenant::new().await {
            Some(tenant) => tenant,
            None => return,
        }
    };
}
