//! The operator's process.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};

use super::error::Error;
use super::names::OPERATOR;

/// How long it may take to end after SIGTERM.
const DRAIN: Duration = Duration::from_secs(15);

/// How long it may take from its start until it leads.
const ELECTION: Duration = Duration::from_secs(30);

/// A running operator; killed when dropped.
pub(crate) struct Operator {
    process: Child,
}

impl Operator {
    /// Runs `program` with these `flags` more against the cluster of `kubeconfig`, in an environment that
    /// holds nothing else.
    pub(crate) fn start(
        program: &Path,
        kubeconfig: &Path,
        digitalocean: &str,
        flags: &[&str],
        log: &Path,
    ) -> Result<Self, Error> {
        let mut command = Command::new(program);
        command
            .args(["run", "--digitalocean-api-url", digitalocean])
            .args(["--operator-namespace", OPERATOR])
            .args(["--admin-address", "127.0.0.1:0"])
            .args(flags)
            .env_clear()
            .env("KUBECONFIG", kubeconfig);
        Self::spawn(command, log)
    }

    /// Runs a command that ends on SIGTERM, with all that it writes in `log`.
    pub(crate) fn spawn(mut command: Command, log: &Path) -> Result<Self, Error> {
        let log_file = std::fs::File::create(log).map_err(Error::file(log))?;
        let errors = log_file.try_clone().map_err(Error::file(log))?;
        let program = PathBuf::from(command.as_std().get_program());
        let process = command
            .stdin(Stdio::null())
            .stdout(log_file)
            .stderr(errors)
            // An interrupt typed at the terminal is for us; the operator ends when we say so.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::file(&program))?;
        Ok(Self { process })
    }

    /// Its process id; `None` when it has ended.
    pub(crate) fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Does something for as long as the operator runs.
    pub(crate) async fn while_running<T>(
        &mut self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            outcome = work => outcome,
            ended = self.process.wait() => Err(Error::OperatorEnded(ended?)),
        }
    }

    /// Lets it run for a while.
    pub(crate) async fn run_for(&mut self, time: Duration) -> Result<(), Error> {
        let passed = async {
            sleep(time).await;
            Ok(())
        };
        self.while_running(passed).await
    }

    /// Ends it as Kubernetes would: SIGTERM, and SIGKILL only when that does not help.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        let pid = self
            .process
            .id()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        }
        if let Ok(ended) = timeout(DRAIN, self.process.wait()).await {
            return success(ended?);
        }
        self.process.kill().await?;
        Err(Error::TooLong {
            what: "the end of the operator after SIGTERM".to_owned(),
            within: DRAIN,
            state: String::new(),
        })
    }
}

fn success(ended: ExitStatus) -> Result<(), Error> {
    ended
        .success()
        .then_some(())
        .ok_or(Error::OperatorEnded(ended))
}

/// Waits until an operator holds the lease.
pub(crate) async fn leads(client: &Client) -> Result<(), Error> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), OPERATOR);
    let is_held = |lease: Option<&Lease>| {
        let spec = lease.and_then(|lease| lease.spec.as_ref());
        spec.is_some_and(|spec| spec.holder_identity.is_some())
    };
    match timeout(ELECTION, await_condition(leases, OPERATOR, is_held)).await {
        Ok(held) => held.map(drop).map_err(Error::Lease),
        Err(_) => Err(Error::TooLong {
            what: "the operator's lease".to_owned(),
            within: ELECTION,
            state: String::new(),
        }),
    }
}

/// The last lines of a log; empty where there is none.
pub(crate) fn last_lines(log: &Path, count: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
