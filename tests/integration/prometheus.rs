//! A real Prometheus scrapes the operator: it takes the metrics, the rules and the configuration in the documentation, and
//! finds something for every query of the dashboard.

mod dashboard;
mod server;

use std::collections::BTreeMap;
use std::process::Stdio;

use do_cluster_access::metrics::{Description, Kind, PREFIX};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use self::server::Prometheus;
use crate::harness::{OperatorProcess, Stage, eventually, repository, tool};

/// What is in `charts/do-cluster-access/files`.
fn file(name: &str) -> String {
    let files = repository().join("charts/do-cluster-access/files");
    std::fs::read_to_string(files.join(name)).unwrap()
}

/// Accesses of which one works, one has no cluster, and one has no API token.
async fn create_accesses(stage: &Stage) {
    stage.add_cluster(stage.cluster("prod"));
    for (name, cluster, token) in [
        ("prod", "prod", "digitalocean"),
        ("mistyped", "prud", "digitalocean"),
        ("forgotten", "prod", "nowhere"),
    ] {
        let spec = json!({"cluster": {"name": cluster}, "tokenSecretRef": {"name": token}});
        stage.create_access(name, spec).await;
    }
    stage.access("prod").ready().await;
    stage.access("mistyped").synced("ClusterNotFound").await;
    stage
        .access("forgotten")
        .synced("TokenSecretNotFound")
        .await;
}

#[tokio::test]
async fn prometheus_scrapes_the_replicas_evaluates_the_rules_and_answers_the_dashboard() {
    let Some(prometheus) = tool("prometheus", "prometheus") else {
        return;
    };
    let stage = stage!();
    let leader = OperatorProcess::start(&stage, &[]).await;
    leader.leads().await;
    let follower = OperatorProcess::start(&stage, &[]).await;
    follower.ready().await;
    let replicas = [leader.admin_address(), follower.admin_address()];
    let prometheus = Prometheus::start(&prometheus, &replicas, &file("alerts.yaml")).await;
    let value = async |query: &str| prometheus.value(query).await;

    // Counters are to be seen before they count.
    eventually("both replicas are scraped", async || {
        value("count(up == 1)").await == Some(2.0)
    })
    .await;
    create_accesses(&stage).await;
    let ours = format!("namespace=\"{}\"", stage.namespace);
    eventually("there are the series of three accesses", async || {
        value(&format!("count(do_cluster_access_synced{{{ours}}})")).await == Some(3.0)
    })
    .await;

    prometheus.scrapes_without_errors().await;
    types_are_as_described(&prometheus).await;
    let of_replicas = "namespace=\"operators\"";
    for (query, expected) in [
        (
            format!("sum(do_cluster_access_leader{{{of_replicas}}})"),
            1.0,
        ),
        (
            format!("count(do_cluster_access_build_info{{{of_replicas}}})"),
            2.0,
        ),
        (format!("sum(do_cluster_access_ready{{{ours}}})"), 1.0),
        (
            format!("count by (instance) (do_cluster_access_ready{{{ours}}})"),
            3.0,
        ),
        (
            format!("sum(do_cluster_access_verified{{{ours},reason=\"Accepted\"}})"),
            1.0,
        ),
        (
            format!(
                "do_cluster_access_synced{{{ours},name=\"mistyped\",reason=\"ClusterNotFound\"}}"
            ),
            0.0,
        ),
        (
            format!(
                "do_cluster_access_account_usable{{account=\"{}/nowhere\",reason=\"TokenSecretNotFound\"}}",
                stage.namespace
            ),
            0.0,
        ),
        (
            "do_cluster_access_digitalocean_ratelimit_limit".to_owned(),
            5000.0,
        ),
    ] {
        assert_eq!(value(&query).await, Some(expected), "{query}");
    }

    dashboard::answers_every_query(&file("dashboard.json"), &prometheus).await;
    let alerts = prometheus.alert_states().await;
    let expected: BTreeMap<_, _> = alerts
        .keys()
        .map(|alert| {
            let lasts = ["DOClusterAccessNotReady", "DOClusterAccessTokenUnusable"];
            let pending = lasts.contains(&alert.as_str());
            let expected = if pending { "pending" } else { "inactive" };
            (alert.clone(), expected.to_owned())
        })
        .collect();
    assert_eq!(alerts, expected);
    assert_eq!(alerts.len(), 13);
    prometheus.stop().await;
}

/// Whether Prometheus knows every family that is described, by the type that is described.
async fn types_are_as_described(prometheus: &Prometheus) {
    let types = prometheus.types().await;
    for family in &Description::ALL {
        let name = format!("{PREFIX}_{}", family.name);
        let described = format!("{:?}", family.kind).to_lowercase();
        let known = types.get(&name).or_else(|| {
            let total = format!("{name}_total");
            types.get(&total).filter(|_| family.kind == Kind::Counter)
        });
        assert_eq!(known, Some(&described), "{name} in {types:#?}");
    }
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_what_a_busy_leader_answers() {
    let Some(promtool) = tool("promtool", "prometheus") else {
        return;
    };
    let stage = stage!();
    let leader = OperatorProcess::start(&stage, &[]).await;
    leader.leads().await;
    create_accesses(&stage).await;
    let (_, metrics) = leader.get("/metrics").await;
    for family in &Description::ALL {
        let ending = if family.kind == Kind::Counter {
            "_total"
        } else {
            ""
        };
        let line = format!("\n# TYPE {PREFIX}_{}{ending} ", family.name);
        assert!(metrics.contains(&line), "no {line} in:\n{metrics}");
    }
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = check.stdin.take().unwrap();
    input.write_all(metrics.as_bytes()).await.unwrap();
    drop(input);
    let output = check.wait_with_output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[tokio::test]
async fn the_configuration_in_the_documentation_is_one_that_prometheus_takes() {
    let Some(promtool) = tool("promtool", "prometheus") else {
        return;
    };
    let page = std::fs::read_to_string(repository().join("docs/monitoring.md")).unwrap();
    let mut blocks = page.split("```yaml fragment\n").skip(1);
    let block = blocks.find(|block| block.starts_with("scrape_configs:"));
    let (configuration, _) = block.unwrap().split_once("```").unwrap();
    let mut configuration: Value = serde_saphyr::from_str(configuration).unwrap();
    // Debian leaves out of its build what discovers pods.
    let scrape = configuration["scrape_configs"][0].as_object_mut().unwrap();
    let pods = scrape.remove("kubernetes_sd_configs").unwrap();
    assert_eq!(pods[0]["role"], "pod");
    let directory = server::directory("documentation");
    let text = configuration.to_string();
    std::fs::write(directory.join("prometheus.yml"), text).unwrap();
    std::fs::write(directory.join("alerts.yaml"), file("alerts.yaml")).unwrap();
    let output = Command::new(promtool)
        .args(["check", "config", "prometheus.yml"])
        .current_dir(&directory)
        .output()
        .await
        .unwrap();
    std::fs::remove_dir_all(directory).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("SUCCESS: 13 rules found"), "{said}");
}
