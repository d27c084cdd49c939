//! What a seed stands for: a world, and all that goes wrong in it.

use std::fmt;

use do_cluster_access::controller::lease::Timing;
use do_cluster_access_testbed::simulator::{FaultKind, Operation};
use serde_json::Value;

use crate::weather::{ApiFault, CrashPlan, TargetFault, WatchFault};

/// Everything that is decided before a run begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it was drawn from.
    pub seed: u64,
    /// How long things may go wrong, in seconds.
    pub storm_seconds: i64,
    /// Replicas of the operator.
    pub replicas: usize,
    /// How they elect a leader; without an election there is one replica.
    pub election: Option<Timing>,
    /// The DigitalOcean accounts.
    pub accounts: Vec<AccountPlan>,
    /// The accesses.
    pub accesses: Vec<AccessPlan>,
    /// What goes wrong, in the order of time.
    pub steps: Vec<Step>,
    /// Seconds until an ended process is started again.
    pub restart_delays: Vec<u64>,
}

/// A DigitalOcean account, with one API token.
#[derive(Clone, Debug)]
pub struct AccountPlan {
    /// Its label, and the name of the DOAccount or of the token's Secret.
    pub label: String,
    /// Whether a DOAccount stands for it; otherwise each namespace has the token in a Secret.
    pub shared: bool,
    /// Its clusters.
    pub clusters: Vec<ClusterPlan>,
}

/// A cluster.
#[derive(Clone, Debug)]
pub struct ClusterPlan {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// An access.
#[derive(Clone, Debug)]
pub struct AccessPlan {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When it is created, in seconds from the beginning.
    pub created_at: i64,
    /// What it asks for.
    pub spec: Value,
    /// The lifetime in it, in seconds.
    pub lifetime: i64,
    /// Index of its account.
    pub account: usize,
    /// Index of its cluster in that account.
    pub cluster: usize,
}

impl AccessPlan {
    /// `namespace/name`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub struct Step {
    /// When, in seconds from the beginning.
    pub at: i64,
    /// What.
    pub what: What,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub enum What {
    /// A disturbance begins.
    Begin(u64, Disturbance),
    /// A disturbance ends.
    Finish(u64),
    /// Somebody does something.
    Do(Deed),
    /// A process dies at a point of a request to come.
    CrashAt(CrashPlan),
    /// A process dies now.
    Kill(usize),
    /// A process is told to stop, and started again.
    Restart(usize),
    /// A replica's clock steps to so many seconds ahead.
    Skew(usize, i64),
    /// The machine is suspended for so many seconds.
    Jump(i64),
}

/// Something that is wrong for a while. Indices are those of the plan.
#[derive(Clone, Debug)]
pub enum Disturbance {
    /// The API server, for so many percent of the requests.
    Api(ApiFault, u8),
    /// The API server, for the next so many requests.
    NextApi(ApiFault, u32),
    /// The watches, for so many percent of the events.
    Watches(WatchFault, u8),
    /// DigitalOcean: a fault of its own, for so many percent of the requests of an account.
    DigitalOcean {
        /// The account; all without one.
        account: Option<usize>,
        /// The call; all without one.
        operation: Option<Operation>,
        /// What is wrong.
        fault: FaultKind,
        /// How often.
        percent: u8,
    },
    /// DigitalOcean: a fault of its own, for the next so many requests.
    NextDigitalOcean {
        /// The call; all without one.
        operation: Option<Operation>,
        /// What is wrong.
        fault: FaultKind,
        /// How often.
        times: u32,
    },
    /// No connection to DigitalOcean.
    NoConnection(u8),
    /// A cluster (account, cluster), or all.
    Target(Option<(usize, usize)>, TargetFault),
    /// An access is suspended.
    Suspended(usize),
    /// The Secret with the token is gone.
    NoTokenSecret(usize),
    /// The Secret holds something else.
    TokenGarbled(usize),
    /// DigitalOcean no longer takes the token.
    TokenRevoked(usize),
    /// The token may only read.
    TokenReadOnly(usize),
    /// The DOAccount allows nothing.
    NotAllowed(usize),
    /// A cluster is in another state.
    ClusterState(usize, usize, &'static str),
    /// Somebody else's Secret stands in place of an output.
    Occupied(usize),
    /// Another process leads, too, without asking for the lease.
    Overlap,
    /// Somebody else uses the token: so many requests at the beginning.
    OtherUser(usize, u32),
}

/// Something that somebody does once.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Asks for another credential.
    Rotate(usize, u64),
    /// Changes the lifetime, in seconds.
    Lifetime(usize, i64),
    /// Changes the margin, in seconds.
    Margin(usize, i64),
    /// Sets a label on the first output.
    Label(usize, u64),
    /// Takes the other source of kubeconfigs.
    Source(usize),
    /// Changes the policy.
    Verification(usize, &'static str),
    /// Adds an output of this format.
    AddOutput(usize, &'static str),
    /// Removes the last output, where there is more than one.
    RemoveOutput(usize),
    /// Gives the first output another name.
    RenameOutput(usize, u64),
    /// Names another cluster of the account.
    OtherCluster(usize, usize),
    /// Deletes the access, and makes it again after so many seconds.
    Recreate(usize, i64),
    /// Deletes the Secret of the first output.
    DeleteSecret(usize),
    /// Writes something else into the Secret of the first output.
    EditSecret(usize, Edit),
    /// A new API token takes the place of the old one, which is revoked.
    ReplaceToken(usize),
    /// The cluster no longer knows what it knew.
    RevokeMinted(usize, usize),
    /// The cluster has another name from now on.
    RenameCluster(usize, usize, u64),
    /// Watches break off.
    CutWatches,
    /// Old versions are forgotten, and watches break off.
    Compact,
}

/// What somebody does to a Secret of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Another token.
    Data,
    /// One key less.
    Key,
    /// Another mark.
    Mark,
    /// Without the label that we watch by.
    Label,
    /// An annotation of their own.
    Annotation,
    /// No owner.
    Owner,
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "seed {}: {} s of storm, {} replica(s), election {:?}",
            self.seed, self.storm_seconds, self.replicas, self.election
        )?;
        for account in &self.accounts {
            writeln!(formatter, "  {account:?}")?;
        }
        for access in &self.accesses {
            writeln!(
                formatter,
                "  {} from {} s: {}",
                access.key(),
                access.created_at,
                access.spec
            )?;
        }
        for step in &self.steps {
            writeln!(formatter, "  {:>8} s  {:?}", step.at, step.what)?;
        }
        Ok(())
    }
}
