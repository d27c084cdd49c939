//! Which key of which Secret the manifest of a consumer makes it read.

use serde_json::Value;

use super::manifests::Manifest;

/// A Secret that a consumer reads, and a key in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SecretReference {
    pub(super) namespace: String,
    pub(super) name: String,
    /// `None`: all keys, whatever they are.
    pub(super) key: Option<String>,
}

/// What the consumer behind this manifest reads of the Secrets of an access.
pub(super) fn of(manifest: &Manifest) -> Vec<SecretReference> {
    let group = manifest.text("/apiVersion").unwrap_or_default();
    let group = group.split_once('/').map_or("", |(group, _)| group);
    let here = manifest.namespace();
    match (group, manifest.kind()) {
        ("kustomize.toolkit.fluxcd.io", "Kustomization")
        | ("helm.toolkit.fluxcd.io", "HelmRelease") => {
            let key = manifest
                .text("/spec/kubeConfig/secretRef/key")
                .unwrap_or("value");
            let name = manifest.text("/spec/kubeConfig/secretRef/name");
            name.map(|name| reference(here, name, key))
                .into_iter()
                .collect()
        }
        ("cluster.x-k8s.io", "Cluster") => {
            vec![reference(
                here,
                &format!("{}-kubeconfig", manifest.name()),
                "value",
            )]
        }
        ("cluster.karmada.io", "Cluster") => {
            let keys = [
                ("secretRef", "token"),
                ("secretRef", "caBundle"),
                ("impersonatorSecretRef", "token"),
            ];
            let at = |(field, key)| elsewhere(manifest, &format!("/spec/{field}"), key);
            keys.into_iter().map(at).collect()
        }
        ("fleet.cattle.io", "Cluster") => {
            let namespace = manifest
                .text("/spec/kubeConfigSecretNamespace")
                .unwrap_or(here);
            let name = manifest.text("/spec/kubeConfigSecret").unwrap();
            vec![reference(namespace, name, "value")]
        }
        ("lib.projectsveltos.io", "SveltosCluster") => {
            let usual = format!("{}-sveltos-kubeconfig", manifest.name());
            let name = manifest.text("/spec/kubeconfigName").unwrap_or(&usual);
            vec![reference(
                here,
                name,
                manifest.text("/spec/kubeconfigKeyName").unwrap(),
            )]
        }
        (group, "ProviderConfig" | "ClusterProviderConfig") if group.ends_with("crossplane.io") => {
            let pointer = "/spec/credentials/secretRef";
            let key = manifest.text(&format!("{pointer}/key")).unwrap();
            vec![elsewhere(manifest, pointer, key)]
        }
        ("apps", "Deployment") => volumes(manifest, "/spec/template/spec"),
        ("batch", "CronJob") => volumes(manifest, "/spec/jobTemplate/spec/template/spec"),
        _ => Vec::new(),
    }
}

fn reference(namespace: &str, name: &str, key: &str) -> SecretReference {
    SecretReference {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        key: Some(key.to_owned()),
    }
}

/// A reference with a namespace of its own.
fn elsewhere(manifest: &Manifest, pointer: &str, key: &str) -> SecretReference {
    let field = |name| manifest.text(&format!("{pointer}/{name}")).unwrap();
    reference(field("namespace"), field("name"), key)
}

fn volumes(manifest: &Manifest, pod: &str) -> Vec<SecretReference> {
    let volumes = manifest
        .value
        .pointer(&format!("{pod}/volumes"))
        .and_then(Value::as_array);
    let secrets = volumes
        .into_iter()
        .flatten()
        .filter_map(|volume| volume.get("secret"));
    secrets
        .flat_map(|secret| mounted(manifest.namespace(), secret))
        .collect()
}

fn mounted(namespace: &str, secret: &Value) -> Vec<SecretReference> {
    let name = secret["secretName"].as_str().unwrap();
    match secret["items"].as_array() {
        Some(items) => {
            let keys = items.iter().map(|item| item["key"].as_str().unwrap());
            keys.map(|key| reference(namespace, name, key)).collect()
        }
        None => vec![SecretReference {
            key: None,
            ..reference(namespace, name, "")
        }],
    }
}
