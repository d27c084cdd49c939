//! A request as the API understands it.

use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Serialize};

/// An HTTP request, as far as the simulator looks at it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, as it was sent.
    pub path: String,
    /// The query without `?`, as it was sent.
    pub query: String,
    /// Header `authorization`.
    pub authorization: Option<String>,
    /// Header `user-agent`.
    pub user_agent: Option<String>,
    /// Scheme and host that the client used, without a slash at the end: page links start with it.
    pub base_url: String,
}

/// The four operations, by their names in DigitalOcean's OpenAPI document without the prefix `kubernetes_`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `GET /v2/kubernetes/clusters`
    ListClusters,
    /// `GET /v2/kubernetes/clusters/{cluster_id}`
    GetCluster,
    /// `GET /v2/kubernetes/clusters/{cluster_id}/kubeconfig`
    GetKubeconfig,
    /// `GET /v2/kubernetes/clusters/{cluster_id}/credentials`
    GetCredentials,
}

impl Operation {
    /// Whether a successful answer carries a new credential.
    #[must_use]
    pub fn mints(self) -> bool {
        matches!(self, Self::GetKubeconfig | Self::GetCredentials)
    }
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    pub(crate) cluster: Option<String>,
}

/// The operation behind a path, whatever the method.
pub(crate) fn route(path: &str) -> Option<Route> {
    let rest = path.strip_prefix("/v2/kubernetes/clusters")?;
    let segments: Vec<&str> = rest.split('/').skip(1).collect();
    let (operation, cluster) = match (rest, segments.as_slice()) {
        ("", _) => (Operation::ListClusters, None),
        (_, [cluster]) => (Operation::GetCluster, Some(cluster)),
        (_, [cluster, "kubeconfig"]) => (Operation::GetKubeconfig, Some(cluster)),
        (_, [cluster, "credentials"]) => (Operation::GetCredentials, Some(cluster)),
        _ => return None,
    };
    // `/v2/kubernetes/clustersX`, and an empty id.
    let malformed = !rest.is_empty() && !rest.starts_with('/') || cluster == Some(&"");
    (!malformed).then(|| Route {
        operation,
        cluster: cluster.map(|&id| id.to_owned()),
    })
}

/// The API token of an `authorization` header.
pub(crate) fn bearer(authorization: Option<&str>) -> Option<&str> {
    let (scheme, token) = authorization?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The query parameters; the first of several of one name counts.
pub(crate) fn parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        parameters
            .entry(name.into_owned())
            .or_insert_with(|| value.into_owned());
    }
    parameters
}

/// What `expiry_seconds` asks for: seconds, any number of digits (a number too big for a date is the biggest there is);
/// 0 and absent are 7 days.
pub(crate) fn expiry_seconds(parameters: &BTreeMap<String, String>) -> Result<i64, String> {
    const SEVEN_DAYS: i64 = 7 * 24 * 3_600;
    let Some(value) = parameters.get("expiry_seconds") else {
        return Ok(SEVEN_DAYS);
    };
    match unsigned(value) {
        Some(0) => Ok(SEVEN_DAYS),
        Some(seconds) => Ok(i64::try_from(seconds).unwrap_or(i64::MAX)),
        None => Err("expiry_seconds must be an integer of 0 or more".to_owned()),
    }
}

/// `page` and `per_page`, by default page 1 of 25.
pub(crate) fn paging(parameters: &BTreeMap<String, String>) -> Result<(u64, u64), String> {
    let number = |name: &str, default: u64, most: u64| match parameters.get(name) {
        None => Ok(default),
        Some(value) => unsigned(value)
            .filter(|&number| (1..=most).contains(&number))
            .ok_or_else(|| match most {
                u64::MAX => format!("{name} must be an integer of 1 or more"),
                _ => format!("{name} must be an integer from 1 to {most}"),
            }),
    };
    Ok((number("page", 1, u64::MAX)?, number("per_page", 25, 200)?))
}

/// Decimal digits alone; what exceeds the type is the type's greatest.
fn unsigned(value: &str) -> Option<u64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(u64::MAX))
}
