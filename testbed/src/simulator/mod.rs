//! A simulator of the part of DigitalOcean's API that hands out access to Kubernetes clusters.
//!
//! It behaves as the documented API does (minting, expiry, both rate limits, paging, states, single sign-on,
//! certificate clusters), goes wrong on demand ([`Fault`]), writes down every request ([`Entry`]), and answers the
//! `TokenReview` of an API server that plays the target cluster, so that a minted token works, and expires, for real.
//!
//! The core (`state`) is a deterministic state machine that is told the time. Around it, `http` makes an
//! [`axum::Router`] of it, which is served on a socket ([`Simulator::serve`]) or called in-process
//! ([`Simulator::service`]), in virtual time if need be: it waits with `tokio::time` alone.
//!
//! Where DigitalOcean documents nothing, the simulator decides as follows:
//! * A malformed parameter, and `type=sso` on a cluster without single sign-on, are 400 `bad_request`.
//! * A cluster whose `sso.required` is set refuses tokens with 403.
//! * A request that a rate limit refuses does not count towards the limits; one with a known API token that gets any
//!   other answer does.
//! * `ratelimit-remaining` is that of the hour, and 0 on either 429.
//! * Any `Accept` gets the document in the one format that there is.

mod account;
mod answer;
mod authority;
mod call;
mod cluster;
pub mod command;
mod control;
mod documents;
mod fault;
mod history;
mod http;
mod limits;
mod mint;
mod randomness;
mod server;
mod state;
mod token_review;

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

pub use self::account::{Account, Scope, User};
pub use self::answer::{Answer, Delivery};
pub use self::authority::CertificateAndKey;
pub use self::call::{Operation, Request};
pub use self::cluster::{Authentication, CertificateExpiry, Cluster, Sso};
pub use self::fault::{
    BrokenAuthority, ErrorBody, ExpiresAt, Fault, FaultKind, FaultMatch, InjectedFault,
    KubeconfigDefect, Moment, Stage,
};
pub use self::history::{Entry, MintedInEntry};
pub use self::http::{ConnectionReset, SimulatorService};
pub use self::limits::{LimitWindow, Limits};
pub use self::mint::{Mint, MintKind, MintSelector};
pub use self::randomness::fingerprint;
pub use self::server::RunningSimulator;
use self::state::State;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of this machine.
#[must_use]
pub fn system_clock() -> Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the simulator meets the real clock; everything else is handed a Clock"
    )]
    Arc::new(Timestamp::now)
}

/// What a simulator is made from.
pub struct Settings {
    /// Decides every token, id, latency and fault of less than certain probability.
    pub seed: u64,
    /// The rate limits of accounts that have none of their own.
    pub limits: Limits,
    /// How long answers take.
    pub latency: Latency,
    /// The time.
    pub clock: Clock,
    /// Signs the client certificates of certificate clusters; absent: one is made from the seed
    /// ([`Simulator::client_certificate_authority`]).
    pub client_authority: Option<CertificateAndKey>,
    /// Where each history entry is written as a line of JSON, as it happens.
    pub history: Option<Box<dyn Write + Send>>,
}

impl Default for Settings {
    /// DigitalOcean's limits, no latency, the clock of this machine, seed 0.
    fn default() -> Self {
        Self {
            seed: 0,
            limits: Limits::default(),
            latency: Latency::default(),
            clock: system_clock(),
            client_authority: None,
            history: None,
        }
    }
}

/// How long an answer takes: uniformly between the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// At the least.
    pub least: Duration,
    /// At the most.
    pub most: Duration,
}

/// What the simulator cannot do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no account of that label.
    #[error("there is no account {0:?}")]
    UnknownAccount(String),
    /// There is an account of that label.
    #[error("there is an account {0:?} already")]
    AccountExists(String),
    /// There are several accounts, or none, so that one must be named.
    #[error("name the account: there are {0} of them")]
    AccountNotNamed(usize),
    /// No account has that API token.
    #[error("no account has that API token")]
    UnknownToken,
    /// No account has that cluster.
    #[error("there is no cluster {0:?}")]
    UnknownCluster(String),
    /// An account has that cluster.
    #[error("there is a cluster {0:?} already")]
    ClusterExists(String),
    /// The id of a cluster never changes.
    #[error("the id of cluster {0:?} cannot change")]
    ClusterIdChanged(String),
    /// The fault cannot be carried out as written.
    #[error("the fault is invalid: {0}")]
    InvalidFault(String),
    /// No fault of that id is in force.
    #[error("no fault {0} is in force")]
    UnknownFault(u64),
    /// A certificate authority that cannot be used.
    #[error("the certificate authority cannot be used: {0}")]
    Authority(#[from] rcgen::Error),
}

/// A simulated DigitalOcean. Clones are the same one.
#[derive(Clone)]
pub struct Simulator {
    state: Arc<Mutex<State>>,
    clock: Clock,
    history: Arc<Mutex<Option<Box<dyn Write + Send>>>>,
}

impl Simulator {
    /// A DigitalOcean without any account.
    ///
    /// # Errors
    /// When the given certificate authority cannot be used.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        Ok(Self {
            state: Arc::new(Mutex::new(State::new(&settings)?)),
            clock: settings.clock,
            history: Arc::new(Mutex::new(settings.history)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Adds an account without API token and clusters.
    ///
    /// # Errors
    /// When there is one of that label.
    pub fn add_account(&self, account: Account) -> Result<(), Error> {
        self.state().add_account(account)
    }

    /// Every account, by label.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        self.state().accounts()
    }

    /// Lets an API token open an account; one that was revoked works again, and one that opened another account moves.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn add_token(&self, account: &str, token: &str, scope: Scope) -> Result<(), Error> {
        self.state().add_token(account, token, scope)
    }

    /// From now on the API token is answered with 401. What was minted with it lives on.
    ///
    /// # Errors
    /// When no account has it.
    pub fn revoke_token(&self, token: &str) -> Result<(), Error> {
        self.state().revoke_token(token)
    }

    /// A new API token, drawn from the seed. It opens nothing until it is [added](Self::add_token).
    #[must_use]
    pub fn draw_api_token(&self) -> String {
        self.state().draw_api_token()
    }

    /// Adds a cluster to an account; the answer is its id.
    ///
    /// # Errors
    /// When there is no such account, or any account has a cluster of that id.
    pub fn add_cluster(&self, account: &str, cluster: Cluster) -> Result<String, Error> {
        let now = self.now();
        self.state().add_cluster(now, account, cluster)
    }

    /// Every cluster with the label of its account, by label and id.
    #[must_use]
    pub fn clusters(&self) -> Vec<(String, Cluster)> {
        self.state().clusters()
    }

    /// One cluster, as it was given (a state that time has changed excepted).
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn cluster(&self, id: &str) -> Result<Cluster, Error> {
        self.state().cluster(id)
    }

    /// Changes a cluster in place.
    ///
    /// # Errors
    /// When there is none of that id, or the change concerns the id itself.
    pub fn update_cluster(&self, id: &str, change: impl FnOnce(&mut Cluster)) -> Result<(), Error> {
        let mut state = self.state();
        let mut cluster = state.cluster(id)?;
        change(&mut cluster);
        state.replace_cluster(id, cluster)
    }

    /// Removes a cluster: 404 from now on, and its minted tokens die.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn remove_cluster(&self, id: &str) -> Result<Cluster, Error> {
        self.state().remove_cluster(id)
    }

    /// Lets something go wrong; the answer is the fault's id.
    ///
    /// # Errors
    /// When the fault cannot be carried out as written.
    pub fn inject(&self, fault: Fault) -> Result<u64, Error> {
        self.state().inject(fault)
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> Vec<InjectedFault> {
        self.state().faults.all().to_vec()
    }

    /// Ends one fault.
    ///
    /// # Errors
    /// When none of that id is in force.
    pub fn clear_fault(&self, id: u64) -> Result<(), Error> {
        let was_in_force = self.state().faults.remove(id);
        was_in_force.then_some(()).ok_or(Error::UnknownFault(id))
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Every request so far, or since the last [`Self::take_history`].
    #[must_use]
    pub fn history(&self) -> Vec<Entry> {
        self.state().history.clone()
    }

    /// The same, and forgets it.
    #[must_use]
    pub fn take_history(&self) -> Vec<Entry> {
        std::mem::take(&mut self.state().history)
    }

    /// Every credential that was ever minted, in order.
    #[must_use]
    pub fn mints(&self) -> Vec<Mint> {
        self.state().mints.all().to_vec()
    }

    /// The credential with this [`fingerprint`], if it was ever minted.
    #[must_use]
    pub fn mint(&self, fingerprint: &str) -> Option<Mint> {
        self.state().mints.find(fingerprint).cloned()
    }

    /// Who a minted token is; `None` when it has expired, was revoked or never existed, or its cluster is gone.
    #[must_use]
    pub fn review(&self, token: &str) -> Option<User> {
        let now = self.now();
        self.state().review(now, token, None)
    }

    /// The same, as seen from one cluster: a token of another is nobody.
    #[must_use]
    pub fn review_at(&self, cluster: &str, token: &str) -> Option<User> {
        let now = self.now();
        self.state().review(now, token, Some(cluster))
    }

    /// Lets minted tokens die early; the answer says how many did.
    #[must_use]
    pub fn revoke_minted(&self, selector: &MintSelector) -> usize {
        let now = self.now();
        self.state().revoke_minted(now, selector)
    }

    /// PEM of the authority behind the client certificates of certificate clusters: what an API server needs as
    /// `--client-ca-file` to accept them.
    #[must_use]
    pub fn client_certificate_authority(&self) -> String {
        self.state().client_authority().to_owned()
    }

    /// PEM of the certificate authority of clusters that were given none.
    #[must_use]
    pub fn cluster_certificate_authority(&self) -> String {
        self.state().cluster_authority().to_owned()
    }

    /// Answers a request that arrives now. [`Self::service`] is this behind HTTP, with the delivery carried out.
    #[must_use]
    pub fn handle(&self, request: &Request) -> Answer {
        // Taken first, so that lines are written in the order of the entries.
        let mut sink = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        let mut state = self.state();
        let answer = state.handle(now, request);
        let entry = sink.is_some().then(|| state.history.last().cloned());
        drop(state);
        if let (Some(writer), Some(Some(entry))) = (sink.as_mut(), entry)
            && let Err(error) = write_line(writer, &entry)
        {
            tracing::error!(%error, "the history can no longer be written");
            *sink = None;
        }
        answer
    }
}

fn write_line(writer: &mut impl Write, entry: &Entry) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    writer.write_all(&line)?;
    writer.flush()
}
