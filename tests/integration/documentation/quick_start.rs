//! A reader who types what a page says, in order.
//!
//! What is in a block ```` ```sh ```` is run, on a real API server, in a directory that looks like a checkout. What is in
//! ```` ```sh kind ```` needs nodes, and in ```` ```sh account ```` a DigitalOcean account. A block ```` ```text ````
//! behind one of the first kind is what it prints.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Output;

use tokio::process::Command;

use super::markdown::{Block, Page};
use crate::harness::{OperatorProcess, Stage, World, program, repository};

/// Where the chart goes, and what its ServiceAccount is called.
const RELEASE: &str = "do-cluster-access";

/// What is wrong with the marks of a page's commands, a line for each.
pub(super) fn faults(page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    for block in &page.blocks {
        let needs = |programs: &[&str]| {
            let mut words = block.text.split_whitespace();
            words.any(|word| programs.contains(&word))
        };
        let fault = match block.info.as_str() {
            "sh kind" if !needs(&["kind", "rollout"]) => "it can be run without nodes",
            "sh account"
                if !needs(&["doctl"]) && !block.text.contains("registry.digitalocean.com") =>
            {
                "it can be run without an account"
            }
            "sh" if needs(&["kind", "doctl", "docker", "rollout"]) => "it cannot be run by a test",
            "sh" | "sh kind" | "sh account" | "text" | "yaml" => continue,
            _ => "a command is marked as `sh`, `sh kind` or `sh account`",
        };
        faults.push(format!("{}:{}: {fault}", page.path, block.line));
    }
    faults
}

/// Types all of it. Returns how many blocks of commands were run, and how many outputs compared.
pub(super) async fn follow(page: &Page, world: &World, stage: &Stage) -> (usize, usize) {
    let desk = Desk::new(page, world, stage);
    let (mut run, mut compared) = (0, 0);
    let mut operator = None;
    let mut printed: Option<String> = None;
    for block in &page.blocks {
        match block.info.as_str() {
            "yaml" => std::fs::write(desk.directory.join("access.yaml"), &block.text).unwrap(),
            // It is a test of its own.
            "sh" if block.text.lines().all(|line| line.starts_with("make ")) => {}
            "sh" => {
                if block.text.contains("helm uninstall") {
                    drop(operator.take());
                }
                printed = Some(desk.type_in(page, block).await);
                run += 1;
                if block.text.contains("helm install") {
                    operator = Some(Desk::pod(world, stage).await);
                }
                continue;
            }
            "text" => {
                if let Some(printed) = printed.take() {
                    let place = format!("{}:{}", page.path, block.line);
                    assert_eq!(shape(&block.text), shape(&printed), "{place}:\n{printed}");
                    compared += 1;
                }
            }
            _ => {}
        }
        printed = None;
    }
    (run, compared)
}

/// What is the same every time: the words of each line, where those with a digit are all alike.
fn shape(text: &str) -> Vec<Vec<&str>> {
    fn word(word: &str) -> &str {
        let changes = word.contains(|letter: char| letter.is_ascii_digit());
        if changes { "#" } else { word }
    }
    text.lines()
        .map(|line| line.split_whitespace().map(word).collect())
        .collect()
}

/// Where the reader sits: a directory with the chart, programs, a kubeconfig and a token. It goes with them.
struct Desk {
    directory: PathBuf,
    kubeconfig: PathBuf,
    token: String,
}

impl Desk {
    fn new(page: &Page, world: &World, stage: &Stage) -> Self {
        let name = page.path.replace('/', "-");
        let name = format!("do-cluster-access-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(directory.join("bin")).unwrap();
        let link = |from: &str, to: &str| symlink(repository().join(from), directory.join(to));
        link("charts", "charts").unwrap();
        link("deploy", "deploy").unwrap();
        link(".tools/bin/kubectl", "bin/kubectl").unwrap();
        link(".tools/bin/helm", "bin/helm").unwrap();
        Self {
            kubeconfig: world.control_plane.kubeconfig().to_owned(),
            token: stage.api_token.clone(),
            directory,
        }
    }

    /// Runs a block, which has to succeed. Returns what it printed.
    async fn type_in(&self, page: &Page, block: &Block) -> String {
        let output = self.run(&block.text).await;
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{}:{}:\n{}{printed}{}",
            page.path,
            block.line,
            block.text,
            String::from_utf8_lossy(&output.stderr),
        );
        printed
    }

    async fn run(&self, commands: &str) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.directory.join("bin").display());
        let shell = Command::new("sh")
            .args(["-euc", commands])
            .current_dir(&self.directory)
            .env_clear()
            .env("PATH", path)
            .env("HOME", &self.directory)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("DIGITALOCEAN_TOKEN", &self.token)
            .kill_on_drop(true)
            .output();
        shell.await.unwrap()
    }

    /// What a node would do with the Deployment: run the operator as its ServiceAccount.
    async fn pod(world: &World, stage: &Stage) -> OperatorProcess {
        let hour = std::time::Duration::from_secs(3600);
        let kubeconfig = world
            .control_plane
            .service_account_kubeconfig(RELEASE, RELEASE, hour)
            .await
            .unwrap();
        let mut command = program();
        command
            .arg("run")
            .args(["--digitalocean-api-url", &stage.digitalocean_url])
            .args(["--admin-address", "127.0.0.1:0"])
            .env("POD_NAMESPACE", RELEASE)
            .env("KUBECONFIG", kubeconfig);
        let mut operator = OperatorProcess::from_command(command);
        operator.serves().await;
        operator
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            eprintln!("{} stays behind: {error}", self.directory.display());
        }
    }
}
