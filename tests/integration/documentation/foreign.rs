//! The CustomResourceDefinitions of the projects that the documentation has manifests for.

use std::io::Write;
use std::path::PathBuf;

use futures::future::join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, PostParams};
use kube::core::ApiResource;
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt};
use tokio::time::timeout;

use crate::harness::{PATIENCE, repository};

fn collected() -> PathBuf {
    repository().join(".tools/crds")
}

/// Whether they were not collected; says so, and panics where `CI` is set.
pub(super) fn unavailable() -> bool {
    if collected().is_dir() {
        return false;
    }
    let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    let message = format!(
        "{} is missing: run `make foreign-crds`",
        collected().display()
    );
    assert!(!ci, "{message}");
    // Past the test runner, which hides what a test that passes prints.
    let said = writeln!(
        std::io::stderr(),
        "\n*** SKIPPED: the manifests of the documentation: {message} ***\n"
    );
    said.unwrap();
    true
}

/// Installs them, and waits until they are served.
pub(super) async fn install(client: &Client) {
    let definitions: Vec<DynamicObject> = [collected(), repository().join("testbed/crds/excerpts")]
        .into_iter()
        .flat_map(|directory| std::fs::read_dir(directory).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .flat_map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let definitions: Vec<DynamicObject> = serde_saphyr::from_multiple(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            definitions
        })
        .collect();
    assert!(definitions.len() >= 15, "{} definitions", definitions.len());
    join_all(
        definitions
            .iter()
            .map(|definition| create(client, definition)),
    )
    .await;
}

async fn create(client: &Client, definition: &DynamicObject) {
    // As it stands: the typed form would drop what it does not know.
    let resource = ApiResource::erase::<CustomResourceDefinition>(&());
    let definitions: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let name = definition.name_any();
    let created = definitions.create(&PostParams::default(), definition).await;
    assert!(created.is_ok(), "{name}: {created:?}");
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let established = await_condition(definitions, &name, is_crd_established());
    timeout(PATIENCE, established).await.unwrap().unwrap();
}
