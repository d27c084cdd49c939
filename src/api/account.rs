//! `DOAccount`: lets namespaces use an API token that they cannot read.

#![allow(
    unreachable_pub,
    reason = "the derives repeat the structs inside functions"
)]
#![allow(
    clippy::duplicated_attributes,
    reason = "every column of `kubectl get` has a type"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::SecretKeyReference;

/// One DigitalOcean account, by its API token, and who may use it for which clusters.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "doclusteraccess.dev",
    version = "v1alpha1",
    kind = "DOAccount",
    plural = "doaccounts",
    shortname = "doacct",
    category = "digitalocean",
    status = "DOAccountStatus",
    derive = "PartialEq",
    doc = "Lets the accesses of chosen namespaces use a DigitalOcean API token for chosen clusters, without showing them the token. Closed by default: a namespace and a cluster that no list allows are refused. An access that names neither an account nor a token Secret uses the DOAccount `default`.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether DigitalOcean accepts the API token"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or not"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct DOAccountSpec {
    /// A Secret in the operator's own namespace (never another) that holds the DigitalOcean API
    /// token. The token needs the scopes `kubernetes:read` and `kubernetes:access_cluster`.
    /// Default: none, required. Example: `{name: digitalocean}`.
    pub token_secret_ref: SecretKeyReference,

    /// Namespaces whose accesses may use this account, at most 64: names or globs, in which `*`
    /// stands for any number of characters and `?` for one. Default: none, no namespace may.
    /// Example: `[argocd, "team-*"]`.
    // Atomic here and below: what a manifest no longer allows must not live on because some other
    // field manager once wrote it, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = Rule::new("self.all(glob, glob.matches('^[-a-z0-9*?]+$'))")
            .message("allowedNamespaces must consist of names of namespaces, in which * stands for any number of characters and ? for one: use lower-case letters, digits, '-', '*' and '?' only"),
    )]
    pub allowed_namespaces: Vec<String>,

    /// Clusters that may be accessed with this account: those that one of the two lists holds.
    /// Default: none, no cluster may. Example: `{names: ["prod-*"]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_clusters: Option<AllowedClusters>,
}

/// Clusters, by id or by name: one that either list holds is allowed.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowedClusters {
    /// Ids (UUIDs) of clusters, at most 256. They stay allowed under any name.
    /// Default: none. Example: `[bd5f5959-5e1e-4205-a714-a914373942af]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 36)))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = Rule::new("self.all(id, id.matches('^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'))")
            .message("allowedClusters.ids must be UUIDs, as `doctl kubernetes cluster list` prints them; use allowedClusters.names for names"),
    )]
    pub ids: Vec<String>,

    /// Names of clusters, at most 64: names or globs, in which `*` stands for any number of
    /// characters and `?` for one; `["*"]` allows every cluster of the account. Upper and lower
    /// case differ. Whoever may rename a cluster can move it under a glob: use ids where that
    /// matters. Default: none. Example: `["prod-*"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = Rule::new(r"self.all(glob, glob.matches('^\\P{Cc}+$'))")
            .message("allowedClusters.names must be names of clusters, in which * stands for any number of characters and ? for one: remove line breaks, tabs and other control characters"),
    )]
    pub names: Vec<String>,
}

/// What the operator reports. Written by the operator alone. Figures that move are metrics.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DOAccountStatus {
    /// Generation of the spec that this status speaks of; -1 before the first attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready: whether DigitalOcean accepts the API token, and if not, why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}
