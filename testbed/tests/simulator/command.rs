//! `simulate` as a process.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::world::LIST;

const PATIENCE: Duration = Duration::from_secs(60);

struct Process {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    errors: Lines<BufReader<ChildStderr>>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_do-cluster-access-testbed"))
            .args(["simulate", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a process");
        let output = child.stdout.take().expect("its output");
        let errors = child.stderr.take().expect("its errors");
        Self {
            child,
            output: BufReader::new(output).lines(),
            errors: BufReader::new(errors).lines(),
        }
    }

    async fn line(&mut self) -> String {
        next(&mut self.output).await
    }

    /// The base URL that the first line tells.
    async fn url(&mut self) -> String {
        url(&self.line().await)
    }

    /// Everything up to the last line of the introduction.
    async fn introduction(&mut self) -> String {
        let mut text = String::new();
        loop {
            let line = self.line().await;
            text.push_str(&line);
            text.push('\n');
            if line == "Ctrl-C stops it." {
                return text;
            }
        }
    }

    async fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().expect("it runs").to_string();
        let kill = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(kill.expect("kill").success());
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        status.expect("in time").expect("a status").code()
    }
}

async fn next(lines: &mut Lines<impl AsyncBufRead + Unpin>) -> String {
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
    let line = line.expect("in time").expect("readable");
    line.expect("another line")
}

fn url(line: &str) -> String {
    let url = line.split_whitespace().next_back();
    url.expect("a URL").to_owned()
}

async fn list(url: &str, token: &str) -> Value {
    let client = reqwest::Client::new().get(format!("{url}{LIST}"));
    let response = client.bearer_auth(token).send().await.expect("a response");
    assert_eq!(response.status(), 200);
    response.json().await.expect("JSON")
}

#[tokio::test]
async fn without_flags_it_has_one_account_of_three_clusters_and_says_how_to_use_it() {
    let mut process = Process::start(&[]);
    let url = process.url().await;
    let introduction = process.introduction().await;
    let token = introduction
        .split_whitespace()
        .find(|word| word.starts_with("dop_v1_"))
        .expect("an API token");
    let clusters = list(&url, token).await;
    assert_eq!(clusters["meta"]["total"], 3);
    for cluster in clusters["kubernetes_clusters"].as_array().expect("a list") {
        assert!(introduction.contains(cluster["id"].as_str().expect("an id")));
        assert!(introduction.contains(cluster["name"].as_str().expect("a name")));
    }
    assert!(introduction.contains("/credentials?expiry_seconds=300'"));
    assert!(introduction.contains("DELETE /_simulator/faults"));
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test]
async fn flags_set_tokens_clusters_endpoint_limits_and_history() {
    let folder = tempfile::tempdir().expect("a folder");
    let history = folder.path().join("history.ndjson");
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, "a certificate\n").expect("a file");
    let mut process = Process::start(&[
        "--token=first",
        "--token=second",
        "--clusters=4",
        "--endpoint=https://127.0.0.1:6443",
        "--certificate-authority",
        authority.to_str().expect("a path"),
        "--history",
        history.to_str().expect("a path"),
        "--requests-per-minute=7",
        "--requests-per-hour=9",
        "--seed=5",
        "--latency=1",
    ]);
    let url = process.url().await;
    process.introduction().await;
    assert_eq!(list(&url, "first").await["meta"]["total"], 4);
    let clusters = list(&url, "second").await;
    let endpoint = clusters["kubernetes_clusters"][0]["endpoint"].clone();
    assert_eq!(endpoint, "https://127.0.0.1:6443");
    let written = std::fs::read_to_string(&history).expect("the history");
    let entries: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1]["account"], "account-2");
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test]
async fn the_history_on_standard_output_is_all_there_is_on_it() {
    let mut process = Process::start(&["--history=-", "--token=first"]);
    let url = url(&next(&mut process.errors).await);
    list(&url, "first").await;
    let entry: Value = serde_json::from_str(&process.line().await).expect("a line of JSON");
    assert_eq!(entry["operation"], "list_clusters");
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_do-cluster-access-testbed"))
        .args(["simulate", "--listen", &address])
        .output()
        .await
        .expect("a process");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(
        error.starts_with(&format!("error: cannot listen on {address}: ")),
        "{error}"
    );
    assert!(error.contains("--listen 127.0.0.1:0"));
}
