//! The families of series that the operator exports: what each tells, by which labels.

use prometheus_client::registry::{Metric, Registry};

/// Before the name of every family.
pub const PREFIX: &str = "do_cluster_access";

/// Type of a family of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows; its series end in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Its series end in `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// A family of series: what it tells, by which labels.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Its name, without [`PREFIX`] and without the ending that its type adds.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

const fn description(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Description {
    Description {
        name,
        kind,
        labels,
        help,
    }
}

const ACCESS: &[&str] = &["namespace", "name"];
const ACCESS_AND_REASON: &[&str] = &["namespace", "name", "reason"];
const ACCOUNT: &[&str] = &["account"];
const ACCOUNT_AND_REASON: &[&str] = &["account", "reason"];

use Kind::{Counter, Gauge, Histogram};

#[rustfmt::skip]
impl Description {
    pub(super) const EXPIRATION: Self = description("expiration_timestamp_seconds", Gauge, ACCESS, "When the published credential expires");
    pub(super) const RENEWAL: Self = description("renewal_timestamp_seconds", Gauge, ACCESS, "When it is renewed; in the past while that fails");
    pub(super) const VERIFIED_AT: Self = description("verified_timestamp_seconds", Gauge, ACCESS, "When the cluster accepted it");
    pub(super) const READY: Self = description("ready", Gauge, ACCESS, "1 while every output holds an unexpired credential, else 0: the condition Ready");
    pub(super) const SYNCED: Self = description("synced", Gauge, ACCESS_AND_REASON, "1 while nothing is left to do until renewal, else 0: the condition Synced, with its reason");
    pub(super) const VERIFIED: Self = description("verified", Gauge, ACCESS_AND_REASON, "1 while the cluster accepts the published credential, else 0: the condition Verified, with its reason");
    pub(super) const MINTS: Self = description("mints", Counter, &["reason"], "Tokens that DigitalOcean minted for us, by why the credential was issued");
    pub(super) const EXPIRED_SECONDS: Self = description("expired_seconds", Counter, &[], "Seconds for which a published credential was left expired, over all accesses");
    pub(super) const RUN_DURATION: Self = description("reconcile_duration_seconds", Histogram, &[], "Duration of runs, of accesses and of API tokens");
    pub(super) const RUNS: Self = description("reconciles", Counter, &["result"], "Runs, by how they ended: done, timed_out or panicked");
    pub(super) const REQUESTS: Self = description("digitalocean_requests", Counter, &["operation", "code"], "Calls to DigitalOcean, by operation and status code (none without an answer)");
    pub(super) const REQUEST_DURATION: Self = description("digitalocean_request_duration_seconds", Histogram, &[], "Duration of calls to DigitalOcean");
    pub(super) const RATELIMIT_REMAINING: Self = description("digitalocean_ratelimit_remaining", Gauge, ACCOUNT, "Requests that DigitalOcean allows yet, as of the last answer that said so");
    pub(super) const RATELIMIT_LIMIT: Self = description("digitalocean_ratelimit_limit", Gauge, ACCOUNT, "Requests per hour that the operator was told DigitalOcean allows; it leaves a tenth of them to others");
    pub(super) const ACCOUNT_USABLE: Self = description("account_usable", Gauge, ACCOUNT_AND_REASON, "1 while DigitalOcean serves the API token, else 0, with the reason: that of the accesses that use it, or Usable");
    pub(super) const ACCOUNT_CLUSTERS: Self = description("account_clusters", Gauge, ACCOUNT, "Clusters that the API token sees");
    pub(super) const LEADER: Self = description("leader", Gauge, &[], "1 while this process is the one that works, else 0");
    pub(super) const BUILD_INFO: Self = description("build_info", Gauge, &["version"], "Always 1, with the version of this process");

    /// Every family that the operator exports, for documentation.
    pub const ALL: [Self; 18] = [
        Self::EXPIRATION,
        Self::RENEWAL,
        Self::VERIFIED_AT,
        Self::READY,
        Self::SYNCED,
        Self::VERIFIED,
        Self::MINTS,
        Self::EXPIRED_SECONDS,
        Self::RUN_DURATION,
        Self::RUNS,
        Self::REQUESTS,
        Self::REQUEST_DURATION,
        Self::RATELIMIT_REMAINING,
        Self::RATELIMIT_LIMIT,
        Self::ACCOUNT_USABLE,
        Self::ACCOUNT_CLUSTERS,
        Self::LEADER,
        Self::BUILD_INFO,
    ];
}

impl Description {
    pub(super) fn register(self, registry: &mut Registry, metric: impl Metric) {
        registry.register(self.name, self.help, metric);
    }
}
