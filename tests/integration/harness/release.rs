//! The chart as users install it: by Helm, on the API server. There is no node, so that what a pod would run runs here.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use do_cluster_access_testbed::control_plane::client_of;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec};
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::chart::{Rights, helm};
use super::process::{OperatorProcess, program};
use super::world::{World, repository};

/// Longer than any test takes.
const HOUR: Duration = Duration::from_secs(3600);

/// A release of the chart, which may not be installed yet.
pub(crate) struct Release<'w> {
    /// Its name.
    pub(crate) name: String,
    /// Its namespace.
    pub(crate) namespace: String,
    chart: PathBuf,
    world: &'w World,
}

impl<'w> Release<'w> {
    /// Of the chart of this repository, under that name in that namespace.
    pub(crate) fn new(world: &'w World, name: &str, namespace: &str) -> Self {
        let chart = repository().join("charts/do-cluster-access");
        Self::of(&chart, world, name, namespace)
    }

    /// The same of another chart.
    pub(crate) fn of(chart: &Path, world: &'w World, name: &str, namespace: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            chart: chart.to_owned(),
            world,
        }
    }

    /// `helm install`, or why it failed. Returns what it printed, notes included.
    pub(crate) async fn try_install(&self, values: &Value) -> Result<String, String> {
        self.install_with(values, &[]).await
    }

    /// The same with more flags.
    pub(crate) async fn install_with(
        &self,
        values: &Value,
        flags: &[&str],
    ) -> Result<String, String> {
        let chart = self.chart.to_str().unwrap();
        let arguments = ["install", &self.name, chart, "--create-namespace"];
        let arguments = [&arguments, flags].concat();
        self.helm(&arguments, Some(values)).await
    }

    /// `helm install`. Returns what it printed, notes included.
    pub(crate) async fn install(&self, values: &Value) -> String {
        self.try_install(values).await.unwrap()
    }

    /// `helm upgrade`. Returns what it printed, notes included.
    pub(crate) async fn upgrade(&self, values: &Value) -> String {
        let chart = self.chart.to_str().unwrap();
        let arguments = ["upgrade", &self.name, chart];
        self.helm(&arguments, Some(values)).await.unwrap()
    }

    /// `helm upgrade` with the values that it has. Returns what it printed, notes included.
    pub(crate) async fn upgrade_reusing_values(&self) -> String {
        let chart = self.chart.to_str().unwrap();
        let arguments = ["upgrade", &self.name, chart, "--reuse-values"];
        self.helm(&arguments, None).await.unwrap()
    }

    /// `helm rollback`.
    pub(crate) async fn roll_back_to(&self, revision: u32) {
        let revision = revision.to_string();
        let arguments = ["rollback", &self.name, &revision];
        self.helm(&arguments, None).await.unwrap();
    }

    /// `helm uninstall`. Returns what it printed.
    pub(crate) async fn uninstall(&self) -> String {
        self.helm(&["uninstall", &self.name], None).await.unwrap()
    }

    /// The rights that it grants, as Helm has recorded them.
    pub(crate) async fn rights(&self) -> Rights {
        let manifest = self.helm(&["get", "manifest", &self.name], None).await;
        Rights::parse(&manifest.unwrap(), &self.namespace)
    }

    /// What a pod of it runs, as the API server has it.
    pub(crate) async fn pod(&self) -> PodSpec {
        self.deployment().await.spec.template.spec.unwrap()
    }

    /// Its Deployment, as the API server has it.
    pub(crate) async fn deployment(&self) -> Deployment {
        let client = self.world.control_plane.admin_client().await.unwrap();
        let deployments: Api<Deployment> = Api::namespaced(client, &self.namespace);
        let labelled = format!("app.kubernetes.io/instance={}", self.name);
        let parameters = ListParams::default().labels(&labelled);
        let mut found = deployments.list(&parameters).await.unwrap().items;
        assert_eq!(found.len(), 1, "the release has one Deployment");
        found.remove(0)
    }

    /// Name of the ServiceAccount that its pods run as.
    pub(crate) async fn service_account(&self) -> String {
        self.pod().await.service_account_name.unwrap()
    }

    /// Runs what a pod of it would run: that program with those arguments and that environment, as that
    /// ServiceAccount. What the kubelet would mount, the way to the API server, is in a kubeconfig. Returns when it
    /// serves `/livez`.
    pub(crate) async fn start_pod(&self, name: &str) -> OperatorProcess {
        let pod = self.pod().await;
        let [container] = pod.containers.as_slice() else {
            panic!("a pod has one container");
        };
        let account = pod.service_account_name.as_deref().unwrap();
        let control_plane = &self.world.control_plane;
        let kubeconfig = control_plane.service_account_kubeconfig(&self.namespace, account, HOUR);
        let kubeconfig = kubeconfig.await.unwrap();
        let operator = client_of(&kubeconfig).await.unwrap();
        self.rights()
            .await
            .in_force(&operator, &self.namespace)
            .await;
        let mut command = program();
        command
            .args(container.args.iter().flatten())
            .envs(self.environment(container))
            .env("HOSTNAME", name)
            .env("KUBECONFIG", &kubeconfig);
        let mut process = OperatorProcess::from_command(command);
        process.serves().await;
        process
    }

    fn environment(&self, container: &Container) -> Vec<(String, String)> {
        let value = |variable: &EnvVar| {
            let field = variable.value_from.as_ref();
            let field = field.and_then(|source| source.field_ref.as_ref());
            match field.map(|field| field.field_path.as_str()) {
                None => variable.value.clone().unwrap(),
                Some("metadata.namespace") => self.namespace.clone(),
                Some(other) => panic!("{} is {other}", variable.name),
            }
        };
        let variables = container.env.iter().flatten();
        variables
            .map(|variable| (variable.name.clone(), value(variable)))
            .collect()
    }

    /// Values by which its pods find this world's DigitalOcean, and a free port.
    pub(crate) fn values(&self, more: Value) -> Value {
        let mut values = json!({
            "extraArgs": ["--admin-address=127.0.0.1:0"],
            "extraEnv": [{"name": "DIGITALOCEAN_API_URL", "value": self.world.digitalocean_url()}],
        });
        let Value::Object(more) = more else {
            panic!("values are an object");
        };
        values.as_object_mut().unwrap().extend(more);
        values
    }

    async fn helm(&self, arguments: &[&str], values: Option<&Value>) -> Result<String, String> {
        let control_plane = &self.world.control_plane;
        let mut command = Command::new(helm());
        command
            .args(arguments)
            .args(["--namespace", &self.namespace])
            .args(values.map(|_| "--values=-"))
            .env_clear()
            .env("HOME", control_plane.directory().join("home"))
            .env("KUBECONFIG", control_plane.kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let values = values.map(Value::to_string).unwrap_or_default();
        input.write_all(values.as_bytes()).await.unwrap();
        drop(input);
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }
}
