//! Worlds of their own: the API server goes away, an operator serves every namespace, an access cannot be decoded.

use do_cluster_access_testbed::control_plane::Options;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::json;

use crate::harness::{
    OperatorProcess, Rights, Stage, World, has_condition, summary, text, unavailable, whoami,
};

#[tokio::test]
async fn an_outage_of_the_api_server_costs_no_mint_and_what_happened_meanwhile_is_seen() {
    if unavailable() {
        return;
    }
    let directory =
        std::env::temp_dir().join(format!("do-cluster-access-outage-{}", std::process::id()));
    let options = Options {
        directory: Some(directory.clone()),
        ..Options::default()
    };
    let world = World::start(options.clone()).await;
    let stage = Stage::on(&world).await;
    let operator = OperatorProcess::start(&stage, &["--leader-elect=false"]).await;
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    let before = access.secret().await;

    let world = world.restart_control_plane(options, async || {
        operator.logged("a watch was interrupted").await;
        assert_eq!(operator.get("/livez").await.0, 200);
    });
    let world = world.await;
    stage.delete_secret("prod-kubeconfig").await;
    let healed = access.secret_until("it is there again", |_| true).await;
    access.ready().await;
    assert!(healed.data != before.data);
    assert!(whoami(&text(&healed, "kubeconfig")).await.is_ok());
    assert_eq!(
        stage.mints().len(),
        4,
        "the outage itself is no reason to mint"
    );
    drop((operator, stage));
    world.control_plane.stop().await.unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn an_operator_for_all_namespaces_serves_each_with_its_own_token_and_survives_a_bad_access() {
    if unavailable() {
        return;
    }
    let world = World::start(Options::default()).await;
    let stage = Stage::with_rights(&world, Rights::everywhere).await;
    let tenants = [Stage::on(&world).await, Stage::on(&world).await];
    accept_anything(&stage).await;
    for bad in [
        json!({"cluster": {"name": "prod"}, "expirySeconds": "a week"}),
        json!({"cluster": "prod"}),
        json!({}),
    ] {
        create_unchecked(&tenants[0], "bad-before", bad.clone()).await;
        tenants[0].access("bad-before").delete().await;
        create_unchecked(&tenants[0], "bad-before", bad).await;
        tenants[0].access("bad-before").delete().await;
    }
    create_unchecked(&tenants[0], "bad-before", json!({"cluster": 7})).await;

    let operator = OperatorProcess::start_everywhere(&stage, &[]).await;
    operator.logged("cannot be decoded").await;
    for tenant in &tenants {
        tenant.add_cluster(tenant.cluster("prod"));
        let access = tenant
            .create_access("prod", json!({"cluster": {"name": "prod"}}))
            .await;
        access.ready().await;
        assert_eq!(tenant.mints().len(), 2);
    }
    // The watch does not break when one appears, or an access turns into one, while others are served.
    create_unchecked(&tenants[1], "bad-after", json!({"cluster": []})).await;
    let resource = ApiResource::erase::<do_cluster_access::api::DOClusterAccess>(&());
    let accesses: Api<DynamicObject> =
        Api::namespaced_with(tenants[1].client.clone(), &tenants[1].namespace, &resource);
    let broken = Patch::Merge(json!({"spec": {"outputs": "none"}}));
    accesses
        .patch("prod", &PatchParams::default(), &broken)
        .await
        .unwrap();
    let other = tenants[0].access("prod");
    let before = other.secret().await;
    other.rotate("now").await;
    other.renewed(&before).await;
    assert!(
        tenants[1]
            .secrets()
            .get_opt("prod-kubeconfig")
            .await
            .unwrap()
            .is_some()
    );

    // Once it can be decoded again it is served again.
    let mended = Patch::Merge(json!({"spec": {"outputs": null}}));
    accesses
        .patch("prod", &PatchParams::default(), &mended)
        .await
        .unwrap();
    let access = tenants[1].access("prod");
    access
        .until("it is Ready", |access| {
            has_condition(access, "Ready", "True", "Published")
        })
        .await;
    assert_eq!(tenants[1].mints().len(), 2);
}

#[tokio::test]
async fn a_secret_with_the_marks_of_an_access_in_another_namespace_is_neither_read_nor_touched() {
    if unavailable() {
        return;
    }
    let world = World::start(Options::default()).await;
    let stage = Stage::with_rights(&world, Rights::everywhere).await;
    let (victim, stranger) = (Stage::on(&world).await, Stage::on(&world).await);
    let _operator = OperatorProcess::start_everywhere(&stage, &["--leader-elect=false"]).await;
    victim.add_cluster(victim.cluster("prod"));
    let spec = json!({"cluster": {"name": "prod"}});
    let access = victim.create_access("prod", spec).await;
    access.ready().await;
    let genuine = access.secret().await;

    let mut copy = genuine.clone();
    copy.metadata = ObjectMeta {
        name: Some("copy".to_owned()),
        labels: genuine.metadata.labels.clone(),
        annotations: genuine.metadata.annotations.clone(),
        ..ObjectMeta::default()
    };
    let created = PostParams::default();
    let copy = stranger.secrets().create(&created, &copy).await.unwrap();
    let position = stage.audit_position().await;
    // With its own Secret gone, the operator looks for the credential wherever it may.
    victim.delete_secret("prod-kubeconfig").await;
    let healed = access.secret_until("it is there again", |_| true).await;
    access.ready().await;
    assert!(healed.data != genuine.data);
    let after = stranger.secrets().get("copy").await.unwrap();
    assert_eq!(
        after.metadata.resource_version,
        copy.metadata.resource_version
    );
    let requests = stage.operator_requests(position).await;
    let abroad = requests
        .iter()
        .filter(|request| request.namespace == stranger.namespace);
    let abroad: Vec<_> = abroad.cloned().collect();
    assert!(abroad.is_empty(), "{:?}", summary(&abroad));
}

/// Lets the API server store accesses of any form, as an older or newer definition might.
async fn accept_anything(stage: &Stage) {
    let definitions: Api<CustomResourceDefinition> = Api::all(stage.client.clone());
    let name = "doclusteraccesses.doclusteraccess.dev";
    let mut definition = definitions.get(name).await.unwrap();
    let anything = json!({"openAPIV3Schema": {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
    }});
    definition.spec.versions[0].schema = serde_json::from_value(anything).unwrap();
    definitions
        .replace(name, &PostParams::default(), &definition)
        .await
        .unwrap();
    crate::harness::eventually("the definition is in force", async || {
        let probe = create(stage, "probe", json!({"cluster": 7})).await;
        if probe.is_ok() {
            stage.access("probe").delete().await;
        }
        probe.is_ok()
    })
    .await;
}

async fn create_unchecked(stage: &Stage, name: &str, spec: serde_json::Value) {
    create(stage, name, spec).await.unwrap();
}

async fn create(stage: &Stage, name: &str, spec: serde_json::Value) -> kube::Result<DynamicObject> {
    let resource = ApiResource::erase::<do_cluster_access::api::DOClusterAccess>(&());
    let accesses: Api<DynamicObject> =
        Api::namespaced_with(stage.client.clone(), &stage.namespace, &resource);
    let mut object = DynamicObject::new(name, &resource);
    object.data = json!({ "spec": spec });
    accesses.create(&PostParams::default(), &object).await
}
