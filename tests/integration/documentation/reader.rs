//! A reader who has what the manifests take for granted.

use std::collections::BTreeSet;

use do_cluster_access::api::DOAccount;
use do_cluster_access_testbed::simulator::Cluster;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::manifests::{Manifest, Resources, of_kind};
use crate::harness::{Stage, TOKEN_SECRET};

/// Who reads the documentation: the owner of a DigitalOcean account and of a management cluster.
pub(super) struct Reader<'a> {
    pub(super) stage: &'a Stage,
    pub(super) resources: &'a Resources,
    clusters: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(stage: &'a Stage, resources: &'a Resources) -> Self {
        Self {
            stage,
            resources,
            clusters: BTreeSet::new(),
        }
    }

    /// Makes the clusters that these accesses name. All of them, before the operator asks for the first: DigitalOcean is
    /// not asked at once again for a name that its list does not hold.
    pub(super) fn provide_clusters(&mut self, manifests: &[Manifest]) {
        for access in of_kind(manifests, "DOClusterAccess") {
            self.provide_cluster(access);
        }
    }

    /// Makes the API tokens and accounts that these accesses name.
    pub(super) async fn provide_tokens(&self, manifests: &[Manifest]) {
        for account in of_kind(manifests, "DOAccount") {
            let namespace = self.stage.namespace.clone();
            self.provide_token(&namespace, account).await;
        }
        for access in of_kind(manifests, "DOClusterAccess") {
            if access.text("/spec/tokenSecretRef/name").is_some() {
                self.provide_token(access.namespace(), access).await;
                continue;
            }
            let account = access.text("/spec/accountRef/name").unwrap_or("default");
            if !of_kind(manifests, "DOAccount").any(|manifest| manifest.name() == account) {
                self.provide_account(account).await;
            }
        }
    }

    fn provide_cluster(&mut self, access: &Manifest) {
        let name = access.text("/spec/cluster/name");
        let id = access.text("/spec/cluster/id");
        let new = self.clusters.insert(name.or(id).unwrap().to_owned());
        if new {
            let cluster = Cluster {
                id: id.unwrap_or_default().to_owned(),
                region: "fra1".to_owned(),
                tags: vec!["env:prod".to_owned()],
                ..self.stage.cluster(name.unwrap_or("by-id"))
            };
            self.stage.add_cluster(cluster);
        }
    }

    /// Puts the API token where `tokenSecretRef` of this manifest says.
    async fn provide_token(&self, namespace: &str, manifest: &Manifest) {
        let reference = &manifest.value["spec"]["tokenSecretRef"];
        let name = reference["name"].as_str().unwrap();
        let key = reference["key"].as_str().unwrap_or("access-token");
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": {key: self.stage.api_token},
        });
        self.resources.make_namespace(namespace).await;
        let secrets = self.secrets(namespace);
        let parameters = PatchParams::apply(&format!("tests-{key}")).force();
        secrets
            .patch(name, &parameters, &Patch::Apply(secret))
            .await
            .unwrap();
    }

    /// An account that allows everything, for a page that takes it for granted.
    async fn provide_account(&self, name: &str) {
        let account = json!({
            "apiVersion": "doclusteraccess.dev/v1alpha1",
            "kind": "DOAccount",
            "metadata": {"name": name},
            "spec": {
                "tokenSecretRef": {"name": TOKEN_SECRET},
                "allowedNamespaces": ["*"],
                "allowedClusters": {"names": ["*"]},
            },
        });
        let accounts: Api<DOAccount> = Api::all(self.stage.client.clone());
        let parameters = PatchParams::apply("reader").force();
        accounts
            .patch(name, &parameters, &Patch::Apply(account))
            .await
            .unwrap();
    }

    /// The Secrets of a namespace.
    pub(super) fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.stage.client.clone(), namespace)
    }
}
