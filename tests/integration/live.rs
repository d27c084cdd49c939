//! `make live` is for the real DigitalOcean, and nobody should find out there that it does not work: here it meets the
//! simulator.

use std::process::Output;

use do_cluster_access_testbed::control_plane::Options;
use tokio::process::Command;

use crate::harness::{Stage, World, program, repository, unavailable};

const CLUSTER: &str = "prod-cluster-01";

async fn live(cluster: &str, environment: &[(&str, &str)]) -> Output {
    Command::new(repository().join("packaging/live.sh"))
        .arg(program().as_std().get_program())
        .arg(cluster)
        .current_dir(repository())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(environment.iter().copied())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

fn told(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[tokio::test]
async fn without_a_cluster_or_a_token_nothing_is_done() {
    for (cluster, environment, missing) in [
        ("", &[("DIGITALOCEAN_TOKEN", "token")][..], "CLUSTER="),
        (CLUSTER, &[], "DIGITALOCEAN_TOKEN"),
        (
            "Not a name",
            &[("DIGITALOCEAN_TOKEN", "token")],
            "no cluster",
        ),
    ] {
        let output = live(cluster, environment).await;
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(told(&output).contains(missing), "{}", told(&output));
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test]
async fn what_is_assumed_of_digitalocean_is_so_in_the_simulator() {
    if unavailable() {
        return;
    }
    let world = World::start(Options::default()).await;
    let stage = Stage::on(&world).await;
    stage.add_cluster(stage.cluster(CLUSTER));
    let environment = [
        ("DIGITALOCEAN_API_URL", stage.digitalocean_url.as_str()),
        ("DIGITALOCEAN_TOKEN", &stage.api_token),
        (
            "MANAGEMENT_KUBECONFIG",
            world.control_plane.kubeconfig().to_str().unwrap(),
        ),
        ("LIFETIME", "120"),
    ];
    let output = live(CLUSTER, &environment).await;
    let told = told(&output);
    assert!(output.status.success(), "{told}");
    assert_eq!(told.matches("\n  yes  ").count(), 14, "{told}");
    assert_eq!(stage.mints().len(), 4, "{told}");
    assert!(!told.contains(&stage.api_token), "{told}");
    let page = std::fs::read_to_string(repository().join("docs/live.md")).unwrap();
    for line in told.lines() {
        assert!(page.contains(line), "docs/live.md does not show: {line}");
    }
}
