//! One token, many accesses: what is asked of DigitalOcean is asked once for all whom it serves.

use std::collections::BTreeSet;
use std::time::Duration;

use do_cluster_access::api::DOClusterAccess;
use do_cluster_access::clock::Clock;
use do_cluster_access::controller::Settings;
use do_cluster_access::digitalocean::RequestLimits;
use do_cluster_access_testbed::simulator::{
    Account as Team, Cluster, ErrorBody, Fault, FaultKind, KubeconfigDefect, Limits, Mint,
    Operation, Scope, fingerprint,
};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::harness::{
    Access, Operator, Stage, Tenant, annotation, condition, eventually, text, token_in,
};

/// After this the operator asks for the list of clusters again when it is to issue.
const LIST_IS_OLD: Duration = Duration::from_secs(301);

/// Accesses that exist before their account: its appearance makes all of them due at one instant.
async fn due_together(tenants: &[&Tenant], specs: &[Value]) -> Vec<Access> {
    let owner = tenants[0];
    let mut accesses = Vec::new();
    for (number, spec) in specs.iter().enumerate() {
        let mut spec = spec.clone();
        spec["cluster"] = json!({"name": "prod"});
        spec["accountRef"] = json!({"name": owner.account_name()});
        let tenant = tenants[number % tenants.len()];
        let name = format!("access-{number}");
        accesses.push(tenant.create_access_by_account(&name, spec).await);
    }
    for access in &accesses {
        access.synced("AccountNotFound").await;
    }
    let namespaces: Vec<_> = tenants.iter().map(|tenant| &tenant.namespace).collect();
    let spec = json!({"allowedNamespaces": namespaces});
    owner.create_account(spec).await;
    accesses
}

async fn ready(accesses: &[Access]) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for access in accesses {
        access.ready().await;
        secrets.push(access.secret().await);
    }
    secrets
}

fn tokens(secrets: &[Secret]) -> BTreeSet<String> {
    let token = |secret| text(secret, "token");
    secrets.iter().map(token).collect()
}

fn operations(mints: &[Mint]) -> Vec<Operation> {
    let mut operations: Vec<_> = mints.iter().map(|mint| mint.operation).collect();
    operations.sort();
    operations
}

#[tokio::test]
async fn accesses_of_three_namespaces_that_are_due_together_share_one_issue() {
    let tenant = tenant!();
    let (second, third) = tokio::join!(tenant.neighbour(), tenant.neighbour());
    tenant.add_cluster(tenant.cluster("prod"));
    let specs = [json!({}), json!({}), json!({})];
    let accesses = due_together(&[&tenant, &second, &third], &specs).await;
    let secrets = ready(&accesses).await;
    assert_eq!(
        operations(&tenant.mints()),
        [Operation::GetKubeconfig, Operation::GetCredentials]
    );
    assert_eq!(tokens(&secrets).len(), 1);
    let unique = |mark: &str| -> BTreeSet<_> {
        let marks = secrets.iter().map(|secret| annotation(secret, mark));
        marks.collect()
    };
    assert_eq!(unique("access-uid").len(), 3, "each has its own Secret");
    assert_eq!(unique("content-hash").len(), 3);
    assert_eq!(unique("expires-at").len(), 1);
}

#[tokio::test]
async fn rendered_kubeconfigs_that_are_due_together_take_one_mint_and_other_lifetimes_their_own() {
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    let rendered = json!({"kubeconfigSource": "Rendered"});
    let hour = json!({"kubeconfigSource": "Rendered", "expirySeconds": 3600});
    let specs = [rendered.clone(), rendered, hour.clone(), hour];
    let accesses = due_together(&[&tenant], &specs).await;
    let secrets = ready(&accesses).await;
    assert_eq!(
        operations(&tenant.mints()),
        [Operation::GetCredentials, Operation::GetCredentials]
    );
    assert_eq!(tokens(&secrets[..2]).len(), 1);
    assert_eq!(tokens(&secrets[2..]).len(), 1);
    assert_eq!(tokens(&secrets).len(), 2);
}

#[tokio::test]
async fn an_access_without_a_kubeconfig_shares_the_half_that_it_needs() {
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    let keys = json!([{"key": "token", "field": "Token"}]);
    let custom = |name: &str| {
        let output = json!({"secretName": name, "format": "Custom", "keys": keys});
        json!({ "outputs": [output] })
    };
    let specs = [json!({}), custom("one"), json!({}), custom("other")];
    let accesses = due_together(&[&tenant], &specs).await;
    for access in &accesses {
        access.ready().await;
    }
    assert_eq!(
        operations(&tenant.mints()),
        [Operation::GetKubeconfig, Operation::GetCredentials]
    );
    let names = ["access-0-kubeconfig", "one", "access-2-kubeconfig", "other"];
    let mut secrets = Vec::new();
    for name in names {
        secrets.push(tenant.secrets().get(name).await.unwrap());
    }
    assert_eq!(tokens(&secrets).len(), 1);
}

#[tokio::test]
async fn when_the_first_one_fails_to_mint_the_others_try_and_nobody_waits_for_ever() {
    let tenant = tenant!();
    let id = tenant.add_cluster(tenant.cluster("prod"));
    // Not the API token's fault, so that it is not probed: the answer to one call is no good.
    let fault = Fault::new(FaultKind::Kubeconfig(KubeconfigDefect::Exec));
    tenant.inject(fault.on(Operation::GetKubeconfig).of_cluster(&id).times(1));
    let specs = [json!({}), json!({}), json!({})];
    let accesses = due_together(&[&tenant], &specs).await;
    let secrets = ready(&accesses).await;
    // The one whose kubeconfig was no good keeps the other half, and may have shared it.
    let made = operations(&tenant.mints());
    let of = |operation| made.iter().filter(|made| **made == operation).count();
    assert!((1..=2).contains(&of(Operation::GetCredentials)), "{made:?}");
    assert!((2..=3).contains(&of(Operation::GetKubeconfig)), "{made:?}");
    assert_eq!(secrets.len(), 3);
}

#[tokio::test]
async fn while_digitalocean_is_down_those_who_would_share_wait_and_then_take_one_issue() {
    let tenant = tenant!();
    let id = tenant.add_cluster(tenant.cluster("prod"));
    let down = FaultKind::Status {
        code: 503,
        body: ErrorBody::Html,
        retry_after: None,
    };
    for operation in [Operation::GetCredentials, Operation::GetKubeconfig] {
        let fault = Fault::new(down.clone()).on(operation).of_cluster(&id);
        tenant.inject(fault.times(1));
    }
    let specs = [json!({}), json!({}), json!({})];
    let accesses = due_together(&[&tenant], &specs).await;
    let secrets = ready(&accesses).await;
    assert_eq!(
        operations(&tenant.mints()),
        [Operation::GetKubeconfig, Operation::GetCredentials]
    );
    assert_eq!(tokens(&secrets).len(), 1);
}

#[tokio::test]
async fn a_forced_rotation_is_for_the_one_that_asked() {
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    let specs = [json!({}), json!({})];
    let accesses = due_together(&[&tenant], &specs).await;
    let before = ready(&accesses).await;
    assert_eq!(tenant.mints().len(), 2);

    let asked_at = Clock::system().now();
    accesses[0].rotate("now").await;
    let after = accesses[0].renewed(&before[0]).await;
    accesses[0].ready().await;
    let mints = tenant.mints();
    assert_eq!(mints.len(), 4);
    assert!(mints[2..].iter().all(|mint| mint.time >= asked_at));
    assert_eq!(tokens(&[after, before[0].clone()]).len(), 2);
    // The other is looked at, and has nothing to do.
    accesses[1]
        .patch_spec(json!({"renewBeforeSeconds": 300_000}))
        .await;
    accesses[1].ready().await;
    let other = accesses[1].secret().await;
    assert_eq!(other.resource_version(), before[1].resource_version());
    assert_eq!(tenant.mints().len(), 4);
}

#[tokio::test]
async fn a_namesake_gets_a_credential_of_its_own_although_others_share_one() {
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    let specs = [json!({}), json!({})];
    let accesses = due_together(&[&tenant], &specs).await;
    let before = ready(&accesses).await;
    accesses[0].delete().await;
    tenant.secret_gone(&accesses[0].secret_name()).await;
    // Creation is told in whole seconds.
    let minted_at = tenant.mints()[1].time.as_second();
    eventually("another second begins", async || {
        Clock::system().now_seconds() > minted_at
    })
    .await;
    let spec = json!({"cluster": {"name": "prod"}});
    let namesake = tenant.create_access_by_account("access-0", spec).await;
    namesake.ready().await;
    let secret = namesake.secret().await;
    let created = namesake.get().await.metadata.creation_timestamp.unwrap();
    let kubeconfig = text(&secret, "kubeconfig");
    for token in [text(&secret, "token"), token_in(&kubeconfig)] {
        let mints = tenant.mints();
        let minted = mints
            .iter()
            .find(|mint| mint.fingerprint == fingerprint(&token));
        assert!(
            minted.unwrap().time >= created.0,
            "it is older than its access"
        );
    }
    let other = accesses[1].secret().await;
    assert_eq!(other.resource_version(), before[1].resource_version());
}

#[tokio::test]
async fn accesses_of_equal_age_are_renewed_together_by_one_issue() {
    let stage = stage!();
    stage.add_cluster(stage.cluster("prod"));
    let spec = json!({"cluster": {"name": "prod"}, "expirySeconds": 3600});
    let mut accesses = Vec::new();
    for name in ["one", "two", "three"] {
        accesses.push(stage.create_access(name, spec.clone()).await);
    }
    let operator = Operator::start(&stage).await;
    let before = ready(&accesses).await;
    assert_eq!(stage.mints().len(), 2);

    // The first of them is due after 2,040 to 2,400 s, and then all may share: the last of them is due.
    operator.advance(Duration::from_secs(2400));
    accesses[0].touch("due").await;
    let mut after = Vec::new();
    for (access, before) in accesses.iter().zip(&before) {
        after.push(access.renewed(before).await);
    }
    ready(&accesses).await;
    assert_eq!(stage.mints().len(), 4);
    assert_eq!(tokens(&after).len(), 1);
    assert!(tokens(&after).is_disjoint(&tokens(&before)));
}

/// Clusters whose names are held by the list of an account, and accesses that name them.
struct Thousand<'a> {
    stage: &'a Stage,
    team: String,
}

impl Thousand<'_> {
    const CLUSTERS: usize = 1000;

    fn count(&self, operation: Operation) -> usize {
        let history = self.stage.simulator.history();
        let made = history.iter().filter(|entry| {
            entry.account.as_ref() == Some(&self.team) && entry.operation == Some(operation)
        });
        made.count()
    }
}

#[tokio::test]
async fn a_thousand_accesses_by_name_take_five_list_calls_a_refresh_and_no_get() {
    let stage = stage!();
    let team = format!("thousand-of-{}", stage.namespace);
    let generous = Limits {
        requests_per_minute: 20_000,
        requests_per_hour: 100_000,
    };
    let token = stage.simulator.draw_api_token();
    let account = Team {
        limits: Some(generous),
        ..Team::new(&team)
    };
    stage.simulator.add_account(account).unwrap();
    stage
        .simulator
        .add_token(&team, &token, Scope::Full)
        .unwrap();
    stage
        .put_secret("thousand", &[("access-token", &token)])
        .await;
    let mut ids = Vec::new();
    for number in 0..Thousand::CLUSTERS {
        let cluster = Cluster {
            // They give no credentials yet, so that finding them is all that there is to do.
            state: "provisioning".to_owned(),
            ..stage.cluster(&format!("cluster-{number}"))
        };
        ids.push(stage.simulator.add_cluster(&team, cluster).unwrap());
    }
    let create = async |number: usize| {
        let spec = json!({
            "cluster": {"name": format!("cluster-{number}")},
            "tokenSecretRef": {"name": "thousand"},
            "kubeconfigSource": "Rendered",
            "verification": "Off",
        });
        stage.create_access(&format!("access-{number}"), spec).await
    };
    let mut accesses = Vec::new();
    for chunk in (0..Thousand::CLUSTERS).collect::<Vec<_>>().chunks(50) {
        accesses.extend(join_all(chunk.iter().map(|number| create(*number))).await);
    }
    let settings = Settings {
        limits: RequestLimits {
            per_minute: 20_000,
            per_hour: 100_000,
        },
        ..Operator::settings(&stage)
    };
    let operator = Operator::start_as(&stage, 0, &settings).await;
    let thousand = Thousand {
        stage: &stage,
        team,
    };
    let resolved = |access: &DOClusterAccess| {
        let cluster = access
            .status
            .as_ref()
            .and_then(|status| status.cluster.as_ref());
        cluster.is_some_and(|cluster| cluster.id.is_some())
    };
    // A list of them all is no cheap question: the last one is a good sign that they are through.
    let last = accesses.last().unwrap();
    last.until("its name is resolved", resolved).await;
    eventually("every name is resolved", async || {
        let all = accesses[0].api.list(&ListParams::default()).await.unwrap();
        all.iter().filter(|access| resolved(access)).count() == Thousand::CLUSTERS
    })
    .await;
    assert_eq!(thousand.count(Operation::ListClusters), 5);
    for (number, id) in ids.iter().enumerate().step_by(100) {
        let access = accesses[number].get().await;
        assert_eq!(
            access.status.unwrap().cluster.unwrap().id.as_ref(),
            Some(id)
        );
        let serve = |cluster: &mut Cluster| "running".clone_into(&mut cluster.state);
        stage.simulator.update_cluster(id, serve).unwrap();
    }
    operator.advance(LIST_IS_OLD);
    for access in accesses.iter().step_by(100) {
        access.touch("running").await;
    }
    for access in accesses.iter().step_by(100) {
        access.ready().await;
    }
    assert_eq!(thousand.count(Operation::ListClusters), 10);
    assert_eq!(thousand.count(Operation::GetCluster), 0);
    assert_eq!(thousand.count(Operation::GetCredentials), 10);
}

#[tokio::test]
async fn a_list_that_is_incomplete_changes_nothing() {
    const CLUSTERS: usize = 201;
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let mut ids = Vec::new();
    for number in 0..CLUSTERS {
        ids.push(stage.add_cluster(stage.cluster(&format!("cluster-{number}"))));
    }
    // The list begins with the newest: one on each page.
    let mut accesses = Vec::new();
    for number in [0, CLUSTERS - 1] {
        let spec = json!({"cluster": {"name": format!("cluster-{number}")}});
        accesses.push(stage.create_access(&format!("access-{number}"), spec).await);
    }
    let before = ready(&accesses).await;
    let count = |operation| {
        let made = stage.digitalocean_requests();
        made.iter()
            .filter(|entry| entry.operation == Some(operation))
            .count()
    };
    let failed = FaultKind::Status {
        code: 500,
        body: ErrorBody::Json,
        retry_after: None,
    };
    for (round, kind, reason) in [
        ("failed", failed, "ApiUnavailable"),
        ("short", FaultKind::ShortPage(1), "ApiResponseInvalid"),
    ] {
        let mut fault = Fault::new(kind).on(Operation::ListClusters);
        fault.matches.page = Some(2);
        let fault = stage.inject(fault);
        operator.advance(LIST_IS_OLD);
        accesses[0].rotate(round).await;
        let told = accesses[0].synced(reason).await;
        assert!(condition(&told, "Ready").is_some_and(|ready| ready.status == "True"));
        let cluster = told.status.unwrap().cluster.unwrap();
        assert_eq!(cluster.id.as_ref(), Some(&ids[0]));
        // The one that is on the page which failed is looked at, and stays as it is.
        accesses[1]
            .patch_spec(json!({"renewBeforeSeconds": 200_000 + round.len()}))
            .await;
        let other = accesses[1].ready().await;
        let cluster = other.status.unwrap().cluster.unwrap();
        assert_eq!(cluster.id.as_ref(), Some(&ids[CLUSTERS - 1]));
        assert_eq!(count(Operation::GetCluster), 0);

        let held = accesses[0].secret().await;
        stage.simulator.clear_fault(fault).unwrap();
        operator.advance(Duration::from_secs(601));
        accesses[0].touch(round).await;
        accesses[0].renewed(&held).await;
        accesses[0].ready().await;
    }
    let other = accesses[1].secret().await;
    assert_eq!(other.resource_version(), before[1].resource_version());
    assert_eq!(count(Operation::GetCluster), 0);
    assert_eq!(stage.mints().len(), 8);
}
