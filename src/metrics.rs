//! What is counted, and what is read off the caches at scrape time.

mod collector;
mod exposition;
mod families;

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

pub use exposition::Format;
pub use families::{Description, Kind, PREFIX};

use collector::ContextCollector;

use crate::controller::Context;
use crate::digitalocean::{Answer, Error, Operation};
use crate::rotation::IssueReason;

/// Labels of a family: pairs of name and value.
type Labels<const N: usize> = [(&'static str, String); N];

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
    /// Every one.
    const ALL: [Self; 3] = [Self::Done, Self::TimedOut, Self::Panicked];

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
    build_info: Family<Labels<1>, Gauge>,
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
            build_info: Family::default(),
        };
        metrics.register();
        metrics.begin();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        Description::MINTS.register(&mut registry, self.mints.clone());
        Description::EXPIRED_SECONDS.register(&mut registry, self.expired_seconds.clone());
        Description::RUN_DURATION.register(&mut registry, self.run_duration.clone());
        Description::RUNS.register(&mut registry, self.runs.clone());
        Description::REQUESTS.register(&mut registry, self.requests.clone());
        Description::REQUEST_DURATION.register(&mut registry, self.request_duration.clone());
        Description::LEADER.register(&mut registry, self.leader.clone());
        Description::BUILD_INFO.register(&mut registry, self.build_info.clone());
    }

    /// Has the counters of few values begin at 0: Prometheus cannot tell the first of a series from one that it had
    /// not seen before.
    fn begin(&self) {
        for reason in IssueReason::ALL {
            drop(self.mints_for(reason));
        }
        for result in RunResult::ALL {
            drop(self.runs_that(result));
        }
        let version = env!("CARGO_PKG_VERSION").to_string();
        self.build_info
            .get_or_create(&[("version", version)])
            .set(1);
    }

    fn mints_for(&self, reason: IssueReason) -> impl Deref<Target = Counter> {
        let labels = [("reason", reason.as_str().to_string())];
        self.mints.get_or_create(&labels)
    }

    fn runs_that(&self, result: RunResult) -> impl Deref<Target = Counter> {
        let labels = [("result", result.as_str().to_string())];
        self.runs.get_or_create(&labels)
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

    /// Everything, in `format`.
    ///
    /// # Errors
    /// When a metric cannot be written.
    pub fn encode(&self, format: Format) -> Result<String, fmt::Error> {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry)?;
        Ok(match format {
            Format::OpenMetrics => text,
            Format::Prometheus => exposition::prometheus(&text),
        })
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
        self.mints_for(reason).inc();
    }

    /// Counts seconds for which a published credential was left expired.
    pub fn count_expired(&self, seconds: i64) {
        self.expired_seconds
            .inc_by(u64::try_from(seconds).unwrap_or(0));
    }

    /// Counts a run.
    pub fn count_run(&self, result: RunResult) {
        self.runs_that(result).inc();
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
        let text = metrics.encode(Format::OpenMetrics).unwrap();
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
