//! A simulated DOKS cluster, and the JSON by which the API describes it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A DigitalOcean Kubernetes cluster. `Cluster::default()` is a running one; name what matters and leave the rest.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// UUID; empty: one is drawn when the cluster is added.
    pub id: String,
    /// The human-readable name; not unique.
    pub name: String,
    /// Region slug.
    pub region: String,
    /// Version slug.
    pub version: String,
    /// `status.state`, as the API shall print it: any string, to play values that clients do not know. Credentials are
    /// answered with 404 in `provisioning`, `error`, `deleted`, `invalid` and the empty state, and served in any other.
    pub state: String,
    /// `status.message`.
    pub message: Option<String>,
    /// Tags beyond `k8s` and `k8s:<id>`, which every cluster has.
    pub tags: Vec<String>,
    /// The API server's URL; absent: `https://<id>.k8s.ondigitalocean.com`.
    pub endpoint: Option<String>,
    /// PEM of the API server's certificate authority; absent: one that the simulator made.
    pub certificate_authority: Option<String>,
    /// How its credentials authenticate.
    pub authentication: Authentication,
    /// Single sign-on.
    pub sso: Option<Sso>,
    /// Addresses that the control plane firewall lets through; absent: no firewall.
    pub firewall: Option<Vec<String>>,
    /// Highly available control plane.
    pub ha: bool,
    /// Absent: the moment it is added. The list is ordered by it, newest first.
    pub created_at: Option<Timestamp>,
    /// A `provisioning` cluster turns `running` this many seconds after it was added.
    pub running_after_seconds: Option<u32>,
    /// Credentials are answered with 404 until this many seconds after it was added, whatever the state says.
    pub credentials_after_seconds: Option<u32>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            id: String::new(),
            name: "cluster".to_owned(),
            region: "nyc1".to_owned(),
            version: "1.36.3-do.0".to_owned(),
            state: "running".to_owned(),
            message: None,
            tags: Vec::new(),
            endpoint: None,
            certificate_authority: None,
            authentication: Authentication::Token,
            sso: None,
            firewall: None,
            ha: false,
            created_at: None,
            running_after_seconds: None,
            credentials_after_seconds: None,
        }
    }
}

/// How the credentials of a cluster authenticate.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// A bearer token that lives as long as the request asked for.
    Token,
    /// A client certificate with a lifetime of its own.
    Certificate {
        /// From the request to notAfter.
        lifetime_seconds: u32,
        /// What `expires_at` of the credentials says.
        #[serde(default)]
        expires_at: CertificateExpiry,
    },
}

/// What `expires_at` says on a certificate cluster (DigitalOcean documents nothing).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateExpiry {
    /// The field is not there.
    #[default]
    Absent,
    /// The field is null.
    Null,
    /// The certificate's notAfter.
    NotAfter,
}

/// Single sign-on of a cluster.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sso {
    /// A kubeconfig asked for without `type` is an exec plugin.
    pub enabled: bool,
    /// Tokens are refused (403).
    pub required: bool,
    /// The identity provider.
    pub issuer_url: String,
    /// The client registered there.
    pub client_id: String,
}

impl Default for Sso {
    fn default() -> Self {
        Self {
            enabled: true,
            required: false,
            issuer_url: "https://sso.example.com".to_owned(),
            client_id: "doks-cluster-client".to_owned(),
        }
    }
}

/// A cluster in an account.
#[derive(Clone, Debug)]
pub(crate) struct PlacedCluster {
    pub(crate) cluster: Cluster,
    pub(crate) added_at: Timestamp,
    /// Drawn once, so that the document does not change from one request to the next.
    pub(crate) vpc_uuid: String,
    pub(crate) node_pool_uuid: String,
    pub(crate) node_uuid: String,
}

impl PlacedCluster {
    pub(crate) fn state(&self, now: Timestamp) -> &str {
        let provisioned = self
            .cluster
            .running_after_seconds
            .is_some_and(|seconds| self.age(now) >= SignedDuration::from_secs(seconds.into()));
        if self.cluster.state == "provisioning" && provisioned {
            "running"
        } else {
            &self.cluster.state
        }
    }

    pub(crate) fn serves_credentials(&self, now: Timestamp) -> bool {
        let refused = ["provisioning", "error", "deleted", "invalid", ""];
        let early = self
            .cluster
            .credentials_after_seconds
            .is_some_and(|seconds| self.age(now) < SignedDuration::from_secs(seconds.into()));
        !early && !refused.contains(&self.state(now).to_lowercase().as_str())
    }

    pub(crate) fn requires_sso(&self) -> bool {
        self.cluster.sso.as_ref().is_some_and(|sso| sso.required)
    }

    pub(crate) fn created_at(&self) -> Timestamp {
        self.cluster.created_at.unwrap_or(self.added_at)
    }

    pub(crate) fn endpoint(&self) -> String {
        self.cluster
            .endpoint
            .clone()
            .unwrap_or_else(|| format!("https://{}.k8s.ondigitalocean.com", self.cluster.id))
    }

    fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.added_at)
    }

    /// The cluster as GET cluster and the list show it.
    pub(crate) fn document(&self, now: Timestamp) -> Value {
        let cluster = &self.cluster;
        let created_at = whole_seconds(self.created_at());
        let mut document = json!({
            "id": cluster.id,
            "name": cluster.name,
            "region": cluster.region,
            "version": cluster.version,
            "cluster_subnet": "10.244.0.0/16",
            "service_subnet": "10.245.0.0/16",
            "vpc_uuid": self.vpc_uuid,
            "endpoint": self.endpoint(),
            "tags": self.tags(&[]),
            "node_pools": [self.node_pool(&created_at)],
            "maintenance_policy": { "start_time": "00:00", "duration": "4h0m0s", "day": "any" },
            "auto_upgrade": false,
            "isolated_workers": false,
            "status": { "state": self.state(now) },
            "created_at": created_at,
            "updated_at": created_at,
            "surge_upgrade": true,
            "registry_enabled": false,
            "registries": null,
            "ha": cluster.ha,
            "control_plane_firewall": cluster.firewall.as_ref().map(|addresses| json!({
                "enabled": true,
                "allowed_addresses": addresses,
            })),
            "cluster_autoscaler_configuration": null,
            "sso": cluster.sso,
            "routing_agent": null,
            "amd_gpu_device_plugin": null,
            "amd_gpu_device_metrics_exporter_plugin": null,
            "nvidia_gpu_device_plugin": null,
            "rdma_shared_dev_plugin": null,
            "coredns_autoscaler": null,
            "p2p_oci_registry_plugin": null,
        });
        if let Some(message) = &cluster.message {
            document["status"]["message"] = json!(message);
        }
        if !cluster.ha {
            document["ipv4"] = json!("192.0.2.10");
        }
        document
    }

    fn node_pool(&self, created_at: &str) -> Value {
        json!({
            "id": self.node_pool_uuid,
            "name": "workers",
            "size": "s-2vcpu-4gb",
            "count": 1,
            "tags": self.tags(&["k8s:worker"]),
            "labels": null,
            "taints": [],
            "auto_scale": false,
            "min_nodes": 0,
            "max_nodes": 0,
            "nodes": [{
                "id": self.node_uuid,
                "name": "workers-1",
                "status": { "state": "running" },
                "droplet_id": "205545370",
                "created_at": created_at,
                "updated_at": created_at,
            }],
        })
    }

    fn tags(&self, more: &[&str]) -> Vec<String> {
        let mut tags = self.cluster.tags.clone();
        tags.extend(["k8s".to_owned(), format!("k8s:{}", self.cluster.id)]);
        tags.extend(more.iter().map(|&tag| tag.to_owned()));
        tags
    }
}

fn whole_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
