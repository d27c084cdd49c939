//! What earlier versions of the operator have left in a cluster, and what this one makes of it: nothing is issued, and no
//! Secret is written.
//!
//! `upgrade/` holds a file for each earlier version: its accesses with their status, their Secrets and its account, as the
//! API server had them, `managedFields` and UIDs included. `make upgrade-fixture` writes the file of the present version;
//! that is part of making a release. The objects are put back into etcd itself, since an API server would give them
//! new UIDs, and the operator's clock is set back to the time at which they were taken.

use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use do_cluster_access::api::{DOAccount, DOClusterAccess};
use do_cluster_access::clock::Clock;
use do_cluster_access_testbed::control_plane::Options;
use do_cluster_access_testbed::simulator::Cluster;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DynamicObject, ListParams, PostParams};
use kube::core::ApiResource;
use kube::{Api, Resource, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::harness::{
    Account, Operator, OperatorProcess, Rights, SIX, Stage, World, has_condition, repository, six,
    unavailable,
};

/// Where the accesses are.
const TEAM: &str = "team";
/// The account that accesses use which name none.
const ACCOUNT: &str = "default";
/// The port of the clusters in a fixture. Nothing gets it by chance, as it could one that the system hands out.
const PORT: u16 = 26443;
/// How much later than the fixture was taken the operator starts.
const LATER_SECONDS: i64 = 60;

/// What a version has left.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fixture {
    version: String,
    taken_at: Timestamp,
    clusters: Vec<Cluster>,
    accounts: Vec<Value>,
    accesses: Vec<Value>,
    secrets: Vec<Value>,
}

fn directory() -> PathBuf {
    repository().join("tests/integration/upgrade")
}

fn fixtures() -> Vec<Fixture> {
    let entries = std::fs::read_dir(directory()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| -> Fixture {
        let text = std::fs::read_to_string(&path).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    paths.map(read).collect()
}

/// A world with an operator's rights for all of it. The account's token is there.
async fn world(options: Options) -> (World, Stage) {
    let world = World::start(options).await;
    let stage = Stage::with_rights(&world, Rights::everywhere).await;
    let namespace = json!({"metadata": {"name": TEAM}});
    let namespace: Namespace = serde_json::from_value(namespace).unwrap();
    let namespaces: Api<Namespace> = Api::all(stage.client.clone());
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    (world, stage)
}

// ---- what an earlier version has left, and this one ---------------------------------------------------------

#[tokio::test]
async fn an_upgrade_from_an_earlier_version_issues_nothing_and_writes_no_secret() {
    if unavailable() {
        return;
    }
    let fixtures = fixtures();
    assert!(!fixtures.is_empty());
    for fixture in fixtures {
        issues_nothing(&fixture).await;
    }
}

async fn issues_nothing(fixture: &Fixture) {
    let version = &fixture.version;
    let (world, stage) = world(Options::default()).await;
    for cluster in &fixture.clusters {
        stage.add_cluster(cluster.clone());
    }
    let kinds = [
        ("doclusteraccess.dev/doaccounts", "", &fixture.accounts),
        (
            "doclusteraccess.dev/doclusteraccesses",
            TEAM,
            &fixture.accesses,
        ),
        ("secrets", TEAM, &fixture.secrets),
    ];
    for (resource, namespace, objects) in kinds {
        assert!(!objects.is_empty(), "{version} has left no {resource}");
        for object in objects {
            restore(&world, resource, namespace, object).await;
        }
    }
    let before = secrets(&stage).await;
    assert_eq!(before.len(), fixture.secrets.len());

    let ahead = fixture.taken_at.as_second() + LATER_SECONDS - Clock::system().now().as_second();
    let settings = Operator::everywhere(&stage);
    let _operator = Operator::start_as(&stage, ahead, &settings).await;
    for access in accesses(&stage).await {
        // A new version of its spec makes the operator look at all of it.
        let access = stage.access_in(TEAM, &access.name_any());
        access.patch_spec(json!({"suspend": true})).await;
        access.synced("Suspended").await;
        access.patch_spec(json!({"suspend": false})).await;
        access.ready().await;
    }
    Account::existing(&stage.client, ACCOUNT)
        .says("Usable")
        .await;
    let mints = stage.mints();
    assert!(mints.is_empty(), "after {version}: {mints:#?}");
    for (before, after) in before.iter().zip(secrets(&stage).await) {
        let changed = serde_json::to_string_pretty(&after.metadata).unwrap();
        assert_eq!(
            before.metadata.resource_version, after.metadata.resource_version,
            "after {version} this was written: {changed}"
        );
    }
}

async fn secrets(stage: &Stage) -> Vec<Secret> {
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), TEAM);
    secrets.list(&ListParams::default()).await.unwrap().items
}

async fn accesses(stage: &Stage) -> Vec<DOClusterAccess> {
    let accesses: Api<DOClusterAccess> = Api::namespaced(stage.client.clone(), TEAM);
    accesses.list(&ListParams::default()).await.unwrap().items
}

/// Puts an object back as it was, UID and all.
async fn restore(world: &World, resource: &str, namespace: &str, object: &Value) {
    let name = object["metadata"]["name"].as_str().unwrap();
    let place = [resource, namespace, name].join("/").replace("//", "/");
    let encode = |text: &str| BASE64_STANDARD.encode(text);
    let body = json!({
        "key": encode(&format!("/registry/{place}")),
        "value": encode(&object.to_string()),
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/v3/kv/put", etcd(world));
    let answer = client.post(url).json(&body).send().await.unwrap();
    let status = answer.status();
    assert!(status.is_success(), "{status}: {:?}", answer.text().await);
}

/// Where the etcd of the control plane listens, as its command line says.
fn etcd(world: &World) -> String {
    let mut components = world.control_plane.components();
    let (_, process) = components.find(|(name, _)| *name == "etcd").unwrap();
    let command_line = std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap();
    let mut arguments = command_line.split('\0');
    let url = arguments.find_map(|argument| argument.strip_prefix("--listen-client-urls="));
    url.unwrap().to_owned()
}

// ---- what this version leaves -------------------------------------------------------------------------------

#[tokio::test]
#[ignore = "writes the fixture of this version: `make upgrade-fixture`"]
async fn the_fixture_of_this_version_is_written() {
    let options = Options {
        api_server_port: Some(PORT),
        ..Options::default()
    };
    let (_world, stage) = world(options).await;
    let own: Secret = stage.secrets().get("digitalocean").await.unwrap();
    let token = json!({"metadata": {"name": "digitalocean"}, "data": own.data});
    let tokens: Api<Secret> = Api::namespaced(stage.client.clone(), TEAM);
    let token: Secret = serde_json::from_value(token).unwrap();
    tokens.create(&PostParams::default(), &token).await.unwrap();
    let spec = json!({
        "tokenSecretRef": {"name": "digitalocean"},
        "allowedNamespaces": [TEAM],
        "allowedClusters": {"names": ["*"]},
    });
    let account = Account::create(&stage.client, ACCOUNT, spec).await;
    let tagged = Cluster {
        tags: vec!["env:prod".to_owned(), "blue".to_owned()],
        ..stage.cluster("prod")
    };
    let ids = [
        stage.add_cluster(tagged),
        stage.add_cluster(stage.certificate_cluster("legacy", 604_800)),
    ];
    let _operator = OperatorProcess::start_everywhere(&stage, &["--leader-elect=false"]).await;
    account.says("Usable").await;
    for (name, spec) in left_behind(&ids) {
        let access = create(&stage, name, spec).await;
        let access = stage.access_in(TEAM, &access);
        let told = access.ready().await;
        assert!(has_condition(&told, "Verified", "True", "Accepted"));
    }

    let clusters = ids.map(|id| stage.simulator.cluster(&id).unwrap());
    let mut secrets = objects::<Secret>(&stage, Some(TEAM)).await;
    assert!(secrets.len() > SIX.len() + 3);
    for secret in &mut secrets {
        // A list leaves them out, and etcd needs them.
        secret["apiVersion"] = json!("v1");
        secret["kind"] = json!("Secret");
    }
    let fixture = Fixture {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at: Clock::system().now(),
        clusters: clusters.to_vec(),
        accounts: objects::<DOAccount>(&stage, None).await,
        accesses: objects::<DOClusterAccess>(&stage, Some(TEAM)).await,
        secrets,
    };
    let path = directory().join(format!("v{}.json", fixture.version));
    let text = serde_json::to_string_pretty(&fixture).unwrap();
    std::fs::write(path, text + "\n").unwrap();
}

/// Accesses of every kind.
fn left_behind(ids: &[String; 2]) -> [(&'static str, Value); 5] {
    let own_token = json!({"name": "digitalocean"});
    [
        ("defaults", json!({"cluster": {"name": "prod"}})),
        (
            "formats",
            json!({
                "cluster": {"id": ids[0]},
                "tokenSecretRef": own_token,
                "deletionPolicy": "Delete",
                "outputs": six(),
            }),
        ),
        (
            "rendered",
            json!({
                "cluster": {"name": "prod"},
                "accountRef": {"name": ACCOUNT},
                "kubeconfigSource": "Rendered",
                "expirySeconds": 86_400,
                "renewBeforeSeconds": 7_200,
                "verification": "Required",
                "deletionPolicy": "Retain",
                "outputs": [{
                    "secretName": "labelled",
                    "labels": {"team": "payments"},
                    "annotations": {"example.com/owner": "payments"},
                }],
            }),
        ),
        (
            "certificate",
            json!({"cluster": {"name": "legacy"}, "tokenSecretRef": own_token}),
        ),
        (
            "argo",
            json!({
                "cluster": {"name": "prod"},
                "deletionPolicy": "Retain",
                "outputs": [{
                    "secretName": "cluster-prod",
                    "format": "ArgoCD",
                    "argocd": {"name": "production", "project": "payments", "shard": 1},
                }],
            }),
        ),
    ]
}

async fn create(stage: &Stage, name: &str, spec: Value) -> String {
    let object = json!({
        "apiVersion": "doclusteraccess.dev/v1alpha1",
        "kind": "DOClusterAccess",
        "metadata": {"name": name},
        "spec": spec,
    });
    let resource = ApiResource::erase::<DOClusterAccess>(&());
    let accesses: Api<DynamicObject> = Api::namespaced_with(stage.client.clone(), TEAM, &resource);
    let object = serde_json::from_value(object).unwrap();
    let created = accesses.create(&PostParams::default(), &object).await;
    created.unwrap().name_any()
}

/// All objects of a kind as the API server has them.
async fn objects<K: Resource<DynamicType = ()>>(
    stage: &Stage,
    namespace: Option<&str>,
) -> Vec<Value> {
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(stage.client.clone(), namespace, &resource),
        None => Api::all_with(stage.client.clone(), &resource),
    };
    let listed = api.list(&ListParams::default()).await.unwrap().items;
    let mut objects: Vec<Value> = listed
        .into_iter()
        .map(|object| serde_json::to_value(object).unwrap())
        .collect();
    for object in &mut objects {
        // The place in etcd's history is another one there.
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("resourceVersion");
    }
    objects
}
