//! Series that are read off the caches at scrape time: those of single accesses and accounts. They come
//! from the leader alone: a follower would report the same credentials a second time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};

use super::families::Description;
use crate::api::{ConditionStatus, ConditionType, DOClusterAccessStatus, Reason};
use crate::controller::{Context, ObjectKey};

/// Reads the series of a context.
pub(super) struct ContextCollector {
    pub(super) context: Arc<Context>,
    pub(super) leader: Gauge<f64, AtomicU64>,
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

    /// Adds a series; `labels` are the values of the family's labels, in their order.
    fn push(&mut self, labels: &[&str], value: f64) {
        let labels = labels.iter().map(ToString::to_string);
        let labels = self.family.labels.iter().copied().zip(labels);
        self.values.push((labels.collect(), value));
    }
}

impl Collector for ContextCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        if self.leader.get() < 1.0 {
            return Ok(());
        }
        let families = self.access_families().into_iter();
        for Series { family, values } in families.chain(self.account_families()) {
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
    fn access_families(&self) -> [Series; 6] {
        let mut families = [
            Description::EXPIRATION,
            Description::RENEWAL,
            Description::VERIFIED_AT,
            Description::READY,
            Description::SYNCED,
            Description::VERIFIED,
        ]
        .map(Series::of);
        for (key, access) in self.context.caches().accesses.iter() {
            add(&mut families, key, access.status().as_ref());
        }
        families
    }

    fn account_families(&self) -> [Series; 4] {
        let mut usable = Series::of(Description::ACCOUNT_USABLE);
        let mut remaining = Series::of(Description::RATELIMIT_REMAINING);
        let mut limit = Series::of(Description::RATELIMIT_LIMIT);
        let mut clusters = Series::of(Description::ACCOUNT_CLUSTERS);
        let tokens = self.context.tokens();
        for source in tokens.sources() {
            let name = source.to_string();
            if let Some(reason) = tokens.verdict(source) {
                let labels = [name.as_str(), reason.as_str()];
                usable.push(&labels, truth(reason == Reason::Usable));
            }
            let Some(account) = tokens.account(source) else {
                continue;
            };
            limit.push(&[&name], tokens.limits().per_hour.into());
            if let Some(count) = account.remaining {
                remaining.push(&[&name], count.into());
            }
            if let Some(listed) = &account.clusters {
                let count = u32::try_from(listed.len()).unwrap_or(u32::MAX);
                clusters.push(&[&name], count.into());
            }
        }
        [usable, remaining, limit, clusters]
    }
}

/// Adds the series of one access.
fn add(families: &mut [Series; 6], key: &ObjectKey, status: Option<&DOClusterAccessStatus>) {
    let [expiration, renewal, verified_at, ready, synced, verified] = families;
    let labels = [&*key.namespace, &*key.name];
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    let is_ready = ConditionType::Ready.of(conditions).is_some_and(holds);
    ready.push(&labels, truth(is_ready));
    for (family, kind) in [
        (synced, ConditionType::Synced),
        (verified, ConditionType::Verified),
    ] {
        if let Some(condition) = kind.of(conditions) {
            let [namespace, name] = labels;
            let labels = [namespace, name, condition.reason.as_str()];
            family.push(&labels, truth(holds(condition)));
        }
    }
    let Some(credential) = status.and_then(|status| status.credential.as_ref()) else {
        return;
    };
    for (family, time) in [
        (expiration, &credential.expires_at),
        (renewal, &credential.renew_at),
        (verified_at, &credential.verified_at),
    ] {
        if let Some(time) = time {
            family.push(&labels, seconds(time));
        }
    }
}

fn holds(condition: &Condition) -> bool {
    condition.status == ConditionStatus::True.as_str()
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// Seconds since 1970 as Prometheus wants them; exact until long after the year 9999.
#[expect(
    clippy::cast_precision_loss,
    reason = "instants have far fewer than 53 bits"
)]
fn seconds(time: &Time) -> f64 {
    time.0.as_second() as f64
}
