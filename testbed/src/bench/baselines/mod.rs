//! Two controllers to be measured beside the operator, each a process of its own: [`minimal`], the floor of
//! anything that reacts, and [`naive`], what a team writes in an afternoon.

mod digitalocean;
mod minimal;
mod naive;
mod secret;

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use kube::{Client, Config, CustomResource};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::digitalocean::DigitalOcean;

/// A controller that is not the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Minimal,
    Naive,
}

/// Run a controller that `bench` measures beside the operator; cluster from KUBECONFIG
#[derive(Args, Debug)]
pub struct Baseline {
    #[arg(value_enum)]
    kind: Kind,
    #[arg(long, env = "DIGITALOCEAN_API_URL")]
    digitalocean_api_url: String,
    #[arg(long, env = "DIGITALOCEAN_ACCESS_TOKEN", hide_env_values = true)]
    digitalocean_access_token: String,
}

impl Baseline {
    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// When there is no cluster, or signals cannot be awaited.
    pub async fn run(self) -> Result<(), Box<dyn std::error::Error>> {
        let kubernetes = Client::try_from(Config::infer().await?)?;
        let digitalocean =
            DigitalOcean::new(&self.digitalocean_api_url, &self.digitalocean_access_token)?;
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let work = async {
            match self.kind {
                Kind::Minimal => minimal::run(kubernetes, digitalocean).await,
                Kind::Naive => naive::run(kubernetes, digitalocean).await,
            }
        };
        tokio::select! {
            () = work => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    }
}

/// The resource, as far as these controllers read it.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize)]
#[kube(
    group = "doclusteraccess.dev",
    version = "v1alpha1",
    kind = "DOClusterAccess",
    plural = "doclusteraccesses",
    namespaced,
    schema = "disabled",
    status = "Value"
)]
struct AccessSpec {
    cluster: ClusterReference,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct ClusterReference {
    id: String,
}
