//! The operator as the program that users run.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::stage::Stage;
use super::waiting::{PATIENCE, eventually, eventually_some};

/// The program, in an environment that nothing on this machine influences.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_do-cluster-access"));
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
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
        let mut child = program()
            .arg("run")
            .args(["--digitalocean-api-url", &stage.digitalocean_url])
            .args(["--operator-namespace", &stage.namespace])
            .args(["--admin-address", "127.0.0.1:0"])
            .args(arguments)
            .env("KUBECONFIG", &stage.operator_kubeconfig)
            .env("HOSTNAME", "operator")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::default();
        let collecting = tokio::spawn(collect(child.stderr.take().unwrap(), Arc::clone(&log)));
        let mut process = Self {
            child,
            admin_url: String::new(),
            log,
            collecting,
        };
        let address = process.logged("serving /livez").await;
        let address = address.split_once("127.0.0.1:").unwrap().1;
        let port: String = address.chars().take_while(char::is_ascii_digit).collect();
        process.admin_url = format!("http://127.0.0.1:{port}");
        process
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

    async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
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

async fn collect(output: ChildStderr, log: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock().unwrap();
        log.push_str(&line);
        log.push('\n');
    }
}
