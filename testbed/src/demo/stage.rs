//! What the operator meets: DigitalOcean's API, and a Kubernetes API server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use kube::Client;

use super::error::Error;
use super::names::{AUTHENTICATED, CLUSTER};
use super::terminal::Terminal;
use crate::control_plane::{ControlPlane, Options};
use crate::simulator::{
    Account, Cluster, RunningSimulator, Scope, Settings, Simulator, User, system_clock,
};

const ACCOUNT: &str = "demo";

/// The simulator and the control plane, running.
pub(super) struct Stage {
    pub(super) simulator: Simulator,
    /// It answers until this is dropped.
    pub(super) served: RunningSimulator,
    /// Opens the account.
    pub(super) api_token: String,
    pub(super) control_plane: ControlPlane,
    /// An administrator of the control plane.
    pub(super) client: Client,
}

impl Stage {
    /// Starts both. What they write is in `directory`.
    pub(super) async fn set(directory: &Path, terminal: &Terminal) -> Result<Self, Error> {
        let simulator = simulator(directory)?;
        let api_token = simulator.draw_api_token();
        simulator.add_token(ACCOUNT, &api_token, Scope::Full)?;
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let served = simulator.serve(any_port).await?;
        terminal.line(&format!("  DigitalOcean   {} (simulated)", served.url()))?;

        terminal.hint("  control plane  starts, which takes some seconds")?;
        let control_plane = ControlPlane::start(Options {
            token_webhook_url: Some(served.token_review_url()),
            custom_resource_definitions: vec![root().join("crds")],
            directory: Some(directory.join("control-plane")),
            ..Options::default()
        })
        .await?;
        let client = control_plane.admin_client().await?;
        let version = client.apiserver_version().await?.git_version;
        let components: Vec<&str> = control_plane.components().map(|(name, _)| name).collect();
        terminal.line(&format!(
            "  control plane  {} (Kubernetes {version}: {})",
            control_plane.server(),
            components.join(", "),
        ))?;

        simulator.add_cluster(
            ACCOUNT,
            Cluster {
                name: CLUSTER.to_owned(),
                endpoint: Some(control_plane.server().to_owned()),
                certificate_authority: Some(control_plane.certificate_authority().to_owned()),
                ..Cluster::default()
            },
        )?;
        Ok(Self {
            simulator,
            served,
            api_token,
            control_plane,
            client,
        })
    }

    /// How many credentials were minted, by the record of every request.
    pub(super) fn mints(&self) -> usize {
        let minting = |entry: &&crate::simulator::Entry| entry.minted.is_some();
        self.simulator.history().iter().filter(minting).count()
    }

    /// Stops both, and returns when nothing is left of them.
    pub(super) async fn strike(self) -> Result<(), Error> {
        Ok(self.control_plane.stop().await?)
    }
}

fn simulator(directory: &Path) -> Result<Simulator, Error> {
    let history = directory.join("digitalocean-history.ndjson");
    let file = std::fs::File::create(&history).map_err(Error::file(&history))?;
    let simulator = Simulator::new(Settings {
        // Tokens and ids that were never seen before.
        seed: system_clock()().as_microsecond().cast_unsigned(),
        history: Some(Box::new(file)),
        ..Settings::default()
    })?;
    simulator.add_account(Account {
        label: ACCOUNT.to_owned(),
        user: User {
            username: "demo@example.com".to_owned(),
            groups: vec![AUTHENTICATED.to_owned()],
        },
        limits: None,
    })?;
    Ok(simulator)
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
