//! What is known of a cluster beside its credential, and the labels that say it.

use std::collections::BTreeMap;

use crate::api::ClusterStatus;
use crate::digitalocean::Cluster;

const CLUSTER_ID: &str = "doclusteraccess.dev/cluster-id";
const CLUSTER_NAME: &str = "doclusteraccess.dev/cluster-name";
const REGION: &str = "doclusteraccess.dev/region";
const VERSION: &str = "doclusteraccess.dev/version";
const TAG_PREFIX: &str = "tags.doclusteraccess.dev/";

/// DigitalOcean puts this tag on every cluster: a cluster that seems to have none is one whose tags
/// the API token may not read.
const TAG_OF_EVERY_CLUSTER: &str = "k8s";

/// What is known of a cluster beside its credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Id (UUID), in lower case.
    pub cluster_id: String,
    /// Name.
    pub cluster_name: String,
    /// Region slug.
    pub region: String,
    /// Kubernetes version slug.
    pub version: String,
    /// Tags; `None` where they are not known.
    pub tags: Option<Vec<String>>,
}

impl Facts {
    /// As DigitalOcean tells them now.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        let readable = cluster.tags.iter().any(|tag| tag == TAG_OF_EVERY_CLUSTER);
        Self {
            cluster_id: cluster.id.to_ascii_lowercase(),
            cluster_name: cluster.name.clone(),
            region: cluster.region.clone(),
            version: cluster.version.clone(),
            tags: readable.then(|| cluster.tags.clone()),
        }
    }

    /// As status remembers them; `None` where it does not know the cluster.
    #[must_use]
    pub fn remembered(status: &ClusterStatus) -> Option<Self> {
        Some(Self {
            cluster_id: status.id.as_ref()?.to_ascii_lowercase(),
            cluster_name: status.name.clone()?,
            region: status.region.clone().unwrap_or_default(),
            version: status.version.clone().unwrap_or_default(),
            tags: None,
        })
    }

    /// The labels that say it. Tags that are not known stay as they are on the Secret, whose labels
    /// are `present`: a selector must not lose a cluster because a tag could not be read.
    #[must_use]
    pub fn labels(&self, present: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = match &self.tags {
            Some(tags) => tag_labels(tags),
            None => present
                .iter()
                .filter(|(key, _)| key.starts_with(TAG_PREFIX))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        };
        let named = [
            (CLUSTER_ID, &self.cluster_id),
            (CLUSTER_NAME, &self.cluster_name),
            (REGION, &self.region),
            (VERSION, &self.version),
        ];
        let valid = named
            .into_iter()
            .filter(|(_, value)| !value.is_empty() && is_label_value(value));
        labels.extend(valid.map(|(key, value)| (key.to_string(), value.clone())));
        labels
    }
}

/// The labels among `present` that say facts: what stays where none are known.
pub(super) fn present_labels(present: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let ours = [CLUSTER_ID, CLUSTER_NAME, REGION, VERSION];
    present
        .iter()
        .filter(|(key, _)| ours.contains(&key.as_str()) || key.starts_with(TAG_PREFIX))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// A tag `env:prod` becomes `env: prod`, a tag `blue` becomes `blue: "true"`. DigitalOcean's own tags
/// and those that make no valid label are left out; of two that collide, the lexically first wins.
fn tag_labels(tags: &[String]) -> BTreeMap<String, String> {
    let mut tags: Vec<_> = tags.iter().map(String::as_str).collect();
    tags.sort_unstable();
    let mut labels = BTreeMap::new();
    for tag in tags {
        let (key, value) = tag.split_once(':').unwrap_or((tag, "true"));
        if key != TAG_OF_EVERY_CLUSTER && is_label_name(key) && is_label_value(value) {
            labels
                .entry(format!("{TAG_PREFIX}{key}"))
                .or_insert_with(|| value.to_string());
        }
    }
    labels
}

fn is_label_name(name: &str) -> bool {
    !name.is_empty() && is_label_value(name)
}

/// Empty, or at most 63 letters, digits, `-`, `_` and `.` that begin and end with a letter or digit.
fn is_label_value(value: &str) -> bool {
    let ends = [value.bytes().next(), value.bytes().next_back()];
    value.len() <= 63
        && ends.iter().flatten().all(u8::is_ascii_alphanumeric)
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
