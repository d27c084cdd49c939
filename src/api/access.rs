//! `DOClusterAccess`: what a user asks for, and what the operator reports.

#![allow(
    unreachable_pub,
    reason = "the derives repeat the structs inside functions"
)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DEFAULT_EXPIRY_SECONDS, DEFAULT_OUTPUT_SUFFIX, DEFAULT_TOKEN_KEY};

/// Keeps the credential of one DigitalOcean Kubernetes cluster fresh in one or more Secrets.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "doclusteraccess.dev",
    version = "v1alpha1",
    kind = "DOClusterAccess",
    plural = "doclusteraccesses",
    shortname = "doca",
    category = "digitalocean",
    namespaced,
    status = "DOClusterAccessStatus",
    derive = "PartialEq",
    doc = "Keeps the credential of one DigitalOcean Kubernetes cluster fresh in Secrets of this namespace: issued by get_kubeconfig and get_credentials, renewed well before it expires.",
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("metadata.name must have at most 63 characters, because it becomes a label value: choose a shorter name"),
    validation = Rule::new("has(self.spec.outputs) || !has(self.spec.tokenSecretRef) || self.spec.tokenSecretRef.name != self.metadata.name + '-kubeconfig'")
        .message("the default output would overwrite the Secret of tokenSecretRef: set outputs with another secretName, or rename the token Secret"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#, description = "Whether every output holds an unexpired credential"),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Synced")].reason"#, description = "Outcome of the last attempt"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".status.cluster.name", description = "Name of the cluster"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.credential.expiresAt", description = "When the published credential expires"),
    printcolumn(name = "Renews", type_ = "string", json_path = ".status.credential.renewAt", description = "When the published credential is renewed"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since creation"),
    printcolumn(name = "Verified", type_ = "string", json_path = r#".status.conditions[?(@.type=="Verified")].reason"#, priority = "1", description = "Whether the cluster accepted the credential"),
    printcolumn(name = "Account", type_ = "string", json_path = ".spec.accountRef.name", priority = "1", description = "DOAccount used, if any"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.accountRef) && has(self.tokenSecretRef))")
        .message("set at most one of accountRef and tokenSecretRef: remove the one that does not apply"),
    validation = Rule::new("!has(self.renewBeforeSeconds) || self.renewBeforeSeconds < (has(self.expirySeconds) ? self.expirySeconds : 604800)")
        .message("renewBeforeSeconds must be less than expirySeconds (604800 when unset): lower renewBeforeSeconds or raise expirySeconds"),
    validation = Rule::new("!has(self.outputs) || !has(self.tokenSecretRef) || self.outputs.all(o, o.secretName != self.tokenSecretRef.name)")
        .message("an output must not overwrite the Secret of tokenSecretRef: choose another secretName"),
    validation = Rule::new("has(self.deletionPolicy) || !has(self.outputs) || !self.outputs.exists(o, o.format == 'ArgoCD')")
        .message("with an ArgoCD output set deletionPolicy to Delete or Retain: when that Secret goes, an ApplicationSet may delete the cluster's applications"),
)]
pub struct DOClusterAccessSpec {
    /// The cluster to give access to: exactly one of `name` and `id`.
    /// Example: `{name: prod-cluster-01}`.
    pub cluster: ClusterReference,

    /// Name of the cluster-scoped DOAccount whose API token is used, for namespaces that must not
    /// see the token. Default, when tokenSecretRef is not set either: the DOAccount `default`.
    /// Example: `{name: default}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<NameReference>,

    /// A Secret of this namespace (never another) that holds the DigitalOcean API token. The token
    /// needs the scopes `kubernetes:read` and `kubernetes:access_cluster`. Default: none, accountRef
    /// applies. Example: `{name: digitalocean}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKeyReference>,

    /// Lifetime to ask for, in seconds, from 60 to 31536000. What DigitalOcean answers decides;
    /// without effect on clusters with certificate authentication. Default: 604800 (7 days).
    /// Example: `86400`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 31_536_000))]
    pub expiry_seconds: Option<i64>,

    /// Renew at the latest this many seconds before expiry; less than expirySeconds. Default: a
    /// third of the lifetime. Example: `201600`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_535_999))]
    pub renew_before_seconds: Option<i64>,

    /// Where the kubeconfig comes from. DigitalOcean: the document of get_kubeconfig, checked and
    /// normalised. Rendered: built from get_credentials, so that an issue costs one token instead
    /// of two. Default: DigitalOcean. Example: `Rendered`.
    #[serde(default)]
    pub kubeconfig_source: KubeconfigSource,

    /// Whether a new credential must be accepted by the cluster before it replaces the old one.
    /// WhenReachable: a rejection blocks where publishing would make things worse. Required: only
    /// an accepted credential is published. Off: the cluster is not asked. Default: WhenReachable.
    /// Example: `Required`.
    #[serde(default)]
    pub verification: VerificationPolicy,

    /// The Secrets to write, all fed by one issue; 1 to 16, distinguished by secretName.
    /// Default: one of format Kubeconfig, named like the access with `-kubeconfig` behind it.
    /// Example: `[{secretName: prod-kubeconfig, format: Kubeconfig}]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["secretName".to_string()]))]
    pub outputs: Option<Vec<Output>>,

    /// What becomes of the Secrets when the access or an output goes. Delete: they go with it.
    /// Retain: they stay, released from the operator. Default: Delete; must be set when an output
    /// has format ArgoCD. Example: `Retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// Pauses this access: no call to DigitalOcean, no write to a Secret; expiry is still reported.
    /// Default: false. Example: `true`.
    #[serde(default)]
    pub suspend: bool,
}

impl DOClusterAccessSpec {
    /// The outputs in force of the access called `name`, the default one included, in the order of the spec.
    #[must_use]
    pub fn effective_outputs(&self, name: &str) -> Vec<Output> {
        match &self.outputs {
            Some(outputs) => outputs.clone(),
            None => vec![Output::kubeconfig(format!("{name}{DEFAULT_OUTPUT_SUFFIX}"))],
        }
    }

    /// The lifetime to ask for, in seconds.
    #[must_use]
    pub fn effective_expiry_seconds(&self) -> i64 {
        self.expiry_seconds.unwrap_or(DEFAULT_EXPIRY_SECONDS)
    }

    /// The policy in force: an absent `deletionPolicy` means `Delete`.
    #[must_use]
    pub fn effective_deletion_policy(&self) -> DeletionPolicy {
        self.deletion_policy.unwrap_or_default()
    }
}

impl DOClusterAccess {
    /// The outputs in force, the default one included, in the order of the spec.
    #[must_use]
    pub fn effective_outputs(&self) -> Vec<Output> {
        let name = self.metadata.name.as_deref().unwrap_or_default();
        self.spec.effective_outputs(name)
    }
}

/// Which cluster: exactly one field is set.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.name) != has(self.id)")
        .message("set exactly one of cluster.name and cluster.id"),
)]
pub struct ClusterReference {
    /// Name of the cluster in the account. It is looked up once and the id found is pinned: a
    /// renamed cluster stays, and the access follows the name only when the pinned cluster is gone.
    /// Default: none. Example: `prod-cluster-01`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub name: Option<String>,

    /// Id (UUID) of the cluster. It never moves. Default: none.
    /// Example: `bd5f5959-5e1e-4205-a714-a914373942af`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$')")
            .message("cluster.id must be a UUID, as `doctl kubernetes cluster list` prints it; use cluster.name for a name"),
    )]
    pub id: Option<String>,
}

/// Names a cluster-scoped object.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameReference {
    /// Name of the object. Default: none, required. Example: `default`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()")
            .message("name must be a DNS-1123 subdomain: lower-case letters, digits, '-' and '.'"),
    )]
    pub name: String,
}

/// Names one key of a Secret, in the namespace that the field of this type speaks of: there is no
/// way to name another.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretKeyReference {
    /// Name of the Secret. Default: none, required. Example: `digitalocean`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()")
            .message("name must be a DNS-1123 subdomain: lower-case letters, digits, '-' and '.'"),
    )]
    pub name: String,

    /// Key in that Secret. Default: `access-token`. Example: `token`.
    #[serde(default = "default_token_key")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$')")
            .message("key must consist of letters, digits, '-', '_' and '.'"),
    )]
    pub key: String,
}

fn default_token_key() -> String {
    DEFAULT_TOKEN_KEY.to_string()
}

/// Where the kubeconfig comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KubeconfigSource {
    /// The document of get_kubeconfig, checked and normalised: two mints an issue.
    #[default]
    DigitalOcean,
    /// Built from get_credentials: one mint an issue.
    Rendered,
}

/// When a new credential may replace the published one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VerificationPolicy {
    /// A rejection blocks only where publishing would make things worse.
    #[default]
    WhenReachable,
    /// Only an accepted credential is published.
    Required,
    /// The cluster is not asked.
    Off,
}

/// What becomes of a Secret that is no longer wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = without_description)]
pub enum DeletionPolicy {
    /// It goes with the access, by owner reference; with an output, it is deleted.
    #[default]
    Delete,
    /// It stays, without owner reference and without the operator's marks of ownership.
    Retain,
}

/// Of an optional enumeration, kube would show this type's description in place of the field's.
fn without_description(schema: &mut schemars::Schema) {
    schema.remove("description");
}

/// One Secret to write.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.format == 'Custom' ? has(self.keys) : !has(self.keys)")
        .message("keys is required with format Custom and must be absent with any other format"),
    validation = Rule::new("self.format == 'ArgoCD' || !has(self.argocd)")
        .message("argocd is only for format ArgoCD: remove it or change the format"),
    validation = Rule::new("self.format != 'ClusterAPI' || (self.secretName.endsWith('-kubeconfig') && self.secretName.size() > 11 && self.secretName.size() <= 74)")
        .message("with format ClusterAPI secretName must be the cluster's name (at most 63 characters) with -kubeconfig behind it"),
)]
pub struct Output {
    /// Name of the Secret, in the namespace of the access. Default: none, required.
    /// Example: `prod-kubeconfig`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()")
            .message("secretName must be a DNS-1123 subdomain: lower-case letters, digits, '-' and '.'"),
    )]
    pub secret_name: String,

    /// Keys, type and labels that the Secret gets: the form that its consumer reads.
    /// Default: Kubeconfig. Example: `ArgoCD`.
    #[serde(default)]
    pub format: OutputFormat,

    /// Labels for the Secret, at most 32. Keys under kubernetes.io, k8s.io and doclusteraccess.dev
    /// are refused, except app.kubernetes.io/name, /part-of, /component and /version.
    /// Default: none. Example: `{team: payments}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), schema_with = "label_map")]
    #[x_kube(
        validation = Rule::new("self.all(k, !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|doclusteraccess[.]dev)/') || k in ['app.kubernetes.io/name', 'app.kubernetes.io/part-of', 'app.kubernetes.io/component', 'app.kubernetes.io/version'])")
            .message("label keys under kubernetes.io, k8s.io and doclusteraccess.dev are reserved (app.kubernetes.io/name, part-of, component and version are allowed): use a prefix of your own"),
        validation = Rule::new("self.all(k, !format.qualifiedName().validate(k).hasValue() && !format.labelValue().validate(self[k]).hasValue())")
            .message("labels must have valid keys (name, or prefix/name) and values of at most 63 letters, digits, '-', '_' and '.'"),
    )]
    pub labels: BTreeMap<String, String>,

    /// Annotations for the Secret, at most 32, under the same rule for keys.
    /// Default: none. Example: `{contact: payments@example.com}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotation_map")]
    #[x_kube(
        validation = Rule::new("self.all(k, !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|doclusteraccess[.]dev)/') || k in ['app.kubernetes.io/name', 'app.kubernetes.io/part-of', 'app.kubernetes.io/component', 'app.kubernetes.io/version'])")
            .message("annotation keys under kubernetes.io, k8s.io and doclusteraccess.dev are reserved (app.kubernetes.io/name, part-of, component and version are allowed): use a prefix of your own"),
        validation = Rule::new("self.all(k, !format.qualifiedName().validate(k).hasValue())")
            .message("annotation keys must be valid: name, or prefix/name"),
    )]
    pub annotations: BTreeMap<String, String>,

    /// Take over a Secret of that name that exists already: our keys are written into it, and it
    /// gets no owner reference, so it outlives the access. Default: false, such a Secret is
    /// refused. Example: `true`.
    #[serde(default)]
    pub adopt: bool,

    /// Options of an Argo CD cluster Secret; only with format ArgoCD.
    /// Default: none. Example: `{project: payments}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argocd: Option<ArgoCdOptions>,

    /// The keys of a Secret of format Custom, 1 to 32; required there and refused elsewhere.
    /// Default: none. Example: `[{key: kubeconfig, field: Kubeconfig}]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["key".to_string()]))]
    pub keys: Option<Vec<CustomKey>>,
}

impl Output {
    /// An output of format Kubeconfig with no options.
    #[must_use]
    pub fn kubeconfig(secret_name: String) -> Self {
        Self {
            secret_name,
            format: OutputFormat::Kubeconfig,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            adopt: false,
            argocd: None,
            keys: None,
        }
    }
}

/// The form that a consumer reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OutputFormat {
    /// Keys kubeconfig, server, ca.crt, token (or client.crt and client.key), expires-at.
    #[default]
    Kubeconfig,
    /// Key value (a kubeconfig), as Flux reads it.
    Flux,
    /// An Argo CD cluster Secret: keys name, server and config.
    ArgoCD,
    /// A Cluster API kubeconfig Secret: key value (a kubeconfig), type cluster.x-k8s.io/secret.
    ClusterAPI,
    /// Keys token and caBundle, as Karmada reads them.
    Karmada,
    /// Keys of your choice: see keys.
    Custom,
}

/// Options of an Argo CD cluster Secret.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArgoCdOptions {
    /// Name that Argo CD shows. Default: what is there on adoption, else the cluster's name.
    /// Example: `production`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,

    /// Argo CD project that the cluster belongs to. Default: none. Example: `payments`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub project: Option<String>,

    /// Namespaces that Argo CD may manage, at most 64. Default: all. Example: `[web, jobs]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63)))]
    pub namespaces: Option<Vec<String>>,

    /// Whether Argo CD manages cluster-scoped resources when namespaces is set.
    /// Default: Argo CD's own. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_resources: Option<bool>,

    /// Application controller shard, 0 or more. Default: Argo CD's own. Example: `1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1023))]
    pub shard: Option<i32>,
}

/// One key of a Secret of format Custom.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomKey {
    /// Key in the Secret. Default: none, required. Example: `kubeconfig`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$')")
            .message("key must consist of letters, digits, '-', '_' and '.'"),
    )]
    pub key: String,

    /// What goes under that key. Default: none, required. Example: `Kubeconfig`.
    pub field: CustomField,
}

/// What a key of format Custom may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CustomField {
    /// The kubeconfig document.
    Kubeconfig,
    /// URL of the cluster's API server.
    Server,
    /// Bearer token.
    Token,
    /// Certificate authority, PEM.
    CertificateAuthority,
    /// Certificate authority, base64 of PEM.
    CertificateAuthorityBase64,
    /// Client certificate, PEM; certificate clusters only.
    ClientCertificate,
    /// Client key, PEM; certificate clusters only.
    ClientKey,
    /// Expiry, RFC 3339.
    ExpiresAt,
    /// Cluster id.
    ClusterId,
    /// Cluster name.
    ClusterName,
    /// Region slug.
    Region,
    /// Kubernetes version slug.
    Version,
}

fn string_map(max_value_length: u32) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": max_value_length },
    })
}

fn label_map(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    string_map(63)
}

fn annotation_map(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    string_map(4096)
}

/// What the operator reports. Written by the operator alone.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DOClusterAccessStatus {
    /// Generation of the spec that this status speaks of; -1 before the first attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready, Synced, Verified and, only while nothing but a user's action will help, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,

    /// The cluster that the reference led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterStatus>,

    /// The published credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialStatus>,

    /// The Secrets written, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["secretName".to_string()]))]
    pub outputs: Vec<OutputStatus>,

    /// Value of the annotation doclusteraccess.dev/rotate that was acted on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_rotate_request: Option<String>,
}

/// Facts of the cluster, as DigitalOcean told them last.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Id (UUID).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Region slug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Kubernetes version slug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// State, as DigitalOcean spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// URL of the API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// Facts of the published credential; nothing secret. Times are by the operator's clock, in whole
/// seconds.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialStatus {
    /// When it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Time>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When it is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_at: Option<Time>,
    /// When the cluster accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Time>,
    /// User that it authenticates as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Groups of that user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub groups: Vec<String>,
}

/// One Secret written.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputStatus {
    /// Name of the Secret.
    pub secret_name: String,
    /// Hash of what was written, as in its annotation doclusteraccess.dev/content-hash.
    pub content_hash: String,
}
