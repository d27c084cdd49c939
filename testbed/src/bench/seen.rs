//! The Secrets as a watch sees them that is not the contender's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::error::Error;
use super::world::NAMESPACE;

/// What has been seen so far.
pub(super) struct Seen {
    secrets: Arc<Mutex<Secrets>>,
    changes: watch::Receiver<()>,
    watching: JoinHandle<()>,
}

#[derive(Default)]
struct Secrets {
    /// Every Secret with the version that was seen last, and whether that is later than the mark.
    versions: HashMap<String, (String, Option<Instant>)>,
    /// How many were changed after the mark.
    changed: usize,
}

impl Secrets {
    fn see(&mut self, name: String, version: String, at: Instant) {
        let known = self.versions.get_mut(&name);
        match known {
            // The list with which a watch begins again.
            Some((seen, _)) if *seen == version => {}
            Some((seen, first)) => {
                *seen = version;
                if first.is_none() {
                    *first = Some(at);
                    self.changed += 1;
                }
            }
            None => {
                self.versions.insert(name, (version, Some(at)));
                self.changed += 1;
            }
        }
    }
}

impl Seen {
    /// Starts watching.
    pub(super) fn start(client: &Client) -> Self {
        let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(client.clone(), NAMESPACE);
        let events = watcher(api, watcher::Config::default()).default_backoff();
        let secrets = Arc::new(Mutex::new(Secrets::default()));
        let (tell, changes) = watch::channel(());
        let noted = secrets.clone();
        let watching = tokio::spawn(async move {
            let events = events.applied_objects();
            pin_mut!(events);
            while let Some(secret) = events.next().await {
                let now = Instant::now();
                match secret {
                    Ok(secret) => {
                        let name = secret.metadata.name.unwrap_or_default();
                        let version = secret.metadata.resource_version.unwrap_or_default();
                        if name.contains("access-") {
                            lock(&noted).see(name, version, now);
                            tell.send_replace(());
                        }
                    }
                    Err(error) => tracing::warn!(%error, "the watch on Secrets starts again"),
                }
            }
        });
        Self {
            secrets,
            changes,
            watching,
        }
    }

    /// From now on only what changes later counts.
    pub(super) fn mark(&self) {
        let mut secrets = lock(&self.secrets);
        secrets.changed = 0;
        for (_, first) in secrets.versions.values_mut() {
            *first = None;
        }
    }

    /// When a Secret was first changed, or made, after the mark.
    pub(super) fn changed_at(&self, name: &str) -> Option<Instant> {
        lock(&self.secrets).versions.get(name)?.1
    }

    /// Waits until so many are changed, or made, after the mark.
    pub(super) async fn reaches(&self, wanted: usize, within: Duration) -> Result<(), Error> {
        let enough = || lock(&self.secrets).changed >= wanted;
        self.wait(within, wanted, enough).await
    }

    /// Waits until this one is, and says when it was.
    pub(super) async fn one(&self, name: &str, within: Duration) -> Result<Instant, Error> {
        let is_there = || self.changed_at(name).is_some();
        self.wait(within, 1, is_there).await?;
        self.changed_at(name).ok_or(Error::WatchEnded)
    }

    async fn wait(
        &self,
        within: Duration,
        wanted: usize,
        done: impl Fn() -> bool,
    ) -> Result<(), Error> {
        let mut changes = self.changes.clone();
        let in_time = timeout(within, changes.wait_for(|()| done())).await;
        match in_time.map(|told| told.map(drop)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::WatchEnded),
            Err(_) => Err(Error::TooLong {
                what: "Secrets were not written",
                within,
                done: lock(&self.secrets).changed,
                wanted,
            }),
        }
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn lock(secrets: &Mutex<Secrets>) -> MutexGuard<'_, Secrets> {
    secrets.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_changes_after_the_mark_counts_and_each_secret_once() {
        let mut secrets = Secrets::default();
        let now = Instant::now();
        let see = |secrets: &mut Secrets, name: &str, version: &str| {
            secrets.see(name.to_owned(), version.to_owned(), now);
            secrets.changed
        };
        assert_eq!(see(&mut secrets, "a", "1"), 1);
        assert_eq!(see(&mut secrets, "a", "2"), 1);
        secrets.changed = 0;
        for (_, first) in secrets.versions.values_mut() {
            *first = None;
        }
        assert_eq!(see(&mut secrets, "a", "2"), 0, "a list tells it again");
        assert_eq!(see(&mut secrets, "a", "3"), 1);
        assert_eq!(see(&mut secrets, "a", "4"), 1);
        assert_eq!(see(&mut secrets, "b", "5"), 2);
    }
}
