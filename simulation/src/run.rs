//! One run: a plan is carried out, and everything that happened comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use do_cluster_access_testbed::api_server::{Kind, Object, Write};
use do_cluster_access_testbed::simulator::{
    Entry as Exchange, Fault, Mint, Operation, Scope as TokenScope,
};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::info;

use crate::deeds::Hands;
use crate::journal::{Entry, Event, Journal, Scope};
use crate::log;
use crate::panics;
use crate::plan::{Deed, Disturbance, Plan, What};
use crate::replica::{Deployment, Replica};
use crate::stage::play;
use crate::weather::{WatchFault, Weather};
use crate::world::World;

/// How long after the last fault the desired state must have been reached, in seconds: 12 minutes, and a
/// minute for queues.
pub const CONVERGENCE_SECONDS: u64 = 13 * 60;
/// How long the calm is watched after that at the most, in seconds: the list of clusters is asked for in it.
const QUIET_SECONDS: u64 = 35 * 60;
/// How often it is looked whether everything is as it should be, in seconds.
const LOOK_SECONDS: u64 = 15;
/// How long after a step of a clock everybody knows.
const STEP_NOTICED: Duration = Duration::from_secs(60);
/// Renewals that every run sees.
const RENEWALS: usize = 10;

/// Everything that happened.
pub struct Record {
    /// What was planned.
    pub plan: Arc<Plan>,
    /// The world as it was left.
    pub world: World,
    /// What was written to the API server.
    pub writes: Vec<Write>,
    /// What DigitalOcean was asked.
    pub exchanges: Vec<Exchange>,
    /// What it minted.
    pub mints: Vec<Mint>,
    /// Everything else.
    pub journal: Vec<Entry>,
    /// How often each fault struck.
    pub faults: BTreeMap<&'static str, u64>,
    /// Seconds of the world's time that passed.
    pub seconds: i64,
    /// What panicked.
    pub panics: Vec<String>,
    /// Words of the log at the level `trace` that are long enough for a credential; empty where nobody listened.
    pub words: BTreeSet<String>,
}

impl Record {
    /// Every write, request and event, a line each, with when it was: two runs of a seed have the same.
    pub fn history(&self) -> impl Iterator<Item = String> {
        let writes = self.writes.iter().map(|write| {
            let object = write.after.as_ref().or(write.before.as_ref());
            let name = object.map(|object| (object.namespace(), object.name()));
            format!(
                "{} write {} {:?} {name:?} by {}",
                write.at, write.version, write.kind, write.manager
            )
        });
        let exchanges = self.exchanges.iter().map(|exchange| {
            let (time, path, status) = (exchange.time, &exchange.path, exchange.status);
            format!("{time} {} {path} {status:?}", exchange.request_id)
        });
        let events = self.journal.iter();
        let events = events.map(|entry| format!("{} {:?}", entry.at, entry.event));
        writes.chain(exchanges).chain(events)
    }

    /// A hash of the [history](Self::history).
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        self.history().for_each(|line| line.hash(&mut hash));
        hash.finish()
    }

    /// How many credentials replaced or began something.
    #[must_use]
    pub fn issues(&self) -> usize {
        let credentials = |mint: &&Mint| mint.operation == Operation::GetCredentials;
        self.mints.iter().filter(credentials).count()
    }
}

/// The same, while somebody reads the log at the level `trace`.
#[must_use]
pub fn run_and_listen(plan: Plan) -> Record {
    let (mut record, words) = log::watch(|| run(plan));
    record.words = words;
    record
}

/// Carries `plan` out, in a runtime of its own whose clock stands still while there is work.
#[must_use]
pub fn run(plan: Plan) -> Record {
    let mut record = play(async { Run::new(plan).carry_out().await });
    record.panics = panics::take();
    record
}

struct Run {
    plan: Arc<Plan>,
    world: World,
    weather: Weather,
    journal: Journal,
    hands: Hands,
    deployment: Deployment,
    replicas: Vec<Replica>,
    /// What goes wrong at present.
    active: BTreeMap<u64, Active>,
    /// How many API tokens each account has had.
    tokens: Vec<u32>,
    /// When a clock was set last, or time went on unnoticed.
    stepped_at: Option<Instant>,
}

/// A disturbance, and what it takes to end it.
struct Active {
    disturbance: Disturbance,
    fault: Option<u64>,
    second_leader: Option<Replica>,
}

/// Replicas that an overlap adds are numbered from here.
const SECOND_LEADER: usize = 7;

impl Run {
    fn new(plan: Plan) -> Self {
        let plan = Arc::new(plan);
        let rng = fastrand::Rng::with_seed(plan.seed ^ 0x5eed);
        let deployment = Deployment::of(&plan, rng);
        Self {
            hands: Hands::new(&deployment.world, &plan),
            tokens: vec![0; plan.accounts.len()],
            replicas: Vec::new(),
            stepped_at: None,
            active: BTreeMap::new(),
            plan,
            world: deployment.world.clone(),
            weather: deployment.weather.clone(),
            journal: deployment.journal.clone(),
            deployment,
        }
    }

    async fn carry_out(mut self) -> Record {
        let began = Instant::now();
        self.hands.furnish().await;
        for index in 0..self.plan.replicas {
            self.replicas.push(Replica::start(index, &self.deployment));
        }
        self.create_accesses(began);
        let plan = self.plan.clone();
        for step in &plan.steps {
            sleep_until(began + seconds(step.at)).await;
            self.take(&step.what).await;
        }
        sleep_until(began + seconds(plan.storm_seconds)).await;
        self.calm().await;
        self.converge().await;
        self.watch_the_calm().await;
        for replica in std::mem::take(&mut self.replicas) {
            replica.end().await;
        }
        let (journal, faults) = self.journal.take();
        Record {
            writes: self.world.api_server.history_after(0),
            exchanges: self.world.digitalocean.take_history(),
            mints: self.world.digitalocean.mints(),
            seconds: self.world.time.seconds_passed(),
            plan: self.plan,
            world: self.world,
            journal,
            faults,
            panics: Vec::new(),
            words: BTreeSet::new(),
        }
    }

    /// Waits until everything looks as it should, or must.
    async fn converge(&self) {
        let deadline = Instant::now() + Duration::from_secs(CONVERGENCE_SECONDS);
        loop {
            sleep(Duration::from_secs(LOOK_SECONDS)).await;
            // It goes round all the time; what was written for somebody who is gone goes with it.
            self.world.api_server.collect_garbage();
            // That a machine was suspended shows at the next turn of the loop.
            let noticed = self
                .stepped_at
                .is_none_or(|at| at.elapsed() >= STEP_NOTICED);
            if Instant::now() >= deadline || noticed && self.looks_right() {
                break;
            }
        }
        self.journal.note(Event::Converged);
    }

    fn looks_right(&self) -> bool {
        let accesses = self.world.api_server.objects(Kind::DOClusterAccess);
        let accounts = self.world.api_server.objects(Kind::DOAccount);
        accesses.len() == self.plan.accesses.len()
            && accesses
                .iter()
                .all(|access| are_true(access, &["Ready", "Synced"]) && !self.has_expired(access))
            && accounts.iter().all(|account| are_true(account, &["Ready"]))
    }

    /// Whether the status tells of a credential that has expired: the operator may be in no state to tell that.
    fn has_expired(&self, access: &Object) -> bool {
        let expires_at = access.value()["status"]["credential"]["expiresAt"].as_str();
        let expires_at = expires_at.and_then(|at| at.parse::<Timestamp>().ok());
        expires_at.is_none_or(|at| at <= self.world.time.now())
    }

    /// Long enough for what happens by itself, and for some renewals in all.
    async fn watch_the_calm(&self) {
        let shortest = self
            .plan
            .accesses
            .iter()
            .map(|access| access.lifetime)
            .min();
        let lifetime = shortest.unwrap_or_default().unsigned_abs();
        sleep(Duration::from_secs(lifetime.min(QUIET_SECONDS))).await;
        for _ in 0..RENEWALS {
            let credentials = |mint: &&Mint| mint.operation == Operation::GetCredentials;
            let mints = self.world.digitalocean.mints();
            if mints.iter().filter(credentials).count() >= RENEWALS + self.plan.accesses.len() {
                break;
            }
            sleep(Duration::from_secs(lifetime)).await;
        }
    }

    fn create_accesses(&self, began: Instant) {
        for (index, access) in self.plan.accesses.iter().enumerate() {
            let (hands, spec) = (self.hands.clone(), access.spec.clone());
            let at = began + seconds(access.created_at);
            tokio::spawn(async move {
                sleep_until(at).await;
                hands.create_access(index, &spec).await;
            });
        }
    }

    async fn take(&mut self, what: &What) {
        info!(?what, "step");
        match what {
            What::Begin(id, disturbance) => self.begin(*id, disturbance).await,
            What::Finish(id) => self.finish(*id).await,
            What::Do(deed) => self.perform(deed).await,
            What::CrashAt(plan) => self.weather.plan_crash(*plan),
            What::Kill(replica) => self.replicas[*replica].kill(),
            What::Restart(replica) => self.replicas[*replica].restart(),
            What::Skew(replica, seconds) => {
                self.replicas[*replica].clock.set_skew(*seconds);
                self.journal.count("clock: step");
                self.journal.note(Event::Skew {
                    replica: *replica,
                    seconds: *seconds,
                });
            }
            What::Jump(seconds) => {
                self.world.time.jump(*seconds);
                self.stepped_at = Some(Instant::now());
                self.journal.count("clock: machine suspended");
                self.journal.note(Event::Jump { seconds: *seconds });
            }
        }
    }

    /// Whom a disturbance keeps from being served.
    fn scope(&self, disturbance: &Disturbance) -> Scope {
        let account = |index: usize| Scope::Account(self.plan.accounts[index].label.clone());
        let cluster = |account: usize, cluster: usize| {
            Scope::Cluster(self.plan.accounts[account].clusters[cluster].id.clone())
        };
        match disturbance {
            Disturbance::Api(..)
            | Disturbance::NextApi(..)
            | Disturbance::NextDigitalOcean { .. }
            | Disturbance::Watches(..)
            | Disturbance::NoConnection(_)
            | Disturbance::DigitalOcean { account: None, .. }
            | Disturbance::Target(None, _)
            | Disturbance::Overlap => Scope::Everything,
            Disturbance::Target(Some((index, which)), _)
            | Disturbance::ClusterState(index, which, _) => cluster(*index, *which),
            Disturbance::Suspended(access) | Disturbance::Occupied(access) => {
                Scope::Access(self.plan.accesses[*access].key())
            }
            Disturbance::DigitalOcean {
                account: Some(index),
                ..
            }
            | Disturbance::NoTokenSecret(index)
            | Disturbance::TokenGarbled(index)
            | Disturbance::TokenRevoked(index)
            | Disturbance::TokenReadOnly(index)
            | Disturbance::NotAllowed(index)
            | Disturbance::OtherUser(index, _) => account(*index),
        }
    }

    async fn begin(&mut self, id: u64, disturbance: &Disturbance) {
        // What waits for a request disturbs nobody before.
        let waits = matches!(
            disturbance,
            Disturbance::NextApi(..) | Disturbance::NextDigitalOcean { .. }
        );
        if !waits {
            self.journal.note(Event::Begin {
                id,
                scope: self.scope(disturbance),
                what: format!("{disturbance:?}"),
            });
        }
        let mut active = Active {
            disturbance: disturbance.clone(),
            fault: None,
            second_leader: None,
        };
        match disturbance {
            Disturbance::Api(fault, percent) => self.weather.begin_api(id, *fault, *percent),
            Disturbance::NextApi(fault, times) => self.weather.strike_api(id, *fault, *times),
            Disturbance::NextDigitalOcean {
                operation,
                fault,
                times,
            } => {
                let mut fault = Fault::new(fault.clone()).times(*times);
                fault.matches.operation = *operation;
                active.fault = self.world.digitalocean.inject(fault).ok();
            }
            Disturbance::Watches(fault, percent) => {
                self.weather.begin_watches(id, *fault, *percent);
            }
            Disturbance::NoConnection(percent) => self.weather.begin_no_connection(id, *percent),
            Disturbance::Target(which, fault) => {
                let cluster = which.map(|(account, cluster)| {
                    self.plan.accounts[account].clusters[cluster].id.clone()
                });
                self.weather.begin_target(id, cluster, *fault);
            }
            Disturbance::DigitalOcean {
                account,
                operation,
                fault,
                percent,
            } => {
                let mut fault = Fault::new(fault.clone());
                fault.matches.operation = *operation;
                fault.matches.account =
                    account.map(|account| self.plan.accounts[account].label.clone());
                fault.probability = f64::from(*percent) / 100.0;
                active.fault = self.world.digitalocean.inject(fault).ok();
            }
            Disturbance::Suspended(access) => {
                let change = serde_json::json!({"suspend": true});
                self.hands.patch_spec(*access, change).await;
            }
            Disturbance::NoTokenSecret(account) => self.hands.remove_token(*account).await,
            Disturbance::TokenGarbled(account) => {
                self.hands.put_token(*account, "not a token").await;
            }
            Disturbance::TokenRevoked(account) => {
                let token = self.token(*account);
                drop(self.world.digitalocean.revoke_token(&token));
            }
            Disturbance::TokenReadOnly(account) => {
                self.open(*account, TokenScope::ReadOnly);
            }
            Disturbance::NotAllowed(account) => {
                let account = &self.plan.accounts[*account];
                if account.shared {
                    self.hands.put_account(account, &["nobody"]).await;
                }
            }
            Disturbance::ClusterState(account, cluster, state) => {
                self.hands.set_state(*account, *cluster, state);
            }
            Disturbance::Occupied(access) => self.hands.occupy(*access).await,
            Disturbance::Overlap => {
                let alone = Deployment {
                    election: None,
                    ..self.deployment.clone()
                };
                active.second_leader = Some(Replica::start(SECOND_LEADER, &alone));
            }
            Disturbance::OtherUser(account, requests) => {
                self.hands.use_up(&self.token(*account), *requests);
            }
        }
        self.active.insert(id, active);
    }

    fn token(&self, account: usize) -> String {
        Hands::token_name(account, self.tokens[account])
    }

    /// Lets the present token of an account do so much.
    fn open(&self, account: usize, scope: TokenScope) {
        let label = &self.plan.accounts[account].label;
        let token = self.token(account);
        drop(self.world.digitalocean.add_token(label, &token, scope));
    }

    async fn finish(&mut self, id: u64) {
        let Some(active) = self.active.remove(&id) else {
            return;
        };
        self.weather.end(id);
        if let Some(fault) = active.fault {
            // It may have been used up.
            drop(self.world.digitalocean.clear_fault(fault));
        }
        if let Some(replica) = active.second_leader {
            replica.end().await;
        }
        match active.disturbance {
            Disturbance::Watches(WatchFault::Drop, _) => {
                // Who was told of a later event than the one left out must find its version too old, as well.
                self.hands.write_elsewhere().await;
                self.world.api_server.compact();
                self.weather.cut_watches();
            }
            Disturbance::Suspended(access) => {
                let change = serde_json::json!({"suspend": false});
                self.hands.patch_spec(access, change).await;
            }
            Disturbance::NoTokenSecret(account) | Disturbance::TokenGarbled(account) => {
                self.hands.put_token(account, &self.token(account)).await;
            }
            Disturbance::TokenRevoked(account) | Disturbance::TokenReadOnly(account) => {
                self.open(account, TokenScope::Full);
            }
            Disturbance::NotAllowed(account) => {
                let account = &self.plan.accounts[account];
                if account.shared {
                    self.hands.put_account(account, &["*"]).await;
                }
            }
            Disturbance::ClusterState(account, cluster, _) => {
                self.hands.set_state(account, cluster, "running");
            }
            Disturbance::Occupied(access) => self.hands.vacate(access).await,
            _ => {}
        }
        self.journal.note(Event::Finish { id });
    }

    async fn perform(&mut self, deed: &Deed) {
        self.journal.note(Event::Deed {
            scope: self.scope_of(deed),
            what: format!("{deed:?}"),
        });
        match deed {
            Deed::CutWatches => self.weather.cut_watches(),
            Deed::Compact => {
                self.journal.count("watch: 410");
                self.world.api_server.compact();
                self.weather.cut_watches();
            }
            Deed::ReplaceToken(account) => {
                let old = self.token(*account);
                self.tokens[*account] += 1;
                self.open(*account, TokenScope::Full);
                self.hands.put_token(*account, &self.token(*account)).await;
                drop(self.world.digitalocean.revoke_token(&old));
            }
            deed => self.hands.perform(deed).await,
        }
    }

    fn scope_of(&self, deed: &Deed) -> Scope {
        match deed {
            Deed::Rotate(access, _)
            | Deed::Lifetime(access, _)
            | Deed::Margin(access, _)
            | Deed::Label(access, _)
            | Deed::Source(access)
            | Deed::Verification(access, _)
            | Deed::AddOutput(access, _)
            | Deed::RemoveOutput(access)
            | Deed::RenameOutput(access, _)
            | Deed::OtherCluster(access, _)
            | Deed::Recreate(access, _)
            | Deed::DeleteSecret(access)
            | Deed::EditSecret(access, _) => Scope::Access(self.plan.accesses[*access].key()),
            Deed::ReplaceToken(account) => {
                Scope::Account(self.plan.accounts[*account].label.clone())
            }
            Deed::RevokeMinted(account, cluster) | Deed::RenameCluster(account, cluster, _) => {
                Scope::Cluster(self.plan.accounts[*account].clusters[*cluster].id.clone())
            }
            Deed::CutWatches | Deed::Compact => Scope::Everything,
        }
    }

    /// Ends everything that is wrong.
    async fn calm(&mut self) {
        let active: Vec<u64> = self.active.keys().copied().collect();
        for id in active {
            self.finish(id).await;
        }
        self.weather.clear();
        self.world.digitalocean.clear_faults();
        for (index, replica) in self.replicas.iter().enumerate() {
            if replica.clock.skew() != 0 {
                replica.clock.set_skew(0);
                self.stepped_at = Some(Instant::now());
                self.journal.note(Event::Skew {
                    replica: index,
                    seconds: 0,
                });
            }
        }
        let plan = self.plan.clone();
        for (index, account) in plan.accounts.iter().enumerate() {
            for (which, cluster) in account.clusters.iter().enumerate() {
                self.hands.name_cluster(index, which, &cluster.name);
            }
        }
        self.journal.note(Event::Calm);
    }
}

/// Whether these conditions are true of the present spec.
fn are_true(object: &Object, wanted: &[&str]) -> bool {
    let value = object.value();
    let conditions = value["status"]["conditions"].as_array();
    wanted.iter().all(|wanted| {
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|found| {
            found["type"] == *wanted
                && found["status"] == "True"
                && found["observedGeneration"] == value["metadata"]["generation"]
        })
    })
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}
