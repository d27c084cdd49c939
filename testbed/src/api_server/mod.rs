//! kube-apiserver 1.36 in memory, as far as the operator and its tests use it: a tower service for
//! [`kube::Client`] that needs no network, no thread and no clock of its own. The same requests in the
//! same order always give the same answers, UIDs and versions included.
//!
//! ```
//! use do_cluster_access_testbed::api_server::{ApiServer, Kind};
//! use jiff::Timestamp;
//! use k8s_openapi::api::core::v1::Secret;
//! use kube::Api;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let api_server = ApiServer::new(|| Timestamp::UNIX_EPOCH, 0);
//! api_server.create_namespace("team-a");
//! let secrets: Api<Secret> = Api::namespaced(api_server.client(), "team-a");
//! assert!(secrets.get_opt("prod").await.unwrap().is_none());
//! assert!(api_server.objects(Kind::Secret).is_empty());
//! # }
//! ```
//!
//! That it answers like the real one is checked by the conformance suite of the operator's integration
//! tests, which puts the same requests to both. What it does not know is answered with 501, so that
//! nothing relies on it unnoticed: other kinds of patches, finalizers, deletion in the foreground, dry
//! runs. It does not authenticate or authorise, and has no admission but that of namespaces. Of the rules
//! for custom resources it knows what is required and what may not be null, and no others; of those for
//! Secrets, types, immutability, labels and owners.

mod apply;
mod delete;
mod errors;
mod fields;
mod garbage;
mod managed;
mod merge;
mod object;
mod read;
mod resources;
mod routes;
mod schema;
mod selectors;
mod service;
mod storage;
#[cfg(test)]
mod tests;
mod validation;
mod watch;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use serde_json::json;
use tokio::sync::Notify;

pub use self::object::Object;
pub use self::resources::Kind;
pub use self::service::{AnswerBody, Service};
use self::storage::State;
pub use self::storage::{Verb, Write};

/// Tells the time.
type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// An API server in memory. Clones are the same one.
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    /// Wakes the watches of a kind.
    changed: [Notify; Kind::ALL.len()],
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those that watch what was written after `version`.
    fn announce(&self, state: &State, version: u64) {
        for write in state.log_after(version) {
            self.changed[write.kind as usize].notify_waiters();
        }
    }
}

impl ApiServer {
    /// An empty one, at version 1. `seed` decides on UIDs.
    pub fn new(clock: impl Fn() -> Timestamp + Send + Sync + 'static, seed: u64) -> Self {
        let state = Mutex::new(State::new(Box::new(clock), seed));
        let changed = Default::default();
        Self {
            shared: Arc::new(Shared { state, changed }),
        }
    }

    /// Answers requests.
    #[must_use]
    pub fn service(&self) -> Service {
        Service {
            shared: self.shared.clone(),
        }
    }

    /// A client of it, which belongs to the async runtime of the caller.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.service(), "default")
    }

    /// Creates a namespace where there is none of that name.
    pub fn create_namespace(&self, name: &str) {
        self.write(|state| {
            if state.namespace_is_active(name).is_none() {
                let call = routes::Call {
                    action: routes::Action::Create,
                    kind: Kind::Namespace,
                    namespace: String::new(),
                    name: String::new(),
                    status: false,
                    query: routes::Query::default(),
                    metadata_only: false,
                    manager: "testbed".to_owned(),
                };
                let created = state.create(&call, json!({"metadata": {"name": name}}));
                debug_assert!(created.is_ok(), "a namespace needs nothing but a name");
            }
        });
    }

    /// The version of the last write.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.shared.lock().version
    }

    /// All objects of a kind as they are now, by namespace and name.
    #[must_use]
    pub fn objects(&self, kind: Kind) -> Vec<Arc<Object>> {
        self.shared.lock().objects(kind).values().cloned().collect()
    }

    /// One object as it is now; `namespace` is empty for what is in none.
    #[must_use]
    pub fn object(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.shared.lock().get(kind, namespace, name).cloned()
    }

    /// The writes after `version`, in order, as far as they were not [taken](Self::take_history).
    #[must_use]
    pub fn history_after(&self, version: u64) -> Vec<Write> {
        self.shared.lock().log_after(version).cloned().collect()
    }

    /// The writes so far, which are forgotten: whoever lists or watches from an older version, or has not
    /// been told of all of them, is answered 410.
    #[must_use = "what was written is forgotten"]
    pub fn take_history(&self) -> Vec<Write> {
        self.shared.lock().take_log()
    }

    /// Makes all versions before the present one unknown: to list or watch from one of them is answered
    /// 410. Watches that are under way go on.
    pub fn compact(&self) {
        let mut state = self.shared.lock();
        state.compacted = state.version;
    }

    /// How often watches that begin from now on are told how far they are: rarer than a real API server
    /// does, a month costs less time.
    pub fn set_bookmark_interval(&self, interval: Duration) {
        self.shared.lock().bookmark_interval = interval;
    }

    /// What the garbage collector does: deletes objects whose owners are all gone, and removes
    /// references to owners that are gone from others. Returns how many objects were deleted.
    pub fn collect_garbage(&self) -> usize {
        self.write(State::collect_garbage)
    }

    /// What the namespace controller does first: deletes everything in a namespace.
    pub fn empty_namespace(&self, name: &str) {
        self.write(|state| state.empty_namespace(name));
    }

    /// What the namespace controller does last: removes terminating namespaces that are empty.
    pub fn remove_terminated_namespaces(&self) {
        self.write(State::remove_terminated_namespaces);
    }

    fn write<T>(&self, write: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.shared.lock();
        let before = state.version;
        let outcome = write(&mut state);
        self.shared.announce(&state, before);
        outcome
    }
}
