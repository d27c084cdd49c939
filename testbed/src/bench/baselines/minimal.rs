//! The minimal controller: a watch, the two calls, one Secret apply and one status apply, 16 at a time. It
//! checks nothing, tells nothing, and renews nothing of itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::super::accesses::IN_FLIGHT;
use super::DOClusterAccess;
use super::digitalocean::DigitalOcean;
use super::secret::{secret, status};

const FIELD_MANAGER: &str = "minimal";

/// Runs for ever.
pub(super) async fn run(kubernetes: Client, digitalocean: DigitalOcean) {
    let accesses: Api<DOClusterAccess> = Api::all(kubernetes.clone());
    // The generation that was served last: its own status writes come back by the watch.
    let served = Mutex::new(HashMap::new());
    let is_new = |access: &DOClusterAccess| {
        let mut served = served.lock().unwrap_or_else(PoisonError::into_inner);
        served.insert(access.uid(), access.metadata.generation) != Some(access.metadata.generation)
    };
    watcher(accesses, watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .for_each_concurrent(IN_FLIGHT, |access| {
            let new = access.ok().filter(is_new);
            let (kubernetes, digitalocean) = (&kubernetes, &digitalocean);
            async move {
                if let Some(access) = new
                    && let Err(error) = publish(kubernetes, digitalocean, &access).await
                {
                    tracing::error!(%error, access = access.name_any(), "not published");
                }
            }
        })
        .await;
}

async fn publish(
    kubernetes: &Client,
    digitalocean: &DigitalOcean,
    access: &DOClusterAccess,
) -> Result<(), Box<dyn std::error::Error>> {
    let cluster = &access.spec.cluster.id;
    let (kubeconfig, credentials) = futures::try_join!(
        digitalocean.kubeconfig(cluster),
        digitalocean.credentials(cluster)
    )?;
    let namespace = access.namespace().unwrap_or_default();
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let secret = secret(access, kubeconfig, &credentials);
    let secrets: Api<Secret> = Api::namespaced(kubernetes.clone(), &namespace);
    secrets
        .patch_metadata(&secret.name_any(), &parameters, &Patch::Apply(&secret))
        .await?;
    let accesses: Api<DOClusterAccess> = Api::namespaced(kubernetes.clone(), &namespace);
    let status = json!({
        "apiVersion": "doclusteraccess.dev/v1alpha1",
        "kind": "DOClusterAccess",
        "metadata": {"name": access.name_any()},
        "status": status(access, &credentials),
    });
    accesses
        .patch_status(&access.name_any(), &parameters, &Patch::Apply(&status))
        .await?;
    Ok(())
}
