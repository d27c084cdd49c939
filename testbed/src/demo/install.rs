//! What an administrator installs, and what a team brings.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;

use super::command::output;
use super::error::Error;
use super::names::{AUTHENTICATED, NAMESPACE, OPERATOR, TOKEN_KEY, TOKEN_SECRET};
use super::stage::{Stage, root};
use crate::control_plane::ControlPlane;

/// Where `make` builds it.
const HELM: &str = ".tools/bin/helm";
const CHART: &str = "charts/do-cluster-access";

/// What the chart brought.
pub(crate) struct Installed {
    /// The kinds of object that were applied.
    pub(crate) kinds: BTreeSet<String>,
    /// With what the Deployment would run the operator, the command itself included.
    pub(crate) arguments: Vec<String>,
}

/// Installs the chart without its Deployment: there is no node that would run a pod.
pub(crate) async fn chart(
    control_plane: &ControlPlane,
    directory: &Path,
) -> Result<Installed, Error> {
    let rendered = render(directory).await?;
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(&rendered).map_err(|error| Error::Chart(error.to_string()))?;
    let (deployments, mut objects): (Vec<Value>, Vec<Value>) = objects
        .into_iter()
        .filter(|object| !object.is_null())
        .partition(|object| object["kind"] == "Deployment");
    let kinds = objects.iter().filter_map(|object| object["kind"].as_str());
    let kinds = kinds.map(ToOwned::to_owned).collect();
    let arguments = arguments(&deployments)?;
    objects.insert(0, namespace(OPERATOR));
    apply(control_plane, objects).await?;
    Ok(Installed { kinds, arguments })
}

fn arguments(deployments: &[Value]) -> Result<Vec<String>, Error> {
    let [deployment] = deployments else {
        return Err(Error::Chart("it has not one Deployment".to_owned()));
    };
    let arguments = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    serde_json::from_value(arguments.clone()).map_err(|error| Error::Chart(error.to_string()))
}

/// The team's namespace with its API token, and the rights that DOKS gives to whoever has a credential.
pub(super) async fn team(stage: &Stage) -> Result<(), Error> {
    let token = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": TOKEN_SECRET, "namespace": NAMESPACE},
        "stringData": {TOKEN_KEY: stage.api_token},
    });
    let rights = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "digitalocean-users"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Group",
            "name": AUTHENTICATED,
        }],
    });
    apply(
        &stage.control_plane,
        vec![namespace(NAMESPACE), token, rights],
    )
    .await
}

async fn render(directory: &Path) -> Result<String, Error> {
    let root = root();
    let helm = root.join(HELM);
    if !helm.is_file() {
        return Err(Error::Missing(helm));
    }
    let mut command = Command::new(helm);
    command
        .args(["template", OPERATOR, CHART, "--namespace", OPERATOR])
        .current_dir(root)
        // Its caches and settings are of no concern here.
        .env("HOME", directory);
    output(command, "helm template", "").await
}

/// Applies objects as the administrator.
pub(crate) async fn apply(control_plane: &ControlPlane, objects: Vec<Value>) -> Result<(), Error> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let mut command = control_plane.kubectl();
    // The control plane has installed the CRDs already, under another name.
    command.args([
        "apply",
        "--server-side",
        "--force-conflicts",
        "--filename",
        "-",
    ]);
    output(command, "kubectl apply --server-side", &list.to_string()).await?;
    Ok(())
}

pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}
