//! A Prometheus of a test's own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::{PATIENCE, eventually};

/// A running Prometheus, which scrapes once a second. It is killed, and what it stored removed, when this is dropped.
pub(super) struct Prometheus {
    child: Child,
    url: String,
    directory: PathBuf,
    /// Reads its log, so that it never waits for a reader.
    _log: JoinSet<()>,
}

/// An empty directory, which the caller removes.
pub(super) fn directory(purpose: &str) -> PathBuf {
    let name = format!(
        "do-cluster-access-prometheus-{purpose}-{}",
        std::process::id()
    );
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

impl Prometheus {
    /// One that scrapes `targets` as the documentation says: what they say of `namespace` counts, and where they say
    /// nothing it is `operators`. `rules` is a file of rules.
    pub(super) async fn start(program: &Path, targets: &[&str], rules: &str) -> Self {
        let directory = directory("server");
        let configuration = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{
                "job_name": "do-cluster-access",
                "honor_labels": true,
                "static_configs": [{"targets": targets, "labels": {"namespace": "operators"}}],
            }],
        });
        std::fs::write(directory.join("rules.yaml"), rules).unwrap();
        // JSON is YAML, too.
        std::fs::write(directory.join("prometheus.yml"), configuration.to_string()).unwrap();
        let mut child = Command::new(program)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = String::new();
        let listens = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
                    return format!("http://{address}");
                }
                log.push_str(&line);
                log.push('\n');
            }
            panic!("it ended:\n{log}");
        };
        let Ok(url) = timeout(PATIENCE, listens).await else {
            panic!("it does not listen");
        };
        let mut reader = JoinSet::new();
        reader.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let prometheus = Self {
            child,
            url,
            directory,
            _log: reader,
        };
        eventually("it is ready", async || {
            let answer = reqwest::get(format!("{}/-/ready", prometheus.url)).await;
            answer.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        prometheus
    }

    /// The data that a path of its API answers with.
    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let url = format!("{}/api/v1/{path}", self.url);
        let request = reqwest::Client::new().get(url).query(parameters);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(
            answer["status"], "success",
            "{path} {parameters:?}: {answer}"
        );
        answer["data"].clone()
    }

    /// The values that a query gives now.
    pub(super) async fn values(&self, query: &str) -> Vec<f64> {
        let data = self.get("query", &[("query", query)]).await;
        let samples = data["result"].as_array().unwrap();
        let value = |sample: &Value| sample["value"][1].as_str().unwrap().parse().unwrap();
        samples.iter().map(value).collect()
    }

    /// The one value that a query gives now; `None` where there is not just one.
    pub(super) async fn value(&self, query: &str) -> Option<f64> {
        match self.values(query).await.as_slice() {
            [value] => Some(*value),
            _ => None,
        }
    }

    /// The values of a label, of the series that a selector selects.
    pub(super) async fn label_values(&self, selector: &str, label: &str) -> Vec<String> {
        let parameters = [("match[]", selector)];
        let data = self
            .get(&format!("label/{label}/values"), &parameters)
            .await;
        serde_json::from_value(data).unwrap()
    }

    /// Panics unless every target was scraped without an error the last time.
    pub(super) async fn scrapes_without_errors(&self) {
        let targets = self.get("targets", &[]).await;
        for target in targets["activeTargets"].as_array().unwrap() {
            assert_eq!(target["health"], "up", "{target}");
            assert_eq!(target["lastError"], "", "{target}");
        }
    }

    /// The type of every family of series.
    pub(super) async fn types(&self) -> BTreeMap<String, String> {
        let families = self.get("metadata", &[]).await;
        let families = families.as_object().unwrap().iter();
        families
            .map(|(name, told)| (name.clone(), told[0]["type"].as_str().unwrap().to_owned()))
            .collect()
    }

    /// The state of every alert once each has been evaluated. Panics where that failed.
    pub(super) async fn alert_states(&self) -> BTreeMap<String, String> {
        let mut states = BTreeMap::new();
        eventually("every rule has been evaluated", async || {
            let data = self.get("rules", &[]).await;
            let groups = data["groups"].as_array().unwrap().iter();
            let rules = groups.flat_map(|group| group["rules"].as_array().unwrap().clone());
            let rules: Vec<_> = rules.collect();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            for rule in &rules {
                assert_eq!(text(&rule["lastError"]), "", "{rule}");
            }
            states = rules
                .iter()
                .map(|rule| (text(&rule["name"]), text(&rule["state"])))
                .collect();
            !rules.is_empty() && rules.iter().all(|rule| rule["health"] == "ok")
        })
        .await;
        states
    }

    /// Ends it.
    pub(super) async fn stop(mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Of one that still runs, something may be left.
        drop(std::fs::remove_dir_all(&self.directory));
    }
}
