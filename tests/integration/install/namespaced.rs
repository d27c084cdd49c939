//! An operator of one namespace, with a Role there and nothing else.

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use serde_json::{Value, json};

use super::{exists, versions};
use crate::harness::{
    OperatorProcess, Release, SIX, Stage, World, annotation, eventually, six, summary, text,
    unavailable, whoami,
};

fn release<'w>(world: &'w World, namespace: &str) -> Release<'w> {
    Release::new(world, &format!("credentials-of-{namespace}"), namespace)
}

/// Two replicas that serve their own namespace. The definitions are everybody's in a world that tests share.
fn values(release: &Release<'_>, more: Value) -> Value {
    let mut values = release.values(json!({
        "crds": {"install": false},
        "watchNamespaces": [release.namespace],
        "replicas": 2,
    }));
    values
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    values
}

async fn leader_and_follower(release: &Release<'_>) -> [OperatorProcess; 2] {
    let leader = release.start_pod("pod-0").await;
    leader.leads().await;
    let follower = release.start_pod("pod-1").await;
    follower.ready().await;
    assert!(!follower.is_leader().await);
    [leader, follower]
}

async fn ends_well(mut operator: OperatorProcess) {
    operator.terminate().await;
    assert_eq!(operator.ends().await.code(), Some(0));
}

/// The main job in every format, a hand-over, an upgrade, and an uninstallation, one after the other.
#[tokio::test]
async fn what_helm_installs_does_the_job_is_upgraded_without_an_issue_and_leaves_the_secrets_behind()
 {
    if unavailable() {
        return;
    }
    let world = World::shared().await;
    let stage = Stage::with_operator(&world, async |namespace| {
        let release = release(&world, namespace);
        let notes = release.install(&values(&release, json!({}))).await;
        assert!(
            notes.contains(&format!("kubectl -n {namespace} create secret generic")),
            "{notes}"
        );
        release.service_account().await
    })
    .await;
    let release = release(&world, &stage.namespace);
    let position = stage.audit_position().await;
    stage.add_cluster(stage.cluster("prod"));

    let [leader, follower] = leader_and_follower(&release).await;
    let spec = json!({"cluster": {"name": "prod"}, "deletionPolicy": "Delete", "outputs": six()});
    let access = stage.create_access("prod", spec).await;
    access.ready().await;
    let people = stage.secrets().get("people").await.unwrap();
    assert!(whoami(&text(&people, "kubeconfig")).await.is_ok());
    for name in SIX {
        let secret = stage.secrets().get(name).await.unwrap();
        assert!(!annotation(&secret, "expires-at").is_empty(), "{name}");
    }
    assert_eq!(stage.mints().len(), 2);
    eventually("the event is written", async || {
        !access.events().await.is_empty()
    })
    .await;

    ends_well(leader).await;
    follower.leads().await;
    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let lease = format!("{}-do-cluster-access", release.name);
    let holder = leases
        .get(&lease)
        .await
        .unwrap()
        .spec
        .unwrap()
        .holder_identity
        .unwrap();
    assert!(holder.starts_with("pod-1_"), "{holder}");
    assert_eq!(stage.mints().len(), 2, "the hand-over minted");
    access.rotate("after the hand-over").await;
    stage
        .secret_until("people", "it is renewed", |secret| {
            secret.data != people.data
        })
        .await;
    access.ready().await;
    assert_eq!(stage.mints().len(), 4);

    upgrade_issues_nothing(&stage, &release, follower).await;
    let mut refused = stage.all_operator_requests(position).await;
    refused.retain(|request| request.code == 401 || request.code == 403);
    // In this way it finds out that it may not see accounts.
    refused.retain(|request| request.resource != "doaccounts");
    assert!(refused.is_empty(), "{:#?}", summary(&refused));
    uninstall_keeps_what_matters(&stage, &release).await;
}

/// As a Deployment does it: a new pod comes before an old one goes.
async fn upgrade_issues_nothing(stage: &Stage, release: &Release<'_>, old: OperatorProcess) {
    let before = versions(stage, &SIX).await;
    let change = json!({"workers": 4, "log": {"format": "json", "filter": "info"}});
    let notes = release.upgrade(&values(release, change)).await;
    assert!(notes.contains("rollout status"), "{notes}");
    assert!(
        !notes.contains("create secret"),
        "nothing is left to do: {notes}"
    );
    let new = release.start_pod("pod-2").await;
    assert!(new.log().starts_with('{'), "{}", new.log());
    ends_well(old).await;
    new.leads().await;
    new.ready().await;
    // It has looked at the access when it reports of it.
    eventually("the new pod tells of the access", async || {
        let (_, metrics) = new.get("/metrics").await;
        metrics.contains("do_cluster_access_expiration_timestamp_seconds{")
    })
    .await;
    let access = stage.access("prod");
    access.patch_spec(json!({"suspend": true})).await;
    access.synced("Suspended").await;
    access.patch_spec(json!({"suspend": false})).await;
    access.ready().await;
    assert_eq!(stage.mints().len(), 4, "the upgrade minted");
    assert_eq!(versions(stage, &SIX).await, before, "the upgrade wrote");
    ends_well(new).await;
}

async fn uninstall_keeps_what_matters(stage: &Stage, release: &Release<'_>) {
    let (client, namespace) = (&stage.client, Some(stage.namespace.as_str()));
    let fullname = format!("{}-do-cluster-access", release.name);
    let role = format!("{fullname}-leader-election");
    let metrics = format!("{fullname}-metrics");
    let created = [
        ("apps/v1/Deployment", &fullname),
        ("v1/ServiceAccount", &fullname),
        ("v1/Service", &metrics),
        ("policy/v1/PodDisruptionBudget", &fullname),
        ("rbac.authorization.k8s.io/v1/Role", &fullname),
        ("rbac.authorization.k8s.io/v1/RoleBinding", &fullname),
        ("rbac.authorization.k8s.io/v1/Role", &role),
        ("rbac.authorization.k8s.io/v1/RoleBinding", &role),
    ];
    for (kind, name) in created {
        assert!(exists(client, kind, namespace, name).await, "{kind} {name}");
    }
    let before = versions(stage, &SIX).await;
    release.uninstall().await;
    for (kind, name) in created {
        eventually(&format!("{kind} {name} is gone"), async || {
            !exists(client, kind, namespace, name).await
        })
        .await;
    }
    assert_eq!(versions(stage, &SIX).await, before);
    stage.access("prod").ready().await;
}

/// They have a ServiceAccount, a Role and a lease each, and neither waits for the other.
#[tokio::test]
async fn two_releases_in_one_namespace_elect_a_leader_each() {
    if unavailable() {
        return;
    }
    let world = World::shared().await;
    let stage = Stage::with_operator(&world, async |namespace| {
        let release = release(&world, namespace);
        release.install(&values(&release, json!({}))).await;
        release.service_account().await
    })
    .await;
    let other = Stage::on(&world).await;
    let second = Release::new(&world, "other", &stage.namespace);
    let watched = json!({"watchNamespaces": [other.namespace]});
    second.install(&values(&second, watched)).await;
    let one = release(&world, &stage.namespace).start_pod("pod-0").await;
    let two = second.start_pod("pod-1").await;
    one.leads().await;
    two.leads().await;
    for stage in [&stage, &other] {
        stage.add_cluster(stage.cluster("prod"));
        let access = stage
            .create_access("prod", json!({"cluster": {"name": "prod"}}))
            .await;
        access.ready().await;
    }
    assert!(one.is_leader().await && two.is_leader().await);
}
