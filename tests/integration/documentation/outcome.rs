//! What comes of the manifests.

use std::collections::BTreeSet;

use do_cluster_access::api::DOClusterAccess;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::manifests::{Manifest, of_kind};
use super::reader::Reader;
use super::references::{self, SecretReference};
use crate::harness::{PATIENCE, has_condition};

/// How an Application names the cluster that Argo CD runs in, for which there is no Secret.
const THIS_CLUSTER: &str = "https://kubernetes.default.svc";

impl Reader<'_> {
    /// Waits until the accesses among these manifests are Ready and have nothing left to do.
    pub(super) async fn accesses_become_ready(&self, manifests: &[Manifest]) {
        let accesses = of_kind(manifests, "DOClusterAccess");
        let accesses = accesses.filter(|access| access.value["spec"]["suspend"] != json!(true));
        join_all(accesses.map(|access| self.becomes_ready(access))).await;
    }

    async fn becomes_ready(&self, manifest: &Manifest) {
        let accesses: Api<DOClusterAccess> =
            Api::namespaced(self.stage.client.clone(), manifest.namespace());
        let ready = |access: Option<&DOClusterAccess>| {
            access.is_some_and(|access| {
                has_condition(access, "Ready", "True", "Published")
                    && has_condition(access, "Synced", "True", "UpToDate")
            })
        };
        let waiting = await_condition(accesses.clone(), manifest.name(), ready);
        if timeout(PATIENCE, waiting).await.is_err() {
            let status = accesses.get(manifest.name()).await.unwrap().status;
            panic!(
                "{}: {} is not ready: {status:#?}",
                manifest.origin,
                manifest.name()
            );
        }
    }

    /// Looks for every Secret and key that a consumer among these manifests reads, where an access among them
    /// writes Secrets into that namespace at all. Returns how many were found.
    pub(super) async fn secrets_hold_what_consumers_name(&self, manifests: &[Manifest]) -> usize {
        let accesses = of_kind(manifests, "DOClusterAccess");
        let written: BTreeSet<_> = accesses.map(Manifest::namespace).collect();
        let mut found = 0;
        for manifest in manifests {
            for reference in references::of(manifest) {
                if written.contains(reference.namespace.as_str()) {
                    let keys = self.keys(&reference).await;
                    let wanted = reference.key.as_ref();
                    let holds = wanted.map_or(!keys.is_empty(), |key| keys.contains(key));
                    assert!(
                        holds,
                        "{}: {reference:?}: there is {keys:?}",
                        manifest.origin
                    );
                    found += 1;
                }
            }
        }
        found
    }

    /// The keys of a Secret; none where it is missing.
    async fn keys(&self, reference: &SecretReference) -> BTreeSet<String> {
        let secret = self
            .secrets(&reference.namespace)
            .get_opt(&reference.name)
            .await
            .unwrap();
        secret
            .and_then(|secret| secret.data)
            .unwrap_or_default()
            .into_keys()
            .collect()
    }

    /// Looks for a cluster Secret wherever an Application or ApplicationSet of Argo CD refers to one, by name or by
    /// labels. Returns how many do.
    pub(super) async fn argo_cd_finds_its_clusters(&self, manifests: &[Manifest]) -> usize {
        let mut referring = 0;
        for manifest in of_kind(manifests, "Application") {
            if manifest.text("/spec/destination/server") == Some(THIS_CLUSTER) {
                continue;
            }
            let name = manifest.text("/spec/destination/name").unwrap().as_bytes();
            let secrets = self.cluster_secrets(manifest, String::new()).await;
            let named = |secret: &Secret| {
                secret
                    .data
                    .as_ref()
                    .is_some_and(|data| data["name"].0 == name)
            };
            assert!(
                secrets.iter().any(named),
                "{}: no such cluster",
                manifest.origin
            );
            referring += 1;
        }
        for manifest in of_kind(manifests, "ApplicationSet") {
            let selector = manifest
                .value
                .pointer("/spec/generators/0/clusters/selector")
                .unwrap();
            let secrets = self
                .cluster_secrets(manifest, label_selector(selector))
                .await;
            assert!(
                !secrets.is_empty(),
                "{}: selects no cluster",
                manifest.origin
            );
            referring += 1;
        }
        referring
    }

    /// The cluster Secrets in the namespace of a manifest of Argo CD that `selector` selects, too.
    async fn cluster_secrets(&self, manifest: &Manifest, selector: String) -> Vec<Secret> {
        let selector = format!("argocd.argoproj.io/secret-type=cluster,{selector}");
        let parameters = ListParams::default().labels(selector.trim_end_matches(','));
        let secrets = self.secrets(manifest.namespace()).list(&parameters).await;
        secrets.unwrap().items
    }
}

/// A selector of a manifest as the API server takes it in a query.
fn label_selector(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().unwrap();
    let labels = labels
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap()));
    let expressions = selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten();
    let expressions = expressions.map(|expression| {
        assert_eq!(expression["operator"], "Exists");
        expression["key"].as_str().unwrap().to_owned()
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}
