//! `simulate`: the simulator on the command line.

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::control::HELP;
use super::{
    Account, Cluster, Error, Latency, Limits, RunningSimulator, Scope, Settings, Simulator,
    fingerprint,
};

/// Serve a simulated DigitalOcean: the four calls that hand out access to Kubernetes clusters, and a TokenReview webhook
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct Simulate {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7080")]
    listen: SocketAddr,
    /// API token of an account, repeatable: each opens an account with clusters of its own [default: one, drawn from the seed]
    #[arg(long, value_name = "TOKEN")]
    token: Vec<String>,
    /// Clusters of each account
    #[arg(long, value_name = "N", default_value_t = 3)]
    clusters: usize,
    /// API server that every cluster claims as its endpoint [default: what DigitalOcean would give it]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// PEM file of that API server's certificate authority [default: one that signs nothing]
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    certificate_authority: Option<PathBuf>,
    /// Where a line of JSON is written for every request; - is standard output
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Requests that an API token may make in any 60 seconds
    #[arg(long, value_name = "N", default_value_t = Limits::default().requests_per_minute)]
    requests_per_minute: usize,
    /// Requests that an API token may make in any hour
    #[arg(long, value_name = "N", default_value_t = Limits::default().requests_per_hour)]
    requests_per_hour: usize,
    /// Decides tokens, ids and chance: the same seed gives the same again
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Milliseconds that every answer takes
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    latency: u64,
}

/// Why the simulator did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// A file that was named cannot be used.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address is taken, or not of this machine.
    #[error("cannot listen on {address}: {source} (--listen 127.0.0.1:0 takes a free port)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The arguments contradict each other.
    #[error(transparent)]
    Simulator(#[from] Error),
    /// Standard output or the signals cannot be used.
    #[error(transparent)]
    Process(#[from] io::Error),
}

impl Simulate {
    /// Serves until the process is told to stop.
    ///
    /// # Errors
    /// When it cannot start.
    pub async fn run(self) -> Result<(), SimulateError> {
        let simulator = Simulator::new(self.settings()?)?;
        let accounts = self.populate(&simulator)?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        let running = simulator.serve(self.listen).await.map_err(|source| {
            let address = self.listen;
            SimulateError::Listen { address, source }
        })?;
        // The history may be on standard output, which then holds nothing else.
        if self.writes_history_to_standard_output() {
            introduce(&mut io::stderr().lock(), &simulator, &running, &accounts)?;
        } else {
            introduce(&mut io::stdout().lock(), &simulator, &running, &accounts)?;
        }
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        Ok(())
    }

    fn writes_history_to_standard_output(&self) -> bool {
        self.history
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-")
    }

    fn settings(&self) -> Result<Settings, SimulateError> {
        let history: Option<Box<dyn Write + Send>> = match &self.history {
            None => None,
            Some(_) if self.writes_history_to_standard_output() => Some(Box::new(io::stdout())),
            Some(path) => Some(Box::new(File::create(path).map_err(|source| {
                let path = path.clone();
                SimulateError::File { path, source }
            })?)),
        };
        let latency = Duration::from_millis(self.latency);
        Ok(Settings {
            seed: self.seed,
            limits: Limits {
                requests_per_minute: self.requests_per_minute,
                requests_per_hour: self.requests_per_hour,
            },
            latency: Latency {
                least: latency,
                most: latency,
            },
            history,
            ..Settings::default()
        })
    }

    /// An account for each API token, with its clusters; the answer is the accounts' labels and API tokens.
    fn populate(&self, simulator: &Simulator) -> Result<Vec<(String, String)>, SimulateError> {
        const KINDS: [(&str, &str, &str); 3] = [
            ("prod", "nyc1", "env:prod"),
            ("staging", "ams3", "env:staging"),
            ("dev", "fra1", "env:dev"),
        ];
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|source| {
                let path = path.clone();
                SimulateError::File { path, source }
            })
        };
        let certificate_authority = self.certificate_authority.as_ref().map(read).transpose()?;
        let tokens = if self.token.is_empty() {
            vec![simulator.draw_api_token()]
        } else {
            self.token.clone()
        };
        let labels = (1..).map(|number| format!("account-{number}"));
        let accounts: Vec<(String, String)> = labels.zip(tokens).collect();
        for (label, token) in &accounts {
            simulator.add_account(Account::new(label))?;
            simulator.add_token(label, token, Scope::Full)?;
            let kinds = KINDS.iter().cycle().enumerate().take(self.clusters);
            for (index, (name, region, tag)) in kinds {
                simulator.add_cluster(
                    label,
                    Cluster {
                        name: format!("{name}-cluster-{:02}", index / KINDS.len() + 1),
                        region: (*region).to_owned(),
                        tags: vec![(*tag).to_owned()],
                        endpoint: self.endpoint.clone(),
                        certificate_authority: certificate_authority.clone(),
                        ..Cluster::default()
                    },
                )?;
            }
        }
        Ok(accounts)
    }
}

fn introduce(
    out: &mut impl Write,
    simulator: &Simulator,
    running: &RunningSimulator,
    accounts: &[(String, String)],
) -> io::Result<()> {
    let url = running.url();
    writeln!(out, "A simulated DigitalOcean listens on {url}\n")?;
    let clusters = simulator.clusters();
    for (label, token) in accounts {
        writeln!(
            out,
            "{label}: API token {token} (in the history: {})",
            fingerprint(token)
        )?;
        for (_, cluster) in clusters.iter().filter(|(owner, _)| owner == label) {
            let Cluster {
                id, name, region, ..
            } = cluster;
            writeln!(out, "  {id}  {name} in {region}")?;
        }
    }
    let (Some((_, token)), Some((_, cluster))) = (accounts.first(), clusters.first()) else {
        return out.flush();
    };
    let id = &cluster.id;
    let api = format!("{url}/v2/kubernetes/clusters");
    let authorization = format!("-H 'Authorization: Bearer {token}'");
    writeln!(out, "\nTry:")?;
    writeln!(out, "  curl {authorization} {api}")?;
    writeln!(
        out,
        "  curl {authorization} '{api}/{id}/credentials?expiry_seconds=300'"
    )?;
    writeln!(
        out,
        "  curl {authorization} '{api}/{id}/kubeconfig?type=token'"
    )?;
    writeln!(
        out,
        "  curl {url}/_simulator/faults -d '{{\"kind\":{{\"status\":{{\"code\":503,\"body\":\"html\"}}}},\"times\":2}}'"
    )?;
    writeln!(out, "  curl {url}/_simulator/history")?;
    writeln!(
        out,
        "\nToken authenticator for a kube-apiserver (--authentication-token-webhook-config-file): {}",
        running.token_review_url()
    )?;
    writeln!(out, "\n{HELP}\nCtrl-C stops it.")?;
    out.flush()
}
