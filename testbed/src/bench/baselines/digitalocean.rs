//! The calls of DigitalOcean's API, without a budget and without a check.

use reqwest::Client;
use serde::Deserialize;

/// A client of DigitalOcean with an API token.
#[derive(Clone)]
pub(super) struct DigitalOcean {
    client: Client,
    url: String,
    token: String,
}

/// Answer of get_credentials.
#[derive(Debug, Deserialize)]
pub(super) struct Credentials {
    pub(super) server: String,
    pub(super) certificate_authority_data: String,
    pub(super) token: String,
    pub(super) expires_at: String,
}

/// The lifetime that is asked for, in seconds: the operator's default.
const EXPIRY_SECONDS: u32 = 604_800;

impl DigitalOcean {
    pub(super) fn new(url: &str, token: &str) -> reqwest::Result<Self> {
        Ok(Self {
            client: Client::builder().no_proxy().build()?,
            url: url.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
        })
    }

    /// Whether the cluster is there.
    pub(super) async fn cluster(&self, id: &str) -> reqwest::Result<()> {
        self.get(id, "").await?.bytes().await.map(drop)
    }

    /// Mints a token.
    pub(super) async fn kubeconfig(&self, id: &str) -> reqwest::Result<String> {
        let query = format!("/kubeconfig?type=token&expiry_seconds={EXPIRY_SECONDS}");
        self.get(id, &query).await?.text().await
    }

    /// Mints another.
    pub(super) async fn credentials(&self, id: &str) -> reqwest::Result<Credentials> {
        let query = format!("/credentials?expiry_seconds={EXPIRY_SECONDS}");
        self.get(id, &query).await?.json().await
    }

    async fn get(&self, id: &str, rest: &str) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}/v2/kubernetes/clusters/{id}{rest}", self.url);
        let request = self.client.get(url).bearer_auth(&self.token);
        request.send().await?.error_for_status()
    }
}
