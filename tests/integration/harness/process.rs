//! The operator as the program that users run.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::stage::Stage;
use super::waiting::{PATIENCE, eventually, eventually_some};

/// Names the program to test, the release build for example; otherwise it is the one that cargo built with the tests.
const PROGRAM_VARIABLE: &str = "DO_CLUSTER_ACCESS_BINARY";

/// The program, in an environment that nothing on this machine influences.
pub(crate) fn program() -> Command {
    let built = env!("CARGO_BIN_EXE_do-cluster-access").into();
    let program = std::env::var_os(PROGRAM_VARIABLE).unwrap_or(built);
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Where a process finds the API server and DigitalOcean.
pub(crate) struct Route {
    /// Its kubeconfig.
    pub(crate) kubeconfig: PathBuf,
    /// Base URL of DigitalOcean's API.
    pub(crate) digitalocean_url: String,
}

/// A running operator. It is killed when this is dropped.
pub(crate) struct OperatorProcess {
    child: Child,
    admin_url: String,
    log: Arc<Mutex<String>>,
    collecting: JoinHandle<()>,
}

impl OperatorProcess {
    /// `do-cluster-access run` for the namespace of a stage, with more arguments. Returns when it serves `/livez`.
    /// Log levels below info cannot be asked for: the log says where that is.
    pub(crate) async fn start(stage: &Stage, arguments: &[&str]) -> Self {
        let namespace = format!("--watch-namespace={}", stage.namespace);
        Self::start_everywhere(stage, &[&[namespace.as_str()], arguments].concat()).await
    }

    /// The same for all namespaces: for a world of one's own.
    pub(crate) async fn start_everywhere(stage: &Stage, arguments: &[&str]) -> Self {
        let route = Route {
            kubeconfig: stage.operator_kubeconfig.clone(),
            digitalocean_url: stage.digitalocean_url.clone(),
        };
        let mut process = Self::spawn(stage, &route, arguments);
        process.serves().await;
        process
    }

    /// The same on another route, without waiting for anything.
    pub(crate) fn spawn(stage: &Stage, route: &Route, arguments: &[&str]) -> Self {
        let mut command = program();
        command
            .arg("run")
            .args(["--digitalocean-api-url", &route.digitalocean_url])
            .args(["--operator-namespace", &stage.namespace])
            .args(["--admin-address", "127.0.0.1:0"])
            .args(arguments)
            .env("KUBECONFIG", &route.kubeconfig)
            .env("HOSTNAME", "operator");
        Self::from_command(command)
    }

    /// Whatever runs an operator whose admin server is on a free port of 127.0.0.1.
    pub(crate) fn from_command(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::default();
        let collecting = tokio::spawn(collect(child.stderr.take().unwrap(), Arc::clone(&log)));
        Self {
            child,
            admin_url: String::new(),
            log,
            collecting,
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits until it serves `/livez`.
    pub(crate) async fn serves(&mut self) {
        let address = self.logged("serving /livez").await;
        let address = address.split_once("127.0.0.1:").unwrap().1;
        let port: String = address.chars().take_while(char::is_ascii_digit).collect();
        self.admin_url = format!("http://127.0.0.1:{port}");
    }

    /// The first line of the log that contains `text`, as soon as there is one.
    pub(crate) async fn logged(&self, text: &str) -> String {
        let find = async || {
            // Asked first: what was logged at the end is there then.
            let ended = self.collecting.is_finished();
            let log = self.log();
            let line = log
                .lines()
                .find(|line| line.contains(text))
                .map(str::to_owned);
            assert!(
                line.is_some() || !ended,
                "it ended without {text:?}:\n{log}"
            );
            line
        };
        eventually_some(&format!("the log says {text:?}"), find).await
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Where the admin server listens: address and port.
    pub(crate) fn admin_address(&self) -> &str {
        self.admin_url.trim_start_matches("http://")
    }

    /// Status and body of a path of the admin server.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("{}{path}", self.admin_url))
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Waits until `/readyz` says yes.
    pub(crate) async fn ready(&self) {
        eventually("the operator is ready", async || {
            self.get("/readyz").await.0 == 200
        })
        .await;
    }

    /// Waits until it leads.
    pub(crate) async fn leads(&self) {
        eventually("the operator leads", async || self.is_leader().await).await;
    }

    /// Whether it leads, as its metrics say.
    pub(crate) async fn is_leader(&self) -> bool {
        let (_, metrics) = self.get("/metrics").await;
        metrics
            .lines()
            .any(|line| line == "do_cluster_access_leader 1.0")
    }

    /// Asks it to stop, as Kubernetes does.
    pub(crate) async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Kills it: it has no chance to do anything more.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Stops it in its tracks, until it is [resumed](Self::resume).
    pub(crate) async fn pause(&self) {
        self.signal("STOP").await;
    }

    /// Lets it go on, as if no time had passed.
    pub(crate) async fn resume(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &id])
            .status()
            .await;
        assert!(sent.unwrap().success());
    }

    /// Waits for its end, and for the end of its log.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        let end = async {
            let status = self.child.wait().await.unwrap();
            (&mut self.collecting).await.unwrap();
            status
        };
        let Ok(status) = timeout(PATIENCE, end).await else {
            panic!("it goes on; its log:\n{}", self.log());
        };
        status
    }
}

impl Drop for OperatorProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the log of an operator:\n{}", self.log());
        }
    }
}

async fn collect(output: ChildStderr, log: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock().unwrap();
        log.push_str(&line);
        log.push('\n');
    }
}
