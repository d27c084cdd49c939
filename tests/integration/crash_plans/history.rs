//! Every version of every Secret of a namespace, from the beginning.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt};
use tokio::task::JoinHandle;

use crate::harness::{Stage, TOKEN_SECRET, eventually};

/// Longer than any plan takes, and as long as an API server lets a watch last.
const WATCH_SECONDS: u32 = 290;

/// A marker in the history: all that happened before it is in it.
const MARKER: &str = "marker";

/// What happened to a Secret.
#[derive(Clone)]
pub(super) enum Change {
    /// It was created or changed, and is now this.
    Written(Secret),
    /// It was removed, and was this.
    Removed(Secret),
}

#[derive(Default)]
struct Told {
    changes: Vec<Change>,
    present: BTreeMap<String, Secret>,
}

/// See the [module](self). The Secret with the API token, and ServiceAccounts' own, are not in it.
pub(super) struct History {
    told: Arc<Mutex<Told>>,
    recording: JoinHandle<()>,
    secrets: Api<Secret>,
}

impl History {
    /// Begins with the stage: nothing was written yet.
    pub(super) async fn of(stage: &Stage) -> Self {
        let secrets = stage.secrets();
        let listed = secrets.list_metadata(&ListParams::default()).await.unwrap();
        let names: Vec<_> = listed.items.iter().map(ResourceExt::name_any).collect();
        assert_eq!(names, [TOKEN_SECRET]);
        let version = listed.metadata.resource_version.unwrap();
        let told = Arc::<Mutex<Told>>::default();
        let recording = tokio::spawn(record(secrets.clone(), version, told.clone()));
        Self {
            told,
            recording,
            secrets,
        }
    }

    /// The Secrets that are there, as far as this history goes.
    pub(super) fn present(&self) -> BTreeMap<String, Secret> {
        let mut present = self.told().present.clone();
        present.remove(MARKER);
        present
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        assert!(!self.recording.is_finished(), "the watch has ended");
        self.told.lock().unwrap()
    }

    /// All changes until now, none left out.
    pub(super) async fn complete(&self, stage: &Stage) -> Vec<Change> {
        stage.put_secret(MARKER, &[("at", "the end")]).await;
        eventually("the history is complete", async || {
            self.told().present.contains_key(MARKER)
        })
        .await;
        let mut changes = self.told().changes.clone();
        changes.pop();
        let listed = self.secrets.list(&ListParams::default()).await.unwrap();
        let mut there: BTreeMap<_, _> = listed
            .into_iter()
            .map(|secret| (secret.name_any(), secret))
            .collect();
        there.retain(|name, _| name != MARKER && name != TOKEN_SECRET);
        let versions = |secrets: &BTreeMap<String, Secret>| -> Vec<_> {
            secrets
                .values()
                .map(ResourceExt::resource_version)
                .collect()
        };
        assert_eq!(
            versions(&there),
            versions(&self.present()),
            "the history lies"
        );
        changes
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.recording.abort();
    }
}

async fn record(secrets: Api<Secret>, version: String, told: Arc<Mutex<Told>>) {
    let parameters = WatchParams::default()
        .timeout(WATCH_SECONDS)
        .disable_bookmarks();
    let mut watch = secrets.watch(&parameters, &version).await.unwrap().boxed();
    while let Some(event) = watch.try_next().await.unwrap() {
        let mut told = told.lock().unwrap();
        let change = match event {
            WatchEvent::Added(secret) | WatchEvent::Modified(secret) => {
                told.present.insert(secret.name_any(), secret.clone());
                Change::Written(secret)
            }
            WatchEvent::Deleted(secret) => {
                told.present.remove(&secret.name_any());
                Change::Removed(secret)
            }
            other => panic!("the watch says {other:?}"),
        };
        told.changes.push(change);
    }
}
