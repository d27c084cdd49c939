//! The DOClusterAccesses: applying them, and watching them become Ready.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, pin_mut, stream};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::contender::Contender;
use super::error::Error;
use super::world::{NAMESPACE, World};

/// Requests under way at the same time, when there are many to make.
pub(super) const IN_FLIGHT: usize = 16;

/// The name of an access: all are of the same length.
pub(super) fn name(number: usize) -> String {
    format!("access-{number:06}")
}

/// The accesses through `client`.
pub(super) fn api(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("doclusteraccess.dev", "v1alpha1", "DOClusterAccess");
    let resource = ApiResource::from_gvk_with_plural(&kind, "doclusteraccesses");
    Api::namespaced_with(client.clone(), NAMESPACE, &resource)
}

/// Applies one access, as `kubectl apply --server-side` would.
pub(super) async fn apply(
    world: &World,
    contender: &Contender,
    objects: &Api<DynamicObject>,
    number: usize,
) -> Result<(), Error> {
    let object = contender.object(world, number)?;
    let parameters = PatchParams::apply("bench");
    objects
        .patch(&name(number), &parameters, &Patch::Apply(object))
        .await?;
    Ok(())
}

/// Applies many, as fast as 16 writers can.
pub(super) async fn apply_all(
    world: &World,
    contender: &Contender,
    numbers: Range<usize>,
) -> Result<(), Error> {
    let objects = contender.api(world, &world.client).await?;
    stream::iter(numbers)
        .map(|number| apply(world, contender, &objects, number))
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await
}

/// Has all of them replaced when the contender starts again.
pub(super) async fn rotate_all(
    world: &World,
    contender: &Contender,
    numbers: Range<usize>,
) -> Result<(), Error> {
    let Some(annotation) = contender.rotate_annotation() else {
        return Ok(());
    };
    let objects = &contender.api(world, &world.client).await?;
    let patch = &Patch::Merge(json!({"metadata": {"annotations": {annotation: "1"}}}));
    stream::iter(numbers)
        .map(|number| async move {
            let parameters = PatchParams::default();
            objects
                .patch_metadata(&name(number), &parameters, patch)
                .await
        })
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    Ok(())
}

/// Counts, by a watch of its own, the accesses that are Ready.
pub(super) struct ReadyCount {
    count: watch::Receiver<usize>,
    watching: JoinHandle<()>,
}

impl ReadyCount {
    /// Starts watching.
    pub(super) fn start(client: &Client) -> Self {
        let events = watcher(api(client), watcher::Config::default()).default_backoff();
        let (tell, count) = watch::channel(0);
        let watching = tokio::spawn(async move {
            let mut ready = BTreeSet::new();
            let accesses = events.applied_objects();
            pin_mut!(accesses);
            while let Some(access) = accesses.next().await {
                match access {
                    Ok(access) if is_ready(&access.data["status"]) => {
                        ready.extend(access.metadata.name);
                        tell.send_replace(ready.len());
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "the watch on accesses starts again"),
                }
            }
        });
        Self { count, watching }
    }

    /// Returns when `wanted` accesses have become Ready.
    pub(super) async fn reaches(&mut self, wanted: usize, within: Duration) -> Result<(), Error> {
        let reached = timeout(within, self.count.wait_for(|count| *count >= wanted)).await;
        match reached.map(|reached| reached.map(drop)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::WatchEnded),
            Err(_) => Err(Error::TooLong {
                what: "accesses did not become Ready",
                within,
                done: *self.count.borrow(),
                wanted,
            }),
        }
    }
}

impl Drop for ReadyCount {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn is_ready(status: &Value) -> bool {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions
        .into_iter()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_is_ready_by_its_condition_alone() {
        let status = |ready: &str| {
            json!({"conditions": [
                {"type": "Synced", "status": "True"},
                {"type": "Ready", "status": ready},
            ]})
        };
        let are_ready =
            [json!(null), status("False"), status("True")].map(|status| is_ready(&status));
        assert_eq!(are_ready, [false, false, true]);
    }
}
