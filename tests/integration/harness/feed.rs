//! An access that feeds Secrets in several formats, and what becomes of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use do_cluster_access_testbed::control_plane::audit::{Position, Request};
use do_cluster_access_testbed::simulator::{Cluster, Mint};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::access::Access;
use super::operator::Operator;
use super::stage::Stage;

/// The names of the Secrets of [`six`], in order.
pub(crate) const SIX: [&str; 6] = [
    "argo",
    "capi-kubeconfig",
    "custom",
    "flux",
    "karmada",
    "people",
];

/// Longer than the longest wait between two attempts.
const RETRY: Duration = Duration::from_secs(800);

/// An output of each format. The Custom one holds all that a token cluster has.
pub(crate) fn six() -> Value {
    let fields = [
        "CertificateAuthority",
        "CertificateAuthorityBase64",
        "ClusterId",
        "ClusterName",
        "ExpiresAt",
        "Kubeconfig",
        "Region",
        "Server",
        "Token",
        "Version",
    ];
    let keys: Vec<_> = fields
        .iter()
        .map(|field| json!({"key": format!("my.{field}"), "field": field}))
        .collect();
    json!([
        {"secretName": "argo", "format": "ArgoCD"},
        {"secretName": "capi-kubeconfig", "format": "ClusterAPI"},
        {"secretName": "custom", "format": "Custom", "keys": keys},
        {"secretName": "flux", "format": "Flux"},
        {"secretName": "karmada", "format": "Karmada"},
        {"secretName": "people", "format": "Kubeconfig"},
    ])
}

/// An operator, and an access to a cluster whose credential feeds the outputs.
pub(crate) struct Feed {
    /// Where it plays.
    pub(crate) stage: Stage,
    /// The access.
    pub(crate) access: Access,
    /// Id of its cluster.
    pub(crate) cluster: String,
    operator: Option<Operator>,
    /// How far the operator's clock is ahead.
    ahead_seconds: AtomicI64,
    fences: AtomicU32,
}

impl Feed {
    /// One whose credential is published.
    pub(crate) async fn set(stage: Stage, outputs: Value) -> Self {
        let spec = json!({"deletionPolicy": "Delete", "outputs": outputs});
        let cluster = stage.cluster("prod");
        let feed = Self::with(stage, cluster, spec).await;
        feed.access.ready().await;
        feed
    }

    /// One for that cluster. `spec` is completed by a reference to it.
    pub(crate) async fn with(stage: Stage, cluster: Cluster, mut spec: Value) -> Self {
        let operator = Operator::start(&stage).await;
        spec["cluster"] = json!({"name": cluster.name});
        let cluster = stage.add_cluster(cluster);
        stage.add_cluster(stage.cluster("fence"));
        let access = stage.create_access("prod", spec).await;
        Self {
            stage,
            access,
            cluster,
            operator: Some(operator),
            ahead_seconds: AtomicI64::new(0),
            fences: AtomicU32::new(0),
        }
    }

    /// Every credential minted for the cluster.
    pub(crate) fn mints(&self) -> Vec<Mint> {
        let mut mints = self.stage.mints();
        mints.retain(|mint| mint.cluster == self.cluster);
        mints
    }

    /// A Secret, as it is now.
    pub(crate) async fn secret(&self, name: &str) -> Secret {
        self.stage.secrets().get(name).await.unwrap()
    }

    /// The Secrets of those names, as they are now.
    pub(crate) async fn secrets(&self, names: &[&str]) -> BTreeMap<String, Secret> {
        let mut secrets = BTreeMap::new();
        for name in names {
            secrets.insert((*name).to_owned(), self.secret(name).await);
        }
        secrets
    }

    /// Changes the outputs.
    pub(crate) async fn put_outputs(&self, outputs: Value) {
        self.access.patch_spec(json!({ "outputs": outputs })).await;
    }

    /// Forces an issue that is not of the same second as the one before.
    pub(crate) async fn rotate(&self, value: &str) {
        self.advance(Duration::from_secs(60)).await;
        self.access.rotate(value).await;
    }

    /// The same, and waits until every output holds it.
    pub(crate) async fn rotated(&self, value: &str) {
        self.rotate(value).await;
        let acted_on = |access: &do_cluster_access::api::DOClusterAccess| {
            let status = access.status.as_ref().unwrap();
            status.last_rotate_request.as_deref() == Some(value)
        };
        self.access
            .until("the request was acted on", acted_on)
            .await;
        self.access.ready().await;
    }

    // ---- the operator ------------------------------------------------------------------------------------

    /// The operator crashes: whatever it does is cut short.
    pub(crate) fn stop(&mut self) {
        self.operator = None;
    }

    /// Another one starts in its place, with the same clock.
    pub(crate) async fn start(&mut self) {
        self.stop();
        let ahead_seconds = *self.ahead_seconds.get_mut();
        self.operator = Some(Operator::start_with_clock(&self.stage, ahead_seconds).await);
    }

    fn advance_clock(&self, time: Duration) {
        self.operator.as_ref().unwrap().advance(time);
        let seconds = time.as_secs().cast_signed();
        self.ahead_seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Sets the operator's clock forward, and makes it look at the access.
    pub(crate) async fn advance(&self, time: Duration) {
        self.advance_clock(time);
        let number = self.fences.fetch_add(1, Ordering::Relaxed);
        self.access.touch(&format!("advanced-{number}")).await;
    }

    /// Sets the operator's clock forward to the next attempt, and makes it look at the access while there is one.
    pub(crate) async fn advance_if_it_is_there(&self, value: &str) {
        self.advance_clock(RETRY);
        let patch = json!({"metadata": {"labels": {"example.com/touched": value}}});
        let parameters = PatchParams::default();
        let patch = Patch::Merge(patch);
        let touched = self.access.api.patch("prod", &parameters, &patch);
        if let Err(error) = touched.await {
            assert!(
                matches!(&error, kube::Error::Api(status) if status.code == 404),
                "{error}"
            );
        }
    }

    /// Sets the operator's clock forward to the next attempt.
    pub(crate) async fn retry(&self) {
        self.advance(RETRY).await;
    }

    /// Sets the operator's clock forward to the next look at DigitalOcean's list, and waits for it.
    pub(crate) async fn list_is_refreshed(&self) {
        self.advance(Duration::from_secs(1801)).await;
        // Who comes new to an API token has it looked after.
        let newcomer = self.create_fence().await;
        newcomer.ready().await;
    }

    /// Returns when the operator has seen, and most likely acted on, all that was done before.
    pub(crate) async fn all_is_seen(&self) {
        let fence = self.create_fence().await;
        fence.ready().await;
        // Told by the same watch as what happened to other Secrets before.
        let label = "doclusteraccess.dev/access";
        let gone = json!({"metadata": {"labels": {label: null}}});
        self.stage.patch_secret(&fence.secret_name(), gone).await;
        fence
            .secret_until("the fence is repaired", |secret| {
                labels(secret).contains_key(label)
            })
            .await;
        fence.ready().await;
    }

    async fn create_fence(&self) -> Access {
        let number = self.fences.fetch_add(1, Ordering::Relaxed);
        let name = format!("fence-{number}");
        let spec = json!({"cluster": {"name": "fence"}, "kubeconfigSource": "Rendered"});
        self.stage.create_access(&name, spec).await
    }

    /// What the operator has written to Secrets since `position`, those of [fences](Self::all_is_seen) left out.
    pub(crate) async fn writes(&self, position: Position) -> Vec<Request> {
        let mut requests = self.stage.operator_requests(position).await;
        requests.retain(|request| {
            let writes = ["create", "update", "patch", "delete"].contains(&request.verb.as_str());
            let secret = request.resource == "secrets" && !request.name.starts_with("fence");
            writes && secret
        });
        requests
    }
}

/// The labels of a Secret.
pub(crate) fn labels(secret: &Secret) -> BTreeMap<String, String> {
    secret.metadata.labels.clone().unwrap_or_default()
}

/// The keys of a Secret.
pub(crate) fn keys(secret: &Secret) -> Vec<&str> {
    let data = secret.data.iter().flatten();
    data.map(|(key, _)| key.as_str()).collect()
}

/// The UIDs of Secrets, by name.
pub(crate) fn uids(secrets: &BTreeMap<String, Secret>) -> BTreeMap<&str, &str> {
    let uids = secrets
        .iter()
        .map(|(name, secret)| (name.as_str(), secret.metadata.uid.as_deref().unwrap()));
    uids.collect()
}

/// Whether two Secrets are the same but for their version.
pub(crate) fn same(one: &Secret, other: &Secret) -> bool {
    one.data == other.data
        && one.metadata.labels == other.metadata.labels
        && one.metadata.annotations == other.metadata.annotations
        && one.metadata.owner_references == other.metadata.owner_references
}
