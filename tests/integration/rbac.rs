//! The chart's role is just sufficient: all is done with it, and each verb of it is needed.

use std::pin::pin;

use do_cluster_access_testbed::control_plane::Options;
use do_cluster_access_testbed::control_plane::audit::Position;
use futures::future::join_all;
use serde_json::json;

use crate::harness::{
    Account, OperatorProcess, Rights, Stage, World, eventually, summary, unavailable,
};

/// Makes the operator use all that it may do. Goes as far as it is served.
async fn play(stage: &Stage) {
    stage.add_cluster(stage.cluster("prod"));
    let outputs = json!([{"secretName": "one"}, {"secretName": "two"}]);
    let access = stage
        .create_access(
            "prod",
            json!({"cluster": {"name": "prod"}, "outputs": outputs}),
        )
        .await;
    access.ready().await;
    let before = stage.secrets().get("one").await.unwrap();
    access.rotate("now").await;
    let renewed = |secret: &k8s_openapi::api::core::v1::Secret| secret.data != before.data;
    stage.secret_until("one", "it is renewed", renewed).await;
    access
        .patch_spec(json!({"outputs": [{"secretName": "one"}]}))
        .await;
    stage.secret_gone("two").await;
    access.ready().await;
    eventually("the events are written", async || {
        access.events().await.len() >= 2
    })
    .await;
}

#[tokio::test]
async fn with_the_rights_of_the_chart_nothing_is_refused() {
    let stage = stage!();
    let position = stage.audit_position().await;
    let mut operator = OperatorProcess::start(&stage, &[]).await;
    play(&stage).await;
    operator.terminate().await;
    assert_eq!(operator.ends().await.code(), Some(0));
    let mut refused = stage.all_operator_requests(position).await;
    refused.retain(|request| request.code == 401 || request.code == 403);
    // An operator of chosen namespaces finds out in this way whether it serves accounts.
    refused.retain(|request| request.resource != "doaccounts");
    assert!(refused.is_empty(), "{:#?}", summary(&refused));
}

#[tokio::test]
async fn each_verb_that_the_chart_grants_is_needed() {
    if unavailable() {
        return;
    }
    let granted = Rights::within("any").await.granted();
    assert!(granted.len() > 10, "{granted:?}");
    join_all(
        granted
            .iter()
            .map(|(resource, verb)| is_needed(resource, verb)),
    )
    .await;
}

/// Without `verb` on `resource` something is refused that belongs to what an operator does.
async fn is_needed(resource: &str, verb: &str) {
    let rights = async |namespace: &str| Rights::within(namespace).await.without(resource, verb);
    let world = World::shared().await;
    let stage = Stage::with_rights(&world, rights).await;
    let position = stage.audit_position().await;
    let _operator = OperatorProcess::start(&stage, &[]).await;
    is_refused(&stage, position, resource, verb).await;
}

/// Lets the operator do what it does, until it has been refused that.
async fn is_refused(stage: &Stage, position: Position, resource: &str, verb: &str) {
    // An apply that creates is a patch to the API server, which needs both verbs.
    let asked = if (resource, verb) == ("secrets", "create") {
        "patch"
    } else {
        verb
    };
    let mut refused = pin!(stage.refused(position, resource, asked));
    tokio::select! {
        _ = &mut refused => {}
        // The lease is renewed now and then only.
        () = play(stage) => {
            refused.await;
        }
    }
}

#[tokio::test]
async fn each_verb_that_the_chart_grants_on_accounts_is_needed() {
    if unavailable() {
        return;
    }
    let verbs = [
        ("doaccounts", "list"),
        ("doaccounts", "watch"),
        ("doaccounts/status", "patch"),
    ];
    join_all(verbs.map(|(resource, verb)| is_needed_for_accounts(resource, verb))).await;
}

/// Without `verb` on `resource` something is refused that belongs to serving accounts.
async fn is_needed_for_accounts(resource: &str, verb: &str) {
    let rights = async |namespace: &str| {
        let rights = Rights::with_accounts(namespace, &[namespace]).await;
        rights.without(resource, verb)
    };
    let world = World::shared().await;
    let stage = Stage::with_rights(&world, rights).await;
    let position = stage.audit_position().await;
    // Every operator that sees the account says something of it: this one alone that its token works.
    let name = stage.namespace.as_str();
    stage
        .put_secret(name, &[("access-token", &stage.api_token)])
        .await;
    let spec = json!({"tokenSecretRef": {"name": name}});
    let account = Account::create(&stage.client, name, spec).await;
    let _operator = OperatorProcess::start(&stage, &[]).await;
    stage.refused(position, resource, verb).await;
    account.delete().await;
}

/// The rights of an operator that serves every namespace, one by one in a world of its own: they would serve each other.
#[tokio::test]
async fn each_verb_that_the_chart_grants_in_the_whole_cluster_is_needed() {
    if unavailable() {
        return;
    }
    let world = World::start(Options::default()).await;
    let granted = Rights::everywhere("any").await.granted();
    assert!(granted.len() > 13, "{granted:?}");
    for (resource, verb) in &granted {
        let rights =
            async |namespace: &str| Rights::everywhere(namespace).await.without(resource, verb);
        let stage = Stage::with_rights(&world, rights).await;
        let position = stage.audit_position().await;
        let name = stage.namespace.as_str();
        let spec = json!({"tokenSecretRef": {"name": crate::harness::TOKEN_SECRET}});
        let account = Account::create(&stage.client, name, spec).await;
        let operator = OperatorProcess::start_everywhere(&stage, &[]).await;
        is_refused(&stage, position, resource, verb).await;
        operator.kill().await;
        account.delete().await;
    }
}

/// The operator's own namespace is none that it serves: it reads the API tokens of accounts there, and nothing else.
#[tokio::test]
async fn the_right_to_the_tokens_of_accounts_is_needed_beside_the_watched_namespaces() {
    if unavailable() {
        return;
    }
    let world = World::shared().await;
    let watched = Stage::on(&world).await;
    let apart = async |namespace: &str| {
        let rights = Rights::with_accounts(namespace, &[&watched.namespace]).await;
        rights.without_tokens_of_accounts()
    };
    let stage = Stage::with_rights(&world, apart).await;
    let position = stage.audit_position().await;
    let spec = json!({"tokenSecretRef": {"name": crate::harness::TOKEN_SECRET}});
    let account = Account::create(&stage.client, &stage.namespace, spec).await;
    let watch = format!("--watch-namespace={}", watched.namespace);
    let _operator = OperatorProcess::start_everywhere(&stage, &[&watch]).await;
    stage.refused(position, "secrets", "get").await;
    account.delete().await;
}
