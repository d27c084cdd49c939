//! The rights of the operator: those that the chart grants, and no other.

use std::path::PathBuf;

use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::PostParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::tools::tool;
use super::waiting::eventually;
use super::world::repository;

/// Name of the release, of its ServiceAccount and of its roles.
pub(crate) const RELEASE: &str = "do-cluster-access";

/// Names the Helm to test with, another version for example; otherwise it is the one that `make tools` built.
const HELM_VARIABLE: &str = "HELM";

pub(super) fn helm() -> PathBuf {
    let built = || repository().join(".tools/bin/helm");
    std::env::var_os(HELM_VARIABLE).map_or_else(built, PathBuf::from)
}

/// Whether helm was not built; says so, and panics where `CI` is set.
pub(super) fn unavailable() -> bool {
    tool("helm", "tools").is_none()
}

/// What the chart renders for `namespace`, with the values in these files of the chart.
pub(crate) async fn render_chart(namespace: &str, values: &[&str]) -> Vec<Value> {
    let chart = repository().join("charts/do-cluster-access");
    let files = values
        .iter()
        .map(|file| format!("--values={}", chart.join(file).display()));
    let files: Vec<_> = files.collect();
    let arguments: Vec<_> = files.iter().map(String::as_str).collect();
    let rendered = render(namespace, &arguments).await;
    serde_saphyr::from_multiple(&rendered).unwrap()
}

/// The container of the operator's Deployment, with the values in these files of the chart.
pub(crate) async fn container(values: &[&str]) -> Value {
    let objects = render_chart("operators", values).await;
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment");
    deployment.unwrap()["spec"]["template"]["spec"]["containers"][0].clone()
}

/// The objects of the chart about the operator's identity and rights.
#[derive(Clone, Debug)]
pub(crate) struct Rights(Vec<Value>);

impl Rights {
    /// For an operator in `namespace` that serves that namespace alone.
    pub(crate) async fn within(namespace: &str) -> Self {
        static RENDERED: OnceCell<String> = OnceCell::const_new();
        const PLACEHOLDER: &str = "namespace-of-the-stage";
        let render = async || {
            let values = format!("watchNamespaces={{{PLACEHOLDER}}}");
            render(PLACEHOLDER, &["--set", &values]).await
        };
        let rendered = RENDERED.get_or_init(render).await;
        Self::parse(&rendered.replace(PLACEHOLDER, namespace), namespace)
    }

    /// For an operator in `namespace` that serves the `watched` namespaces, which must exist, and accounts.
    pub(crate) async fn with_accounts(namespace: &str, watched: &[&str]) -> Self {
        let values = format!(
            "watchNamespaces={{{}}},rbac.accounts=true",
            watched.join(",")
        );
        Self::parse(&render(namespace, &["--set", &values]).await, namespace)
    }

    /// For an operator in `namespace` that serves all.
    pub(crate) async fn everywhere(namespace: &str) -> Self {
        Self::parse(&render(namespace, &[]).await, namespace)
    }

    /// Those in what Helm has rendered for `namespace`.
    pub(super) fn parse(rendered: &str, namespace: &str) -> Self {
        let mut objects: Vec<Value> = serde_saphyr::from_multiple(rendered).unwrap();
        objects.retain(|object| {
            let kind = object["kind"].as_str().unwrap_or_default();
            kind == "ServiceAccount" || kind.contains("Role")
        });
        // What stands outside of the stage's own namespace would have the same name for every stage of a world.
        for object in &mut objects {
            if object["metadata"]["namespace"] != namespace {
                append(&mut object["metadata"]["name"], namespace);
                if object["roleRef"].is_object() {
                    append(&mut object["roleRef"]["name"], namespace);
                }
            }
        }
        Self(objects)
    }

    /// The same without the right to read the Secrets beside the operator for the API tokens of accounts.
    pub(crate) fn without_tokens_of_accounts(mut self) -> Self {
        let before = self.0.len();
        self.0.retain(|object| {
            let name = object["metadata"]["name"].as_str().unwrap();
            !(object["metadata"]["namespace"].is_string() && name.ends_with("-accounts"))
        });
        assert_eq!(before - self.0.len(), 2, "a Role and its binding");
        self
    }

    /// The same without one verb on one resource; panics where that is not granted.
    pub(crate) fn without(mut self, resource: &str, verb: &str) -> Self {
        let mut removed = 0;
        for rules in self.rules_mut() {
            for rule in rules.iter_mut().filter(|rule| concerns(rule, resource)) {
                let verbs = rule["verbs"].as_array_mut().unwrap();
                let before = verbs.len();
                verbs.retain(|granted| granted != verb);
                removed += before - verbs.len();
            }
            // A rule without verbs is invalid.
            rules.retain(|rule| rule["verbs"] != json!([]));
        }
        assert_eq!(
            removed, 1,
            "the chart does not grant {verb} on {resource}, once"
        );
        self
    }

    /// Every resource and verb that is granted.
    pub(crate) fn granted(&self) -> Vec<(String, String)> {
        let rules = self
            .0
            .iter()
            .filter_map(|object| object["rules"].as_array())
            .flatten();
        let mut granted = Vec::new();
        for rule in rules {
            for resource in rule["resources"].as_array().unwrap() {
                for verb in rule["verbs"].as_array().unwrap() {
                    let text = |value: &Value| value.as_str().unwrap().to_owned();
                    granted.push((text(resource), text(verb)));
                }
            }
        }
        granted
    }

    fn rules_mut(&mut self) -> impl Iterator<Item = &mut Vec<Value>> {
        self.0
            .iter_mut()
            .filter_map(|object| object["rules"].as_array_mut())
    }

    /// Creates them.
    pub(crate) async fn grant(&self, client: &Client) {
        let created = self.0.iter().map(|object| create(client, object.clone()));
        futures::future::join_all(created).await;
    }

    /// Waits until the API server knows of them, which learns of roles by watching them. `operator` is the client
    /// that they are for, in `namespace`.
    pub(crate) async fn in_force(&self, operator: &Client, namespace: &str) {
        for role in self.0.iter().filter(|object| object["rules"].is_array()) {
            let rule = &role["rules"][0];
            let within = role["metadata"]["namespace"].as_str();
            let attributes = serde_json::from_value(json!({
                "namespace": within.unwrap_or(namespace),
                "group": rule["apiGroups"][0],
                "resource": rule["resources"][0],
                "verb": rule["verbs"][0],
                "name": rule["resourceNames"][0],
            }));
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: attributes.unwrap(),
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let reviews: Api<SelfSubjectAccessReview> = Api::all(operator.clone());
            eventually("the rights are in force", async || {
                let answer = reviews
                    .create(&PostParams::default(), &review)
                    .await
                    .unwrap();
                answer.status.is_some_and(|status| status.allowed)
            })
            .await;
        }
    }
}

fn append(name: &mut Value, suffix: &str) {
    *name = json!(format!("{}-{suffix}", name.as_str().unwrap()));
}

fn concerns(rule: &Value, resource: &str) -> bool {
    let resources = rule["resources"].as_array().unwrap();
    resources.iter().any(|name| name == resource)
}

async fn render(namespace: &str, arguments: &[&str]) -> String {
    let output = Command::new(helm())
        .args(["template", RELEASE])
        .arg(repository().join("charts/do-cluster-access"))
        .args(["--namespace", namespace])
        .args(arguments)
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

async fn create(client: &Client, object: Value) {
    match object["kind"].as_str().unwrap() {
        "ServiceAccount" => create_namespaced::<ServiceAccount>(client, object).await,
        "Role" => create_namespaced::<Role>(client, object).await,
        "RoleBinding" => create_namespaced::<RoleBinding>(client, object).await,
        "ClusterRole" => create_in(&Api::<ClusterRole>::all(client.clone()), object).await,
        "ClusterRoleBinding" => {
            create_in(&Api::<ClusterRoleBinding>::all(client.clone()), object).await;
        }
        kind => panic!("the chart has a {kind}"),
    }
}

async fn create_namespaced<K>(client: &Client, object: Value)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + Serialize
        + std::fmt::Debug,
{
    let namespace = object["metadata"]["namespace"].as_str().unwrap().to_owned();
    create_in(&Api::<K>::namespaced(client.clone(), &namespace), object).await;
}

async fn create_in<K>(api: &Api<K>, object: Value)
where
    K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

mod tests {
    use super::super::{Stage, World};
    use super::*;

    /// Whether the operator of `stage` may do `verb` to `resource`, in `namespace` or, without one, in all.
    async fn may(stage: &Stage, verb: &str, resource: &str, namespace: Option<&str>) -> bool {
        let group = if resource.starts_with("do") {
            "doclusteraccess.dev"
        } else {
            ""
        };
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = json!({"spec": {"resourceAttributes": {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": namespace,
        }}});
        let review: SelfSubjectAccessReview = serde_json::from_value(review).unwrap();
        let operator =
            do_cluster_access_testbed::control_plane::client_of(&stage.operator_kubeconfig);
        let reviews: Api<SelfSubjectAccessReview> = Api::all(operator.await.unwrap());
        let answer = reviews.create(&PostParams::default(), &review).await;
        answer.unwrap().status.unwrap().allowed
    }

    #[tokio::test]
    async fn the_rights_to_accounts_are_those_of_one_stage_and_reach_no_other_secret() {
        if unavailable() {
            return;
        }
        let world = World::shared().await;
        let serving = async |namespace: &str| Rights::with_accounts(namespace, &[namespace]).await;
        let (one, other, plain) = tokio::join!(
            Stage::with_rights(&world, serving),
            Stage::with_rights(&world, serving),
            Stage::on(&world),
        );
        for stage in [&one, &other] {
            for (verb, resource) in [
                ("list", "doaccounts"),
                ("watch", "doaccounts"),
                ("patch", "doaccounts/status"),
            ] {
                assert!(may(stage, verb, resource, None).await, "{verb} {resource}");
                assert!(
                    !may(&plain, verb, resource, None).await,
                    "{verb} {resource}"
                );
            }
            assert!(!may(stage, "patch", "doaccounts", None).await);
            assert!(may(stage, "get", "secrets", Some(&stage.namespace)).await);
            assert!(!may(stage, "get", "secrets", Some(&plain.namespace)).await);
            assert!(!may(stage, "list", "doclusteraccesses", None).await);
        }
    }

    #[tokio::test]
    async fn the_tokens_of_accounts_are_read_by_a_role_of_their_own() {
        if unavailable() {
            return;
        }
        let world = World::shared().await;
        let watched = Stage::on(&world).await;
        let apart =
            async |namespace: &str| Rights::with_accounts(namespace, &[&watched.namespace]).await;
        let (full, narrowed) = tokio::join!(
            Stage::with_rights(&world, apart),
            Stage::with_rights(&world, async |namespace| {
                apart(namespace).await.without_tokens_of_accounts()
            }),
        );
        assert!(may(&full, "get", "secrets", Some(&full.namespace)).await);
        assert!(!may(&full, "patch", "secrets", Some(&full.namespace)).await);
        assert!(!may(&narrowed, "get", "secrets", Some(&narrowed.namespace)).await);
        for stage in [&full, &narrowed] {
            assert!(may(stage, "patch", "secrets", Some(&watched.namespace)).await);
        }
    }
}
