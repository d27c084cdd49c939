//! What is counted, and what is read off the caches at scrape time.

use std::fmt;
use std::future::Future;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};
use tokio::time::Instant;

use crate::api::{ConditionStatus, ConditionType};
use crate::controller::Context;
use crate::digitalocean::{Answer, Error, Operation};
use crate::rotation::IssueReason;

/// Labels of a family: pairs of name and value.
type Labels<const N: usize> = [(&'static str, String); N];

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

#[rustfmt::skip]
mod families {
    use super::{Description, description};
    use super::Kind::{Counter, Gauge, Histogram};

    const ACCESS: &[&str] = &["namespace", "name"];
    const ACCOUNT: &[&str] = &["account"];

    pub(super) const EXPIRATION: Description = description("expiration_timestamp_seconds", Gauge, ACCESS, "When the published credential expires");
    pub(super) const RENEWAL: Description = description("renewal_timestamp_seconds", Gauge, ACCESS, "When it is renewed");
    pub(super) const VERIFIED: Description = description("verified_timestamp_seconds", Gauge, ACCESS, "When the cluster accepted it");
    pub(super) const READY: Description = description("ready", Gauge, ACCESS, "1 while every output holds an unexpired credential");
    pub(super) const MINTS: Description = description("mints", Counter, &["reason"], "Tokens that DigitalOcean minted for us, by why the credential was issued");
    pub(super) const EXPIRED_SECONDS: Description = description("expired_seconds", Counter, &[], "Seconds for which a published credential was left expired, over all accesses");
    pub(super) const RUN_DURATION: Description = description("reconcile_duration_seconds", Histogram, &[], "Duration of runs, of accesses and of API tokens");
    pub(super) const RUNS: Description = description("reconciles", Counter, &["result"], "Runs, by how they ended");
    pub(super) const REQUESTS: Description = description("digitalocean_requests", Counter, &["operation", "code"], "Calls to DigitalOcean, by operation and status code (none without an answer)");
    pub(super) const REQUEST_DURATION: Description = description("digitalocean_request_duration_seconds", Histogram, &[], "Duration of calls to DigitalOcean");
    pub(super) const RATELIMIT_REMAINING: Description = description("digitalocean_ratelimit_remaining", Gauge, ACCOUNT, "Requests that DigitalOcean allows yet, as of the last answer that said so");
    pub(super) const ACCOUNT_CLUSTERS: Description = description("account_clusters", Gauge, ACCOUNT, "Clusters that the API token sees");
    pub(super) const LEADER: Description = description("leader", Gauge, &[], "1 while this process is the one that works, else 0");
}

impl Description {
    /// Every family that the operator exports, for documentation.
    pub const ALL: [Self; 13] = [
        families::EXPIRATION,
        families::RENEWAL,
        families::VERIFIED,
        families::READY,
        families::MINTS,
        families::EXPIRED_SECONDS,
        families::RUN_DURATION,
        families::RUNS,
        families::REQUESTS,
        families::REQUEST_DURATION,
        families::RATELIMIT_REMAINING,
        families::ACCOUNT_CLUSTERS,
        families::LEADER,
    ];

    fn register(self, registry: &mut Registry, metric: impl Metric) {
        registry.register(self.name, self.help, metric);
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunResult {
    /// It came to its end.
    Done,
    /// It took too long.
    TimedOut,
    /// It panicked.
    Panicked,
}

impl RunResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::TimedOut => "timed_out",
            Self::Panicked => "panicked",
        }
    }
}

/// The counters.
pub struct Metrics {
    registry: Mutex<Registry>,
    mints: Family<Labels<1>, Counter>,
    expired_seconds: Counter,
    run_duration: Histogram,
    runs: Family<Labels<1>, Counter>,
    requests: Family<Labels<2>, Counter>,
    request_duration: Histogram,
    leader: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix(PREFIX)),
            mints: Family::default(),
            expired_seconds: Counter::default(),
            run_duration: Histogram::new(exponential_buckets(0.000_1, 4.0, 10)),
            runs: Family::default(),
            requests: Family::default(),
            request_duration: Histogram::new(exponential_buckets(0.005, 2.0, 12)),
            leader: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        families::MINTS.register(&mut registry, self.mints.clone());
        families::EXPIRED_SECONDS.register(&mut registry, self.expired_seconds.clone());
        families::RUN_DURATION.register(&mut registry, self.run_duration.clone());
        families::RUNS.register(&mut registry, self.runs.clone());
        families::REQUESTS.register(&mut registry, self.requests.clone());
        families::REQUEST_DURATION.register(&mut registry, self.request_duration.clone());
        families::LEADER.register(&mut registry, self.leader.clone());
    }

    /// Has the series of `context` read at every scrape.
    pub fn collect_from(&self, context: Arc<Context>) {
        let collector = ContextCollector {
            context,
            leader: self.leader.clone(),
        };
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(collector));
    }

    /// Everything, in the OpenMetrics text format.
    ///
    /// # Errors
    /// When a metric cannot be written.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    /// Counts a call, and how long it took.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn time_call<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<Answer<T>, Error>>,
    ) -> Result<Answer<T>, Error> {
        let began = Instant::now();
        let answer = call.await;
        self.request_duration.observe(began.elapsed().as_secs_f64());
        let code = match &answer {
            Ok(_) => "200".to_string(),
            Err(error) => error
                .status()
                .map_or("none".to_string(), |code| code.as_u16().to_string()),
        };
        let labels = [
            ("operation", operation.as_str().to_string()),
            ("code", code),
        ];
        let requests = match &answer {
            Ok(answer) => answer.meta.requests,
            Err(error) => error.meta.requests,
        };
        self.requests
            .get_or_create(&labels)
            .inc_by(u64::from(requests.max(1)));
        answer
    }

    /// Counts a token that was minted.
    pub fn count_mint(&self, reason: IssueReason) {
        self.mints
            .get_or_create(&[("reason", reason.as_str().to_string())])
            .inc();
    }

    /// Counts seconds for which a published credential was left expired.
    pub fn count_expired(&self, seconds: i64) {
        self.expired_seconds
            .inc_by(u64::try_from(seconds).unwrap_or(0));
    }

    /// Counts a run.
    pub fn count_run(&self, result: RunResult) {
        self.runs
            .get_or_create(&[("result", result.as_str().to_string())])
            .inc();
    }

    /// Notes how long a run took.
    pub fn observe_run(&self, duration: Duration) {
        self.run_duration.observe(duration.as_secs_f64());
    }

    /// Notes whether this process is the one that works.
    pub fn set_leader(&self, leads: bool) {
        self.leader.set(if leads { 1.0 } else { 0.0 });
    }
}

/// Series of single accesses and accounts. They come from the leader alone: a follower would report
/// the same credentials a second time.
struct ContextCollector {
    context: Arc<Context>,
    leader: Gauge<f64, AtomicU64>,
}

impl fmt::Debug for ContextCollector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ContextCollector")
    }
}

/// A family of gauges: labels with values.
struct Series {
    family: Description,
    values: Vec<(Vec<(&'static str, String)>, f64)>,
}

impl Series {
    fn of(family: Description) -> Self {
        let values = Vec::new();
        Self { family, values }
    }
}

impl Collector for ContextCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        if self.leader.get() < 1.0 {
            return Ok(());
        }
        for Series { family, values } in self
            .access_families()
            .into_iter()
            .chain(self.account_families())
        {
            let gauge = ConstGauge::new(0.0_f64);
            let mut metric =
                encoder.encode_descriptor(family.name, family.help, None, gauge.metric_type())?;
            for (labels, value) in values {
                ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

impl ContextCollector {
    fn access_families(&self) -> Vec<Series> {
        let mut expiration = Series::of(families::EXPIRATION);
        let mut renewal = Series::of(families::RENEWAL);
        let mut verified = Series::of(families::VERIFIED);
        let mut ready = Series::of(families::READY);
        for (key, access) in self.context.caches().accesses.iter() {
            let labels = vec![
                ("namespace", key.namespace.to_string()),
                ("name", key.name.to_string()),
            ];
            let status = access.status.clone().unwrap_or_default();
            let is_ready = ConditionType::Ready
                .of(&status.conditions)
                .is_some_and(|condition| condition.status == ConditionStatus::True.as_str());
            ready
                .values
                .push((labels.clone(), if is_ready { 1.0 } else { 0.0 }));
            let credential = status.credential.unwrap_or_default();
            for (family, time) in [
                (&mut expiration, credential.expires_at),
                (&mut renewal, credential.renew_at),
                (&mut verified, credential.verified_at),
            ] {
                if let Some(time) = time {
                    family
                        .values
                        .push((labels.clone(), seconds(time.0.as_second())));
                }
            }
        }
        vec![expiration, renewal, verified, ready]
    }

    fn account_families(&self) -> Vec<Series> {
        let mut remaining = Series::of(families::RATELIMIT_REMAINING);
        let mut clusters = Series::of(families::ACCOUNT_CLUSTERS);
        for (source, account) in self.context.tokens().accounts() {
            let labels = vec![("account", source.to_string())];
            if let Some(count) = account.remaining {
                remaining.values.push((labels.clone(), f64::from(count)));
            }
            if let Some(listed) = &account.clusters {
                let count = u32::try_from(listed.len()).unwrap_or(u32::MAX);
                clusters.values.push((labels, f64::from(count)));
            }
        }
        vec![remaining, clusters]
    }
}

/// Seconds since 1970 as Prometheus wants them; exact until long after the year 9999.
#[expect(
    clippy::cast_precision_loss,
    reason = "instants have far fewer than 53 bits"
)]
fn seconds(instant: i64) -> f64 {
    instant as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Names, types and labels in what is exported, once every counter has counted.
    fn exported() -> BTreeSet<(String, String, Vec<String>)> {
        let metrics = Metrics::default();
        metrics.count_mint(IssueReason::First);
        metrics.count_run(RunResult::Done);
        let operation = ("operation", Operation::GetCluster.as_str().to_string());
        let labels = [operation, ("code", "200".to_string())];
        metrics.requests.get_or_create(&labels).inc();
        let text = metrics.encode().unwrap();
        let types = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        types
            .map(|(name, kind)| {
                let mut samples = text.lines().filter(|line| line.starts_with(name));
                let (_, labels) = samples.next().unwrap().split_once('{').unwrap_or_default();
                let labels = labels.split(',').filter_map(|label| label.split_once('='));
                let labels = labels.map(|(label, _)| label.to_string());
                let labels = labels.filter(|label| label != "le").collect();
                (name.to_string(), kind.to_string(), labels)
            })
            .collect()
    }

    #[test]
    fn what_is_counted_is_described_with_its_type_and_its_labels() {
        let of_context = ["namespace", "name", "account"];
        let described: BTreeSet<_> = Description::ALL
            .iter()
            .filter(|family| !family.labels.iter().any(|label| of_context.contains(label)))
            .map(|family| {
                let kind = format!("{:?}", family.kind).to_lowercase();
                let labels = family.labels.iter().map(ToString::to_string).collect();
                (format!("{PREFIX}_{}", family.name), kind, labels)
            })
            .collect();
        assert_eq!(exported(), described);
    }
}
