//! Installed by Helm: what the chart states is what runs, with the identity and the rights that it creates.

mod admission;
mod authority;
mod everywhere;
mod namespaced;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};

use crate::harness::Stage;

/// Whether there is an object of that name, of a kind as `policy/v1/PodDisruptionBudget`.
async fn exists(client: &Client, kind: &str, namespace: Option<&str>, name: &str) -> bool {
    let (version, kind) = kind.rsplit_once('/').unwrap();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let objects: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    objects.get_opt(name).await.unwrap().is_some()
}

/// The versions of the Secrets of those names.
async fn versions<'n>(stage: &Stage, names: &[&'n str]) -> BTreeMap<&'n str, String> {
    let mut versions = BTreeMap::new();
    for name in names {
        let secret: Secret = stage.secrets().get(name).await.unwrap();
        versions.insert(*name, secret.metadata.resource_version.unwrap());
    }
    versions
}
