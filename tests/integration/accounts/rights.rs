//! Operators that may not see accounts, or for which there are none to see.

use do_cluster_access_testbed::control_plane::Options;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use kube::runtime::conditions::is_deleted;
use kube::runtime::wait::await_condition;
use serde_json::json;

use super::{cluster, version};
use crate::harness::{
    Account, Operator, Rights, Stage, World, assert_condition, eventually, message, repository,
    unavailable,
};

/// Name of the definition of accounts.
const DEFINITION: &str = "doaccounts.doclusteraccess.dev";

/// A world of its own: what is there of accounts concerns every operator that may see them.
#[tokio::test]
async fn accounts_are_served_with_the_right_to_see_them_and_all_else_without_it() {
    if unavailable() {
        return;
    }
    let world = World::start(Options::default()).await;
    let serving = async |namespace: &str| Rights::with_accounts(namespace, &[namespace]).await;
    let (plain, serving) = tokio::join!(Stage::on(&world), Stage::with_rights(&world, serving));
    an_operator_of_chosen_namespaces_serves_accounts_where_the_chart_gives_it_the_right(
        &plain, &serving,
    )
    .await;
    an_account_that_cannot_be_decoded_disturbs_no_other(&serving).await;
    without_the_definition_of_accounts_the_operator_starts_and_serves_what_it_can(&serving).await;
}

async fn account(stage: &Stage, name: &str, others: &[&Stage]) -> Account {
    let namespaces: Vec<_> = std::iter::once(&stage)
        .chain(others)
        .map(|stage| &stage.namespace)
        .collect();
    let spec = json!({
        "tokenSecretRef": {"name": crate::harness::TOKEN_SECRET},
        "allowedNamespaces": namespaces,
        "allowedClusters": {"names": ["*"]},
    });
    Account::create(&stage.client, name, spec).await
}

async fn an_operator_of_chosen_namespaces_serves_accounts_where_the_chart_gives_it_the_right(
    plain: &Stage,
    serving: &Stage,
) {
    let position = plain.audit_position().await;
    let (_plain_operator, _serving_operator) =
        tokio::join!(Operator::start(plain), Operator::start(serving));
    let account = account(serving, "shared", &[plain]).await;
    for stage in [plain, serving] {
        stage.add_cluster(stage.cluster("prod"));
    }
    let mut by_account = cluster("prod");
    by_account["accountRef"] = json!({"name": "shared"});

    account.says("Usable").await;
    let served = serving
        .create_bare_access("prod", &[], by_account.clone())
        .await;
    served.ready().await;

    let refused = plain.create_bare_access("prod", &[], by_account).await;
    let refused = refused.synced("AccountNotFound").await;
    assert!(message(&refused).contains("DOAccount shared"));
    assert!(message(&refused).contains("rbac.accounts"));
    assert_condition(&refused, "Stalled", "True", "AccountNotFound");
    let own = plain.create_access("own", cluster("prod")).await;
    own.ready().await;
    let mut about_accounts = plain.all_operator_requests(position).await;
    about_accounts.retain(|request| request.resource == "doaccounts");
    let codes: Vec<_> = about_accounts
        .iter()
        .map(|request| (request.verb.as_str(), request.code))
        .collect();
    assert!(codes.iter().all(|code| *code == ("list", 403)), "{codes:?}");
    assert!(
        (1..=3).contains(&codes.len()),
        "asked ever more rarely: {codes:?}"
    );
    assert_eq!(
        plain.mints().len() + serving.mints().len(),
        4,
        "one issue each"
    );
}

/// The API server would not take such an account; one that an other version of the definition let through may be there.
async fn an_account_that_cannot_be_decoded_disturbs_no_other(serving: &Stage) {
    let definitions: Api<CustomResourceDefinition> = Api::all(serving.client.clone());
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let mut loose = definitions.get(DEFINITION).await.unwrap();
    let schema = loose.spec.versions[0].schema.as_mut().unwrap();
    schema.open_api_v3_schema = Some(serde_json::from_value(anything).unwrap());
    definitions
        .replace(DEFINITION, &PostParams::default(), &loose)
        .await
        .unwrap();
    eventually("the loose definition is in force", async || {
        let undecodable = json!({"tokenSecretRef": "digitalocean", "allowedNamespaces": "all"});
        Account::try_create(&serving.client, "broken", undecodable)
            .await
            .is_ok()
    })
    .await;
    let _operator = Operator::start(serving).await;
    let mut by_account = cluster("prod");
    by_account["accountRef"] = json!({"name": "broken"});
    let refused = serving.create_bare_access("broken", &[], by_account).await;
    refused.synced("AccountNotFound").await;

    let mut by_account = cluster("prod");
    by_account["accountRef"] = json!({"name": "shared"});
    let served = serving.create_bare_access("other", &[], by_account).await;
    served.ready().await;
    refused
        .patch_spec(json!({"accountRef": {"name": "shared"}}))
        .await;
    refused.ready().await;
}

async fn without_the_definition_of_accounts_the_operator_starts_and_serves_what_it_can(
    serving: &Stage,
) {
    let definitions: Api<CustomResourceDefinition> = Api::all(serving.client.clone());
    let operator = Operator::start(serving).await;
    let access = serving.access("prod");
    let before = access.secret().await;
    let definition = definitions.get(DEFINITION).await.unwrap();
    definitions
        .delete(DEFINITION, &DeleteParams::default())
        .await
        .unwrap();
    let uid = definition.metadata.uid.unwrap();
    await_condition(definitions.clone(), DEFINITION, is_deleted(&uid))
        .await
        .unwrap();
    let lost = access.synced("AccountNotFound").await;
    assert_condition(&lost, "Ready", "True", "Published");
    drop(operator);

    let mints = serving.mints().len();
    let _operator = Operator::start(serving).await;
    let own = serving.create_access("own", cluster("prod")).await;
    own.ready().await;
    assert_eq!(serving.mints().len(), mints + 2);
    assert_eq!(version(&access.secret().await), version(&before));

    let shipped = std::fs::read_to_string(repository().join("crds/doaccounts.yaml")).unwrap();
    let shipped: CustomResourceDefinition = serde_saphyr::from_str(&shipped).unwrap();
    definitions
        .create(&PostParams::default(), &shipped)
        .await
        .unwrap();
    eventually("the definition is in force", async || {
        let spec = json!({
            "tokenSecretRef": {"name": crate::harness::TOKEN_SECRET},
            "allowedNamespaces": [serving.namespace],
            "allowedClusters": {"names": ["*"]},
        });
        Account::try_create(&serving.client, "shared", spec)
            .await
            .is_ok()
    })
    .await;
    access.ready().await;
    assert_eq!(version(&access.secret().await), version(&before));
}
