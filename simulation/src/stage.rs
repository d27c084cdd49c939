//! A scene that is not drawn: many accesses and one thing that goes wrong, with the same world and the same
//! operator as in a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use do_cluster_access::controller::lease::Timing;
use do_cluster_access::outputs::FIELD_MANAGER;
use do_cluster_access_testbed::api_server::{Kind, Object, Write};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::time::sleep;

use crate::deeds::Hands;
use crate::journal::Journal;
use crate::plan::{AccessPlan, AccountPlan, ClusterPlan, Plan};
use crate::replica::{Deployment, Replica};
use crate::weather::Weather;
use crate::world::World;

/// A world with accesses in it, and the operator.
pub struct Stage {
    /// The world.
    pub world: World,
    /// Its weather.
    pub weather: Weather,
    /// What happens.
    pub journal: Journal,
    /// What users do.
    pub hands: Hands,
    /// What was planned.
    pub plan: Arc<Plan>,
    /// The replicas of the operator.
    pub replicas: Vec<Replica>,
    deployment: Deployment,
}

/// How many there are of what.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// Accesses.
    pub accesses: usize,
    /// API tokens, each with an account of its own.
    pub tokens: usize,
    /// Namespaces.
    pub tenants: usize,
    /// Clusters of each account.
    pub clusters: usize,
    /// Replicas of the operator; an election is held where there is more than one.
    pub replicas: usize,
}

impl Cast {
    fn account(&self, account: usize) -> AccountPlan {
        let clusters = (0..self.clusters).map(|index| {
            let number = account * self.clusters + index + 1;
            ClusterPlan {
                id: format!("00000000-0000-4000-8000-{number:012}"),
                name: format!("cluster-{number}"),
            }
        });
        AccountPlan {
            label: format!("account-{account}"),
            shared: true,
            clusters: clusters.collect(),
        }
    }

    /// The plan, with the lifetime and the spec beside cluster and account that `of` says of each access.
    #[must_use]
    pub fn plan(&self, of: impl Fn(usize) -> (i64, Value)) -> Plan {
        let accounts: Vec<_> = (0..self.tokens).map(|index| self.account(index)).collect();
        let access = |index: usize| {
            let account = index % self.tokens;
            let cluster = (index / self.tokens) % self.clusters;
            let (lifetime, mut spec) = of(index);
            spec["cluster"] = json!({"id": accounts[account].clusters[cluster].id});
            spec["accountRef"] = json!({"name": accounts[account].label});
            spec["expirySeconds"] = lifetime.into();
            AccessPlan {
                namespace: format!("tenant-{}", (index / self.tokens) % self.tenants),
                name: format!("access-{index:05}"),
                created_at: 0,
                spec,
                lifetime,
                account,
                cluster,
            }
        };
        Plan {
            seed: 1,
            storm_seconds: 0,
            replicas: self.replicas,
            election: (self.replicas > 1).then(Timing::default),
            accesses: (0..self.accesses).map(access).collect(),
            accounts,
            steps: Vec::new(),
            restart_delays: vec![1],
        }
    }
}

impl Stage {
    /// Everything in place, and the operator not yet started.
    pub async fn set(plan: Plan) -> Self {
        let plan = Arc::new(plan);
        let deployment = Deployment::of(&plan, fastrand::Rng::with_seed(plan.seed));
        let hands = Hands::new(&deployment.world, &plan);
        hands.furnish().await;
        for (index, access) in plan.accesses.iter().enumerate() {
            if access.created_at == 0 {
                hands.create_access(index, &access.spec).await;
            }
        }
        Self {
            world: deployment.world.clone(),
            weather: deployment.weather.clone(),
            journal: deployment.journal.clone(),
            hands,
            plan,
            replicas: Vec::new(),
            deployment,
        }
    }

    /// Creates accesses that are not there from the beginning.
    pub async fn create(&self, which: std::ops::RangeFrom<usize>) {
        for index in which.start..self.plan.accesses.len() {
            let spec = &self.plan.accesses[index].spec;
            self.hands.create_access(index, spec).await;
        }
    }

    /// Starts the operator.
    pub fn start(&mut self) {
        for index in 0..self.plan.replicas {
            self.replicas.push(Replica::start(index, &self.deployment));
        }
    }

    /// Ends the operator.
    pub async fn end(&mut self) {
        for replica in self.replicas.drain(..) {
            replica.end().await;
        }
    }

    /// Seconds since the beginning.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.world.time.seconds_passed()
    }

    /// Lets time pass.
    pub async fn wait(&self, seconds: i64) {
        sleep(Duration::from_secs(seconds.unsigned_abs())).await;
    }
}

/// Plays `scene` in a runtime of its own whose clock stands still while there is work.
pub fn play<T>(scene: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    #[expect(clippy::expect_used, reason = "it has neither threads nor sockets")]
    let runtime = runtime.expect("a runtime");
    runtime.block_on(scene)
}

/// A credential that the operator published.
#[derive(Clone, Debug)]
pub struct Published {
    /// When.
    pub at: Timestamp,
    /// When it was issued.
    pub issued_at: i64,
    /// When it expires.
    pub expires_at: i64,
    /// UID of its access.
    pub uid: String,
}

/// Every credential that the operator published, by Secret (`namespace/name`), oldest first.
#[must_use]
pub fn published(writes: &[Write]) -> BTreeMap<String, Vec<Published>> {
    let mut published: BTreeMap<String, Vec<Published>> = BTreeMap::new();
    for write in writes {
        let Some(secret) = write.after.as_ref() else {
            continue;
        };
        if write.kind != Kind::Secret || &*write.manager != FIELD_MANAGER {
            continue;
        }
        let Some(version) = version(write.at, secret) else {
            continue;
        };
        let key = format!("{}/{}", secret.namespace(), secret.name());
        let versions = published.entry(key).or_default();
        let is_new = |last: &Published| {
            (last.issued_at, last.expires_at) != (version.issued_at, version.expires_at)
        };
        if versions.last().is_none_or(is_new) {
            versions.push(version);
        }
    }
    published
}

fn version(at: Timestamp, secret: &Object) -> Option<Published> {
    let annotations = &secret.value()["metadata"]["annotations"];
    let text = |name: &str| annotations[format!("doclusteraccess.dev/{name}")].as_str();
    let time = |name: &str| Some(text(name)?.parse::<Timestamp>().ok()?.as_second());
    Some(Published {
        at,
        issued_at: time("issued-at")?,
        expires_at: time("expires-at")?,
        uid: text("access-uid")?.to_owned(),
    })
}

/// What a scene came to: figures, and what was not as it must be.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Figures, in order.
    pub figures: Vec<String>,
    /// Some of them by name, for a benchmark.
    pub measured: Vec<(&'static str, f64)>,
    /// What was wrong.
    pub broken: Vec<String>,
}

impl Findings {
    /// Notes a number under the name that a benchmark gives it.
    pub fn measure(&mut self, metric: &'static str, value: impl TryInto<u32>) {
        let value = value.try_into().map_or(f64::NAN, f64::from);
        self.measured.push((metric, value));
    }

    /// Notes a figure.
    pub fn tell(&mut self, figure: String) {
        self.figures.push(figure);
    }

    /// Notes `what` where it is not `right`.
    pub fn demand(&mut self, right: bool, what: impl FnOnce() -> String) {
        if !right {
            self.broken.push(what());
        }
    }
}

/// The most of `times` (in order, in milliseconds) in any window of so many milliseconds.
#[must_use]
pub fn most_within(times: &[i64], window: i64) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, at) in times.iter().enumerate() {
        while times[first] <= at - window {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}
