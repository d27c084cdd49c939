//! What a leg meets, new for every leg: DigitalOcean with a cluster for every access, a target cluster, and
//! a control plane with the chart installed.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::accesses::name;
use super::error::Error;
use super::stub_target::StubTarget;
use super::variant::SHARERS;
use crate::control_plane::{ControlPlane, Options, client_of};
use crate::demo::install;
use crate::demo::names::{OPERATOR, TOKEN_KEY, TOKEN_SECRET};
use crate::demo::stage::root;
use crate::simulator::{
    Account, Cluster, Latency, Limits, RunningSimulator, Scope, Settings, Simulator, system_clock,
};

/// Where the accesses are.
pub(super) const NAMESPACE: &str = "bench";
/// How long DigitalOcean takes for an answer.
pub(super) const LATENCY: Duration = Duration::from_millis(5);
/// A rate limit that nothing here reaches.
const NO_LIMIT: usize = 100_000_000;
const ACCOUNT: &str = "bench";
/// Longer than a leg takes.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Everything around the operator.
pub(super) struct World {
    pub(super) simulator: Simulator,
    digitalocean: RunningSimulator,
    pub(super) target: StubTarget,
    pub(super) control_plane: ControlPlane,
    /// An administrator.
    pub(super) client: Client,
    /// The operator's ServiceAccount.
    kubeconfig: PathBuf,
    api_token: String,
    cluster_ids: Vec<String>,
    directory: TempDir,
}

impl World {
    /// Starts everything, with `clusters` clusters to have access to.
    pub(super) async fn create(clusters: usize) -> Result<Self, Error> {
        let directory = tempfile::Builder::new()
            .prefix("do-cluster-access-bench-")
            .tempdir()?;
        let target = StubTarget::start().await?;
        let (simulator, api_token, cluster_ids) = simulator(clusters, &target)?;
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let digitalocean = simulator.serve(any_port).await?;
        let control_plane = ControlPlane::start(Options {
            // Nothing here is collected, and its share of the processors would be in the figures.
            controller_manager: false,
            custom_resource_definitions: vec![root().join("crds")],
            directory: Some(directory.path().join("control-plane")),
            ..Options::default()
        })
        .await?;
        install::chart(&control_plane, directory.path()).await?;
        let token = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": TOKEN_SECRET, "namespace": NAMESPACE},
            "stringData": {TOKEN_KEY: &api_token},
        });
        install::apply(&control_plane, vec![install::namespace(NAMESPACE), token]).await?;
        let kubeconfig = control_plane
            .service_account_kubeconfig(OPERATOR, OPERATOR, DAY)
            .await?;
        let client = control_plane.admin_client().await?;
        Ok(Self {
            simulator,
            digitalocean,
            target,
            control_plane,
            client,
            kubeconfig,
            api_token,
            cluster_ids,
            directory,
        })
    }

    /// A text with what is in braces replaced.
    pub(super) fn fill_in(&self, text: &str) -> String {
        text.replace("{kubeconfig}", &self.kubeconfig.display().to_string())
            .replace("{digitalocean}", &self.digitalocean.url())
            .replace("{token}", &self.api_token)
            .replace("{namespace}", NAMESPACE)
    }

    /// The same for the text about one access.
    pub(super) fn fill_in_for(&self, text: &str, number: usize) -> String {
        let id = self.cluster_ids.get(number).map_or("", String::as_str);
        self.fill_in(text)
            .replace("{name}", &name(number))
            .replace("{cluster}", &cluster(number))
            .replace("{shared_cluster}", &cluster(number / SHARERS))
            .replace("{cluster_id}", id)
    }

    /// With the rights of the contender's ServiceAccount.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Gives the contender's ServiceAccount all rights: what the chart gives is the operator's.
    pub(super) async fn allow_everything(&self) -> Result<(), Error> {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "bench-contender"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": OPERATOR}],
        });
        Ok(install::apply(&self.control_plane, vec![binding]).await?)
    }

    /// Applies a manifest as the administrator.
    pub(super) async fn apply_manifest(&self, manifest: &str) -> Result<(), Error> {
        let objects: Vec<Value> = serde_saphyr::from_multiple(manifest)
            .map_err(|error| Error::Unexpected(format!("manifest: {error}")))?;
        Ok(install::apply(&self.control_plane, objects).await?)
    }

    /// Where a log of that name is.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A client with the operator's rights, to which the same priority and fairness applies.
    pub(super) async fn operator_client(&self) -> Result<Client, Error> {
        Ok(client_of(&self.kubeconfig).await?)
    }

    /// Stops everything. `keep`: the directory with data and logs stays, and is returned.
    pub(super) async fn end(mut self, keep: bool) -> Result<Option<PathBuf>, Error> {
        self.directory.disable_cleanup(keep);
        self.control_plane.stop().await?;
        Ok(keep.then(|| self.directory.path().to_owned()))
    }
}

fn simulator(
    clusters: usize,
    target: &StubTarget,
) -> Result<(Simulator, String, Vec<String>), Error> {
    let simulator = Simulator::new(Settings {
        limits: Limits {
            requests_per_minute: NO_LIMIT,
            requests_per_hour: NO_LIMIT,
        },
        latency: Latency {
            least: LATENCY,
            most: LATENCY,
        },
        ..Settings::default()
    })?;
    simulator.add_account(Account::new(ACCOUNT))?;
    let api_token = simulator.draw_api_token();
    simulator.add_token(ACCOUNT, &api_token, Scope::Full)?;
    let mut ids = Vec::new();
    for number in 0..clusters {
        let cluster = Cluster {
            name: cluster(number),
            endpoint: Some(target.url().to_owned()),
            certificate_authority: Some(target.certificate_authority().to_owned()),
            ..Cluster::default()
        };
        ids.push(simulator.add_cluster(ACCOUNT, cluster)?);
    }
    Ok((simulator, api_token, ids))
}

/// The name of a cluster: all are of the same length.
fn cluster(number: usize) -> String {
    format!("cluster-{number:06}")
}

/// Now, on the clock that the API server and the operator's log go by.
pub(super) fn now() -> Timestamp {
    system_clock()()
}
