//! An operator of the whole cluster, with the definitions that the chart brings, and the account that it creates.

use std::path::{Path, PathBuf};

use do_cluster_access_testbed::control_plane::Options;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use serde_json::{Value, json};

use super::{exists, versions};
use crate::harness::{
    Access, Account, OperatorProcess, Release, Stage, World, repository, text, unavailable, whoami,
};

const DEFINITION: &str = "doclusteraccesses.doclusteraccess.dev";
const NAMESPACE: &str = "operators";
const SECRET: &str = "prod-kubeconfig";

/// A world without the operator's definitions: the chart brings them.
#[tokio::test]
async fn a_release_brings_definitions_and_an_account_upgrades_them_and_leaves_what_users_have() {
    if unavailable() {
        return;
    }
    let world = World::start_with(Options::default(), Vec::new()).await;
    let release = Release::new(&world, "do-cluster-access", NAMESPACE);
    let (account, team) = an_older_release_is_upgraded(&world, &release).await;
    let (access, operator) = a_team_uses_the_account(&team, &release).await;
    account.says("Usable").await;
    uninstall_keeps_definitions_accesses_and_secrets(&team, &release, operator).await;
    a_release_under_the_same_name_goes_on_without_an_issue(&team, &release, &access).await;
    a_release_under_another_name_takes_the_definitions_only_when_told_to(&world, &release).await;
}

fn values(release: &Release<'_>, token: &str) -> Value {
    release.values(json!({"account": {
        "create": true,
        "token": token,
        "allowedNamespaces": ["stage-*"],
        "allowedClusters": {"names": ["prod"]},
    }}))
}

/// The chart as an earlier version might have been: a definition lacks a column.
fn older_chart(directory: &Path) -> PathBuf {
    let chart = directory.join("do-cluster-access");
    copy(&repository().join("charts/do-cluster-access"), &chart);
    let path = chart.join("files/crds/doclusteraccesses.yaml");
    let definition = std::fs::read_to_string(&path).unwrap();
    let mut definition: Value = serde_saphyr::from_str(&definition).unwrap();
    let columns = &mut definition["spec"]["versions"][0]["additionalPrinterColumns"];
    assert_eq!(columns.as_array_mut().unwrap().remove(0)["name"], "Ready");
    std::fs::write(&path, definition.to_string()).unwrap();
    chart
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn columns(world: &World) -> Vec<String> {
    let client = world.control_plane.admin_client().await.unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let definition = definitions.get(DEFINITION).await.unwrap();
    let mut versions = definition.spec.versions.into_iter();
    let columns = versions.next().unwrap().additional_printer_columns;
    let columns = columns.into_iter().flatten();
    columns.map(|column| column.name).collect()
}

/// Helm cannot create an account together with its definition, and says what to do about it.
async fn an_older_release_is_upgraded(world: &World, release: &Release<'_>) -> (Account, Stage) {
    let older = older_chart(&world.control_plane.directory().join("older"));
    let older = Release::of(&older, world, &release.name, NAMESPACE);
    let api_token = world.simulator.draw_api_token();
    let notes = older.install(&values(release, &api_token)).await;
    assert!(
        notes.contains("THE DOACCOUNT DEFAULT IS STILL MISSING"),
        "{notes}"
    );
    assert!(!notes.contains(&api_token), "{notes}");
    let client = world.control_plane.admin_client().await.unwrap();
    let account = "doclusteraccess.dev/v1alpha1/DOAccount";
    assert!(!exists(&client, account, None, "default").await);
    assert!(!columns(world).await.contains(&"Ready".to_owned()));

    let team = Stage::on(world).await;
    let scope = do_cluster_access_testbed::simulator::Scope::Full;
    let simulator = &world.simulator;
    simulator
        .add_token(&team.namespace, &api_token, scope)
        .unwrap();
    let told = format!(
        "helm -n {NAMESPACE} upgrade {} <chart> --reuse-values",
        release.name
    );
    assert!(notes.contains(&told), "{notes}");
    let notes = release.upgrade_reusing_values().await;
    assert!(
        !notes.contains("MISSING") && !notes.contains(&api_token),
        "{notes}"
    );
    assert!(columns(world).await.contains(&"Ready".to_owned()));
    release.roll_back_to(1).await;
    assert!(!columns(world).await.contains(&"Ready".to_owned()));
    release.upgrade(&values(release, &api_token)).await;
    assert!(columns(world).await.contains(&"Ready".to_owned()));
    (Account::existing(&client, "default"), team)
}

async fn a_team_uses_the_account(team: &Stage, release: &Release<'_>) -> (Access, OperatorProcess) {
    let operator = release.start_pod("pod-0").await;
    team.add_cluster(team.cluster("prod"));
    let access = team
        .create_bare_access("prod", &[], json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    let kubeconfig = text(&access.secret().await, "kubeconfig");
    assert!(whoami(&kubeconfig).await.is_ok());
    assert_eq!(team.mints().len(), 2);
    (access, operator)
}

async fn uninstall_keeps_definitions_accesses_and_secrets(
    team: &Stage,
    release: &Release<'_>,
    mut operator: OperatorProcess,
) {
    let before = versions(team, &[SECRET]).await;
    let said = release.uninstall().await;
    assert!(said.contains(DEFINITION), "what is kept is named: {said}");
    // A pod may go on for a moment without its rights.
    operator.terminate().await;
    operator.ends().await;
    assert_eq!(versions(team, &[SECRET]).await, before);
    let client = &team.client;
    let definition = "apiextensions.k8s.io/v1/CustomResourceDefinition";
    assert!(exists(client, definition, None, DEFINITION).await);
    let access = "doclusteraccess.dev/v1alpha1/DOClusterAccess";
    assert!(exists(client, access, Some(&team.namespace), "prod").await);
    for (kind, namespace, name) in [
        (
            "rbac.authorization.k8s.io/v1/ClusterRole",
            None,
            "do-cluster-access",
        ),
        (
            "rbac.authorization.k8s.io/v1/ClusterRoleBinding",
            None,
            "do-cluster-access",
        ),
        ("doclusteraccess.dev/v1alpha1/DOAccount", None, "default"),
        ("apps/v1/Deployment", Some(NAMESPACE), "do-cluster-access"),
        ("v1/Secret", Some(NAMESPACE), "do-cluster-access-account"),
    ] {
        let what = format!("{kind} {name} is gone");
        crate::harness::eventually(&what, async || !exists(client, kind, namespace, name).await)
            .await;
    }
}

async fn a_release_under_the_same_name_goes_on_without_an_issue(
    team: &Stage,
    release: &Release<'_>,
    access: &Access,
) {
    let before = versions(team, &[SECRET]).await;
    let api_token = team.simulator.draw_api_token();
    let scope = do_cluster_access_testbed::simulator::Scope::Full;
    team.simulator
        .add_token(&team.namespace, &api_token, scope)
        .unwrap();
    let notes = release.install(&values(release, &api_token)).await;
    assert!(
        !notes.contains("MISSING"),
        "the definitions were kept: {notes}"
    );
    let operator = release.start_pod("pod-1").await;
    operator.leads().await;
    access.patch_spec(json!({"suspend": true})).await;
    access.synced("Suspended").await;
    access.patch_spec(json!({"suspend": false})).await;
    access.ready().await;
    assert_eq!(team.mints().len(), 2, "the new release minted");
    assert_eq!(versions(team, &[SECRET]).await, before);
    operator.kill().await;
}

async fn a_release_under_another_name_takes_the_definitions_only_when_told_to(
    world: &World,
    release: &Release<'_>,
) {
    release.uninstall().await;
    let other = Release::new(world, "other", NAMESPACE);
    let refused = other
        .try_install(&other.values(json!({})))
        .await
        .unwrap_err();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    let left_alone = json!({"crds": {"install": false}});
    other.install(&other.values(left_alone)).await;
    other.uninstall().await;
    let taken = other.values(json!({}));
    let installed = other.install_with(&taken, &["--take-ownership"]).await;
    assert!(installed.is_ok(), "{installed:?}");
    other.uninstall().await;
    assert!(columns(world).await.contains(&"Ready".to_owned()));
}
