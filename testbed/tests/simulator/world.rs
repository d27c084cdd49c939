//! A simulator with a clock that stands still until it is told to move, called in-process.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use do_cluster_access_testbed::simulator::{
    Account, Cluster, ConnectionReset, Scope, Settings, Simulator, SimulatorService,
};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tower::ServiceExt;

/// The API token of the account `default`.
pub(crate) const TOKEN: &str = "dop_v1_test";
/// Where a world's time begins.
pub(crate) const START: &str = "2026-03-01T12:00:00.123456789Z";

pub(crate) struct World {
    pub(crate) simulator: Simulator,
    service: SimulatorService,
    now: Arc<Mutex<Timestamp>>,
}

/// A response that arrived in full.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Why no response arrived in full.
#[derive(Debug, PartialEq)]
pub(crate) enum Lost {
    /// The connection was reset before the headers.
    Reset,
    /// The body ended early.
    BrokenOff,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().expect("a readable header"))
    }
}

impl World {
    /// An account `default` without clusters.
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    /// The same with other settings; the clock is the world's.
    pub(crate) fn with(settings: Settings) -> Self {
        let start: Timestamp = START.parse().expect("a time");
        let now = Arc::new(Mutex::new(start));
        let clock = Arc::clone(&now);
        let simulator = Simulator::new(Settings {
            clock: Arc::new(move || *clock.lock().expect("an unbroken clock")),
            ..settings
        })
        .expect("a simulator");
        simulator
            .add_account(Account::new("default"))
            .expect("the first account");
        simulator
            .add_token("default", TOKEN, Scope::Full)
            .expect("its API token");
        Self {
            service: simulator.service(),
            simulator,
            now,
        }
    }

    /// The same with one cluster; the second value is its id.
    pub(crate) fn with_cluster(cluster: Cluster) -> (Self, String) {
        let world = Self::new();
        let id = world.add(cluster);
        (world, id)
    }

    pub(crate) fn add(&self, cluster: Cluster) -> String {
        self.simulator
            .add_cluster("default", cluster)
            .expect("a new cluster")
    }

    pub(crate) fn now(&self) -> Timestamp {
        *self.now.lock().expect("an unbroken clock")
    }

    pub(crate) fn pass(&self, time: SignedDuration) {
        *self.now.lock().expect("an unbroken clock") += time;
    }

    /// GET with the API token of the account `default`.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.get_as(TOKEN, path).await
    }

    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Reply {
        self.try_get_as(token, path)
            .await
            .expect("a whole response")
    }

    pub(crate) async fn try_get(&self, path: &str) -> Result<Reply, Lost> {
        self.try_get_as(TOKEN, path).await
    }

    async fn try_get_as(&self, token: &str, path: &str) -> Result<Reply, Lost> {
        let request = Request::get(path)
            .header("host", "do.example:8080")
            .header("authorization", format!("Bearer {token}"));
        self.try_send(request.body(Body::empty()).expect("a request"))
            .await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        self.try_send(request).await.expect("a whole response")
    }

    async fn try_send(&self, request: Request<Body>) -> Result<Reply, Lost> {
        let response = self.service.clone().oneshot(request).await;
        let response = response.map_err(|ConnectionReset| Lost::Reset)?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| Lost::BrokenOff)?;
        Ok(Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes().to_vec(),
        })
    }

    /// The token of a successful GET credentials.
    pub(crate) async fn mint(&self, id: &str, query: &str) -> String {
        let reply = self.get(&format!("{}?{query}", credentials(id))).await;
        let token = reply.json()["token"].clone();
        token.as_str().expect("a token").to_owned()
    }
}

pub(crate) const LIST: &str = "/v2/kubernetes/clusters";

pub(crate) fn cluster(id: &str) -> String {
    format!("{LIST}/{id}")
}

pub(crate) fn credentials(id: &str) -> String {
    format!("{LIST}/{id}/credentials")
}

pub(crate) fn kubeconfig(id: &str) -> String {
    format!("{LIST}/{id}/kubeconfig")
}

/// A cluster of that name.
pub(crate) fn named(name: &str) -> Cluster {
    Cluster {
        name: name.to_owned(),
        ..Cluster::default()
    }
}
