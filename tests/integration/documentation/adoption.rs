//! Secrets that were there before, and are taken over.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::PostParams;
use serde_json::json;

use super::manifests::{Manifest, of_kind};
use super::reader::Reader;

impl Reader<'_> {
    /// Makes the Secrets that accesses are to adopt, as Argo CD would have left them. Returns them.
    pub(super) async fn provide_secrets_to_adopt(&self, manifests: &[Manifest]) -> Vec<Secret> {
        let mut made = Vec::new();
        for access in of_kind(manifests, "DOClusterAccess") {
            let outputs = access.value["spec"]["outputs"]
                .as_array()
                .into_iter()
                .flatten();
            for output in outputs.filter(|output| output["adopt"] == json!(true)) {
                assert_eq!(output["format"], "ArgoCD", "{}", access.origin);
                let name = output["secretName"].as_str().unwrap();
                self.resources.make_namespace(access.namespace()).await;
                let secret = self.cluster_secret_of_argo_cd(name);
                let secrets = self.secrets(access.namespace());
                made.push(
                    secrets
                        .create(&PostParams::default(), &secret)
                        .await
                        .unwrap(),
                );
            }
        }
        made
    }

    fn cluster_secret_of_argo_cd(&self, name: &str) -> Secret {
        serde_json::from_value(json!({
            "metadata": {
                "name": name,
                "labels": {"argocd.argoproj.io/secret-type": "cluster", "team": "payments"},
                "annotations": {"managed-by": "argocd.argoproj.io"},
            },
            "stringData": {
                "name": "as-it-was-called",
                "server": self.stage.server,
                "project": "payments",
                "config": json!({"bearerToken": "of-argocd-manager"}).to_string(),
            },
        }))
        .unwrap()
    }

    /// Looks whether adoption left what the recipe says, and changed what it says.
    pub(super) async fn adoption_kept_what_was_there(&self, before: &[Secret]) {
        for before in before {
            let namespace = before.metadata.namespace.as_deref().unwrap();
            let after = self
                .secrets(namespace)
                .get(&before.name_any())
                .await
                .unwrap();
            let value = |secret: &Secret, key| secret.data.as_ref().unwrap()[key].clone();
            assert_eq!(after.uid(), before.uid());
            for key in ["name", "server", "project"] {
                assert_eq!(value(&after, key), value(before, key), "{key}");
            }
            assert_ne!(value(&after, "config"), value(before, "config"));
            let (labels, annotations) = (after.labels(), after.annotations());
            assert!(
                before
                    .labels()
                    .iter()
                    .all(|(key, value)| labels.get(key) == Some(value))
            );
            assert!(
                before
                    .annotations()
                    .iter()
                    .all(|(key, value)| annotations.get(key) == Some(value))
            );
            assert!(labels.contains_key("doclusteraccess.dev/access"));
            assert!(after.owner_references().is_empty());
        }
    }
}
