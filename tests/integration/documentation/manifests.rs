//! Manifests, and how a reader applies them.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use kube::discovery::{Discovery, Scope};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::markdown::{Block, Page};
use crate::harness::repository;

/// One object, as the documentation shows it.
#[derive(Clone)]
pub(super) struct Manifest {
    /// The file and line where it is.
    pub(super) origin: String,
    /// It.
    pub(super) value: Value,
}

impl Manifest {
    pub(super) fn kind(&self) -> &str {
        self.text("/kind").unwrap_or_default()
    }

    /// Kind and apiVersion, by which it is told apart from a namesake of another group.
    pub(super) fn kind_and_version(&self) -> String {
        format!(
            "{} of {}",
            self.kind(),
            self.text("/apiVersion").unwrap_or_default()
        )
    }

    pub(super) fn name(&self) -> &str {
        self.text("/metadata/name").unwrap_or_default()
    }

    /// Its namespace; empty where it has none.
    pub(super) fn namespace(&self) -> &str {
        self.text("/metadata/namespace").unwrap_or_default()
    }

    /// The string at that JSON pointer.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.value.pointer(pointer).and_then(Value::as_str)
    }

    fn is_complete(&self) -> bool {
        !self.kind().is_empty() && self.text("/apiVersion").is_some() && !self.name().is_empty()
    }
}

/// The manifests on a page, in order; fragments are none.
pub(super) fn of_page(page: &Page) -> Vec<Manifest> {
    let blocks = page.blocks.iter().filter(|block| block.info == "yaml");
    blocks.flat_map(|block| of_block(page, block)).collect()
}

fn of_block(page: &Page, block: &Block) -> Vec<Manifest> {
    parse(&format!("{}:{}", page.path, block.line), &block.text)
}

/// The files with examples, and the manifests in each.
pub(super) fn examples() -> Vec<(String, Vec<Manifest>)> {
    of_directory("deploy/examples")
}

/// The files by which others than Helm install the operator, and the manifests in each.
pub(super) fn installations() -> Vec<(String, Vec<Manifest>)> {
    [of_directory("deploy/argo-cd"), of_directory("deploy/flux")].concat()
}

fn of_directory(directory: &str) -> Vec<(String, Vec<Manifest>)> {
    let entries = std::fs::read_dir(repository().join(directory)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "README.md").collect();
    names.sort();
    let read = |name: String| {
        let path = format!("{directory}/{name}");
        let text = std::fs::read_to_string(repository().join(&path)).unwrap();
        let manifests = parse(&path, &text);
        let complete = !manifests.is_empty() && manifests.iter().all(Manifest::is_complete);
        assert!(complete, "{path} is not complete");
        (path, manifests)
    };
    names.into_iter().map(read).collect()
}

fn parse(origin: &str, text: &str) -> Vec<Manifest> {
    let values: Vec<Value> = serde_saphyr::from_multiple(text)
        .unwrap_or_else(|error| panic!("{origin} is no YAML: {error}"));
    let manifest = |value| Manifest {
        origin: origin.to_owned(),
        value,
    };
    values.into_iter().map(manifest).collect()
}

/// What is wrong with the blocks of YAML on a page, a line for each.
pub(super) fn faults(page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    for block in &page.blocks {
        let mut words = block.info.split_whitespace();
        let (language, rest) = (words.next().unwrap_or_default(), words.collect::<Vec<_>>());
        let complete = || {
            let manifests = of_block(page, block);
            !manifests.is_empty() && manifests.iter().all(Manifest::is_complete)
        };
        let fault = match (language, rest.as_slice()) {
            ("yaml", []) if !complete() => "neither complete nor marked as a fragment",
            ("yaml", ["fragment"]) if complete() => "marked as a fragment, but complete",
            ("yaml", [] | ["fragment"]) => continue,
            ("yaml", _) => "only `fragment` may follow `yaml`",
            _ if block.text.contains("apiVersion") => "a manifest is written as `yaml`",
            _ => continue,
        };
        faults.push(format!("{}:{}: {fault}", page.path, block.line));
    }
    faults
}

/// Those of one kind.
pub(super) fn of_kind<'a>(
    manifests: &'a [Manifest],
    kind: &str,
) -> impl Iterator<Item = &'a Manifest> {
    manifests
        .iter()
        .filter(move |manifest| manifest.kind() == kind)
}

/// What the API server serves.
pub(super) struct Resources {
    client: Client,
    discovery: Discovery,
}

impl Resources {
    pub(super) async fn discover(client: &Client) -> Self {
        Self {
            client: client.clone(),
            discovery: Discovery::new(client.clone()).run().await.unwrap(),
        }
    }

    /// Applies a manifest as `kubectl apply --server-side --validate=strict` does, in its namespace, which is made
    /// where it is not there.
    pub(super) async fn apply(
        &self,
        manifest: &Manifest,
        parameters: &PatchParams,
    ) -> Result<(), String> {
        let api = self.api(manifest).await?;
        let parameters = parameters.clone().validation_strict();
        let patch = Patch::Apply(&manifest.value);
        let applied = api.patch(manifest.name(), &parameters, &patch).await;
        applied.map(drop).map_err(|error| error.to_string())
    }

    async fn api(&self, manifest: &Manifest) -> Result<Api<DynamicObject>, String> {
        let types = TypeMeta {
            api_version: manifest.text("/apiVersion").unwrap_or_default().to_owned(),
            kind: manifest.kind().to_owned(),
        };
        let kind = GroupVersionKind::try_from(&types).map_err(|error| error.to_string())?;
        let Some((resource, capabilities)) = self.discovery.resolve_gvk(&kind) else {
            return Err(format!("nothing serves {}", manifest.kind_and_version()));
        };
        match (capabilities.scope, manifest.namespace()) {
            (Scope::Cluster, "") => Ok(self.in_cluster(&resource)),
            (Scope::Cluster, _) => Err("it is cluster-scoped and names a namespace".to_owned()),
            (Scope::Namespaced, "") => Err("it names no namespace".to_owned()),
            (Scope::Namespaced, namespace) => {
                self.make_namespace(namespace).await;
                Ok(Api::namespaced_with(
                    self.client.clone(),
                    namespace,
                    &resource,
                ))
            }
        }
    }

    fn in_cluster(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), resource)
    }

    /// Makes a namespace where it is not there.
    pub(super) async fn make_namespace(&self, name: &str) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let parameters = PatchParams::apply("tests");
        namespaces
            .patch(name, &parameters, &Patch::Apply(namespace))
            .await
            .unwrap();
    }
}
