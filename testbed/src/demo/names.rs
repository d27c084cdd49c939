//! What things are called here.

/// Namespace of the operator, and its ServiceAccount and lease, by the chart's defaults.
pub(crate) const OPERATOR: &str = "do-cluster-access";
/// Namespace of the team that needs the credential.
pub(super) const NAMESPACE: &str = "team-a";
/// Its DOClusterAccess, as in `access.yaml`.
pub(super) const ACCESS: &str = "prod";
/// The Secret that it becomes.
pub(super) const SECRET: &str = "prod-kubeconfig";
/// The cluster that it is for.
pub(super) const CLUSTER: &str = "prod-cluster-01";
/// The Secret with the API token, and its key.
pub(crate) const TOKEN_SECRET: &str = "digitalocean";
pub(crate) const TOKEN_KEY: &str = "access-token";
/// The group of everyone whom DigitalOcean minted a credential for.
pub(crate) const AUTHENTICATED: &str = "k8saas:authenticated";

/// The operator as the API server knows it.
pub(crate) fn operator_user() -> String {
    format!("system:serviceaccount:{OPERATOR}:{OPERATOR}")
}
