//! The API server takes what the chart renders, and Pod Security lets its pods in.

use std::path::PathBuf;

use do_cluster_access_testbed::control_plane::Options;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Discovery, Scope};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::harness::{World, render_chart, repository, unavailable};

/// Where releases are rendered for.
const NAMESPACE: &str = "operators";

/// The names of the files with values in ci/, and none for the defaults.
fn combinations() -> Vec<Option<String>> {
    let directory = repository().join("charts/do-cluster-access/ci");
    let entries = std::fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut combinations: Vec<_> = names.map(|name| Some(format!("ci/{name}"))).collect();
    combinations.sort();
    combinations.insert(0, None);
    assert!(combinations.len() >= 8, "{combinations:?}");
    combinations
}

async fn rendered(combination: Option<&str>) -> Vec<Value> {
    let objects = render_chart(NAMESPACE, combination.as_slice()).await;
    objects
        .into_iter()
        .filter(|object| !object.is_null())
        .collect()
}

async fn namespace(client: &Client, name: &str, labels: Value) {
    let object = json!({"metadata": {"name": name, "labels": labels}});
    let object: Namespace = serde_json::from_value(object).unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
}

/// Applies as `kubectl apply --server-side --validate=strict` does.
async fn apply(client: &Client, discovery: &Discovery, object: &Value, dry_run: bool) {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
    let version = text("/apiVersion").unwrap();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = GroupVersionKind::gvk(group, version, text("/kind").unwrap());
    let (resource, capabilities) = discovery.resolve_gvk(&kind).unwrap();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name").unwrap());
    let namespaced = capabilities.scope == Scope::Namespaced;
    assert_eq!(
        namespaced,
        namespace.is_some(),
        "{kind:?} {name}: namespace"
    );
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let parameters = PatchParams {
        dry_run,
        ..PatchParams::apply("test").force().validation_strict()
    };
    let applied = api.patch(name, &parameters, &Patch::Apply(object)).await;
    assert!(applied.is_ok(), "{kind:?} {name}: {applied:?}");
}

#[tokio::test]
async fn the_api_server_takes_every_combination_of_values_and_install_yaml() {
    if unavailable() {
        return;
    }
    let foreign = ["prometheusrules", "servicemonitors"]
        .map(|kind| format!(".tools/crds/monitoring.coreos.com_{kind}.yaml"));
    let definitions = foreign.map(|path| repository().join(path));
    let definitions: Vec<PathBuf> = definitions
        .into_iter()
        .chain([repository().join("crds")])
        .collect();
    let world = World::start_with(Options::default(), definitions).await;
    let client = world.control_plane.admin_client().await.unwrap();
    for name in [NAMESPACE, "monitoring", "team-a", "team-b"] {
        namespace(&client, name, json!({})).await;
    }
    let discovery = Discovery::new(client.clone()).run().await.unwrap();
    for combination in combinations() {
        for object in rendered(combination.as_deref()).await {
            apply(&client, &discovery, &object, true).await;
        }
    }
    // What it makes has to be there for what comes after it: for real, then.
    let install = std::fs::read_to_string(repository().join("deploy/install.yaml")).unwrap();
    let install: Vec<Value> = serde_saphyr::from_multiple(&install).unwrap();
    for object in &install {
        apply(&client, &discovery, object, false).await;
    }
    let own = &install[0]["metadata"]["name"];
    let deployment = install.iter().find(|object| object["kind"] == "Deployment");
    let admitted = create_pod(&client, own.as_str().unwrap(), deployment.unwrap()).await;
    assert!(admitted.is_ok(), "install.yaml: {admitted:?}");
}

/// Creates a pod as a Deployment describes it, without keeping it.
async fn create_pod(client: &Client, namespace: &str, deployment: &Value) -> kube::Result<Pod> {
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["name"] = json!("pod");
    // Whether that account is there is none of Pod Security's business, nor is the priority class.
    template["spec"]["serviceAccountName"] = json!("default");
    let pod: Pod = serde_json::from_value(template).unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    pods.create(&parameters, &pod).await
}

#[tokio::test]
async fn pod_security_restricted_admits_the_pods_of_every_combination_and_nothing_less_strict() {
    if unavailable() {
        return;
    }
    let world = World::shared().await;
    let client = world.control_plane.admin_client().await.unwrap();
    let restricted = "restricted-namespace";
    let labels = json!({
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    });
    namespace(&client, restricted, labels).await;
    let mut seen = 0;
    for combination in combinations() {
        let objects = rendered(combination.as_deref()).await;
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment");
        let deployment = deployment.unwrap();
        let admitted = create_pod(&client, restricted, deployment).await;
        assert!(admitted.is_ok(), "{combination:?}: {admitted:?}");
        seen += 1;
        if combination.is_none() {
            nothing_less_strict_is_admitted(&client, restricted, deployment).await;
        }
    }
    assert_eq!(seen, combinations().len());
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces
        .delete(restricted, &kube::api::DeleteParams::default())
        .await
        .unwrap();
}

/// Each of these is refused, for what it is: Pod Security is at work, and each setting is needed.
async fn nothing_less_strict_is_admitted(client: &Client, restricted: &str, deployment: &Value) {
    let pod = "/spec/template/spec/securityContext";
    let container = "/spec/template/spec/containers/0/securityContext";
    for (object, field, told) in [
        (pod, "runAsNonRoot", "runAsNonRoot"),
        (pod, "seccompProfile", "seccompProfile"),
        (
            container,
            "allowPrivilegeEscalation",
            "allowPrivilegeEscalation",
        ),
        (container, "capabilities", "unrestricted capabilities"),
    ] {
        let mut looser = deployment.clone();
        let settings = looser.pointer_mut(object).unwrap().as_object_mut().unwrap();
        settings.remove(field).unwrap();
        let refused = create_pod(client, restricted, &looser).await.unwrap_err();
        let refused = refused.to_string();
        assert!(
            refused.contains("violates PodSecurity"),
            "{field}: {refused}"
        );
        assert!(refused.contains(told), "{field}: {refused}");
    }
}
