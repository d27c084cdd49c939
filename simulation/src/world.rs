//! All that is not the operator: the API server, DigitalOcean, and the time.

use do_cluster_access_testbed::api_server::ApiServer;
use do_cluster_access_testbed::simulator::{Latency, Limits, Settings, Simulator};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

use crate::time::Time;

/// Namespace of the operator, its lease and the tokens of DOAccounts.
pub const OPERATOR_NAMESPACE: &str = "do-cluster-access";

/// A bookmark a watch: they tell nothing that matters here, and come often.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(280);

/// The world around the operator. Clones are the same one.
#[derive(Clone)]
pub struct World {
    /// The time.
    pub time: Time,
    /// The management cluster.
    pub api_server: ApiServer,
    /// DigitalOcean and its clusters.
    pub digitalocean: Simulator,
}

impl World {
    /// An empty one; `seed` decides on what it draws.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let time = Time::begin();
        let now = {
            let time = time.clone();
            move || time.now()
        };
        let clock: Arc<dyn Fn() -> Timestamp + Send + Sync> = Arc::new(now.clone());
        let settings = Settings {
            seed,
            limits: Limits::default(),
            latency: Latency {
                least: Duration::from_millis(1),
                most: Duration::from_millis(40),
            },
            clock,
            client_authority: None,
            history: None,
        };
        #[expect(
            clippy::expect_used,
            reason = "only a given certificate authority can be unusable"
        )]
        let digitalocean = Simulator::new(settings).expect("a simulator");
        let api_server = ApiServer::new(now, seed);
        api_server.set_bookmark_interval(BOOKMARK_INTERVAL);
        api_server.create_namespace(OPERATOR_NAMESPACE);
        Self {
            time,
            api_server,
            digitalocean,
        }
    }
}
