//! A thousand accesses have what they asked for, nothing is due, and an hour goes by.

use std::collections::BTreeMap;

use serde_json::json;

use crate::journal::{Entry, Event};
use crate::stage::{Cast, Findings, Stage, play};

const HOUR: i64 = 3600;
const WEEK: i64 = 7 * 86_400;
/// How many accesses there are, each with a cluster of its own.
pub const ACCESSES: usize = 1000;
/// Clusters on a page of their list.
const PAGE: usize = 200;
/// How often the list is read, and each credential tried out, in an hour.
const ROUNDS: usize = 2;

/// The hour.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// Whether published credentials are tried out.
    pub verification: bool,
}

impl Idle {
    /// Both.
    pub const ALL: [Self; 2] = [
        Self { verification: true },
        Self {
            verification: false,
        },
    ];

    /// Plays it.
    #[must_use]
    pub fn play(self) -> Findings {
        play(self.scene())
    }

    async fn scene(self) -> Findings {
        let cast = Cast {
            accesses: ACCESSES,
            tokens: 1,
            tenants: 4,
            clusters: ACCESSES,
            replicas: 1,
        };
        let policy = if self.verification {
            "WhenReachable"
        } else {
            "Off"
        };
        let plan = cast.plan(|_| (WEEK, json!({"verification": policy})));
        let mut stage = Stage::set(plan).await;
        stage.start();
        stage.wait(HOUR).await;
        let issued = stage.world.digitalocean.mints().len();
        // What was until now.
        drop(stage.journal.take());
        drop(stage.world.digitalocean.take_history());
        stage.wait(HOUR).await;
        let (journal, _) = stage.journal.take();
        let asked = stage.world.digitalocean.take_history().len();
        stage.end().await;
        let mut findings = Findings::default();
        findings.demand(issued == 2 * ACCESSES, || format!("{issued} mints"));
        self.judge(&requests(&journal), asked, &mut findings);
        findings
    }

    /// Watches and the lease are not counted.
    fn judge(self, requests: &BTreeMap<String, usize>, asked: usize, findings: &mut Findings) {
        let [to_api_server, to_digitalocean] = if self.verification {
            ["api_requests_an_hour", "digitalocean_requests_an_hour"]
        } else {
            [
                "api_requests_an_hour_verification_off",
                "digitalocean_requests_an_hour_verification_off",
            ]
        };
        let all: usize = requests.values().sum();
        let kinds: Vec<_> = requests
            .iter()
            .map(|(kind, number)| format!("{number} {kind}"))
            .collect();
        let kinds = if kinds.is_empty() {
            "no request".to_owned()
        } else {
            kinds.join(", ")
        };
        findings.tell(format!(
            "to the API server {kinds}; to DigitalOcean {asked} requests for the list of clusters"
        ));
        findings.measure(to_api_server, all);
        findings.measure(to_digitalocean, asked);
        let tried_out = if self.verification {
            ROUNDS * ACCESSES
        } else {
            0
        };
        let reads = requests.get("GET secrets").copied().unwrap_or_default();
        findings.demand(reads <= tried_out && all == reads, || {
            format!("{all} requests, and {tried_out} Secrets to be read")
        });
        findings.demand(asked <= ROUNDS * ACCESSES / PAGE, || {
            format!("{asked} requests to DigitalOcean")
        });
    }
}

/// Requests to the API server, by method and resource.
fn requests(journal: &[Entry]) -> BTreeMap<String, usize> {
    let mut requests = BTreeMap::new();
    for entry in journal {
        if let Event::Call { method, path, .. } = &entry.event {
            let mut parts = path.split('/').rev();
            let resource = parts.nth(1).unwrap_or_default();
            *requests.entry(format!("{method} {resource}")).or_default() += 1;
        }
    }
    requests
}
