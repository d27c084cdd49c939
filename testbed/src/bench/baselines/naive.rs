//! The naive controller, as kube-rs' examples begin one: at every run it reads the cluster, mints twice, gets
//! the Secret, replaces it, replaces the status, and comes back after a fixed time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};

use super::DOClusterAccess;
use super::digitalocean::DigitalOcean;
use super::secret::{secret, status};

/// Well before the seven days are over.
const INTERVAL: Duration = Duration::from_secs(24 * 3600);
const RETRY: Duration = Duration::from_secs(5);

struct Context {
    kubernetes: Client,
    digitalocean: DigitalOcean,
    /// The generation that was served last, by UID. Without it every status that is written would be one
    /// more run, and two more tokens.
    served: Mutex<HashMap<Option<String>, Option<i64>>>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("Kubernetes: {0}")]
    Kubernetes(#[from] kube::Error),
    #[error("DigitalOcean: {0}")]
    DigitalOcean(#[from] reqwest::Error),
}

/// Runs for ever.
pub(super) async fn run(kubernetes: Client, digitalocean: DigitalOcean) {
    let accesses: Api<DOClusterAccess> = Api::all(kubernetes.clone());
    let context = Arc::new(Context {
        kubernetes,
        digitalocean,
        served: Mutex::default(),
    });
    Controller::new(accesses, watcher::Config::default())
        .run(reconcile, on_error, context)
        .for_each(|_| async {})
        .await;
}

async fn reconcile(access: Arc<DOClusterAccess>, context: Arc<Context>) -> Result<Action, Error> {
    let generation = access.metadata.generation;
    let served = context.served.lock();
    let served = served
        .unwrap_or_else(PoisonError::into_inner)
        .get(&access.uid())
        .copied();
    if served == Some(generation) {
        return Ok(Action::requeue(INTERVAL));
    }
    let cluster = &access.spec.cluster.id;
    context.digitalocean.cluster(cluster).await?;
    let kubeconfig = context.digitalocean.kubeconfig(cluster).await?;
    let credentials = context.digitalocean.credentials(cluster).await?;

    let namespace = access.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(context.kubernetes.clone(), &namespace);
    let mut secret = secret(&access, kubeconfig, &credentials);
    let parameters = PostParams::default();
    match secrets.get_opt(&secret.name_any()).await? {
        Some(present) => {
            secret.metadata.resource_version = present.metadata.resource_version;
            secrets
                .replace(&secret.name_any(), &parameters, &secret)
                .await?;
        }
        None => {
            secrets.create(&parameters, &secret).await?;
        }
    }

    let accesses: Api<DOClusterAccess> = Api::namespaced(context.kubernetes.clone(), &namespace);
    let mut updated = DOClusterAccess::clone(&access);
    updated.status = Some(status(&access, &credentials));
    accesses
        .replace_status(&access.name_any(), &parameters, &updated)
        .await?;
    let served = context.served.lock();
    served
        .unwrap_or_else(PoisonError::into_inner)
        .insert(access.uid(), generation);
    Ok(Action::requeue(INTERVAL))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is that of kube"
)]
fn on_error(access: Arc<DOClusterAccess>, error: &Error, _: Arc<Context>) -> Action {
    tracing::warn!(%error, access = access.name_any(), "to be tried again");
    Action::requeue(RETRY)
}
