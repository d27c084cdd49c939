//! `DOAccount`s: tenants get credentials by an API token that they cannot read, as far as the account allows.

use std::collections::BTreeSet;
use std::time::Duration;

use do_cluster_access::api::DOAccount;
use do_cluster_access::clock::Clock;
use do_cluster_access_testbed::control_plane::audit::Position;
use do_cluster_access_testbed::simulator::{Cluster, Operation, Scope};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::{
    Access, Host, Tenant, assert_condition, condition, eventually, message, summary, text, whoami,
};

mod rights;

/// How often the operator reads the Secret of a token that does not work, and what a slow machine may add.
const TOKEN_IS_NOTICED: Duration = Duration::from_secs(30 + 10);
/// After this the operator asks for the list of clusters again when it is to issue.
const LIST_IS_OLD: Duration = Duration::from_secs(301);

/// How many requests of that kind this tenant's token has made.
fn calls(tenant: &Tenant, operation: Operation) -> usize {
    let made = tenant.digitalocean_requests();
    made.iter()
        .filter(|entry| entry.operation == Some(operation))
        .count()
}

/// How many requests this tenant's token has made beside the list of clusters.
fn calls_beside_the_list(tenant: &Tenant) -> usize {
    tenant.digitalocean_requests().len() - calls(tenant, Operation::ListClusters)
}

fn cluster(name: &str) -> Value {
    json!({"cluster": {"name": name}})
}

fn version(secret: &Secret) -> Option<String> {
    secret.metadata.resource_version.clone()
}

/// Waits until the operator has looked at `access` as it is with a change of its spec that calls for nothing.
async fn looked_at(access: &Access, renew_before_seconds: u32, reason: &str) {
    access
        .patch_spec(json!({"renewBeforeSeconds": renew_before_seconds}))
        .await;
    access.synced(reason).await;
}

#[tokio::test]
async fn a_tenant_gets_its_secret_by_a_token_that_is_nowhere_in_its_namespace() {
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    tenant.add_cluster(tenant.cluster("other"));
    let account = tenant.create_account(json!({})).await;
    let told = account.says("Usable").await;
    assert_eq!(told.status, "True");
    let seen = account.get().await;
    assert_eq!(told.observed_generation, seen.metadata.generation);
    assert_eq!(
        seen.status.unwrap().observed_generation,
        seen.metadata.generation
    );

    let access = tenant
        .create_access_by_account("prod", cluster("prod"))
        .await;
    access.ready().await;
    let secret = access.secret().await;
    let user = whoami(&text(&secret, "kubeconfig")).await.unwrap();
    assert_eq!(user, format!("{}@example.com", tenant.namespace));
    assert_eq!(tenant.mints().len(), 2);

    let secrets = tenant.secrets().list(&ListParams::default()).await.unwrap();
    let names: Vec<_> = secrets.iter().map(|secret| &secret.metadata.name).collect();
    assert_eq!(names, [&secret.metadata.name]);
    let data = secret.data.unwrap();
    let holds_token = |value: &[u8]| {
        let token = tenant.api_token.as_bytes();
        value.windows(token.len()).any(|part| part == token)
    };
    assert!(data.values().all(|value| !holds_token(&value.0)));

    let label = format!("{{account=\"{}\"}}", account.name);
    let clusters = format!("do_cluster_access_account_clusters{label}");
    let remaining = format!("do_cluster_access_digitalocean_ratelimit_remaining{label}");
    assert_eq!(tenant.metric(&clusters).as_deref(), Some("2.0"));
    let left: f64 = tenant.metric(&remaining).unwrap().parse().unwrap();
    assert!((4900.0..5000.0).contains(&left), "{left}");
    account.delete().await;
    eventually("the series of an account end with it", async || {
        tenant.metric(&clusters).is_none() && tenant.metric(&remaining).is_none()
    })
    .await;
}

#[tokio::test]
async fn an_access_that_names_no_token_gets_the_account_default_and_naming_that_issues_nothing() {
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    let access = tenant
        .create_bare_access("prod", &[], cluster("prod"))
        .await;
    let missing = access.synced("AccountNotFound").await;
    assert_condition(&missing, "Stalled", "True", "AccountNotFound");
    assert!(message(&missing).contains("DOAccount default"));
    assert_eq!(tenant.digitalocean_requests().len(), 0);

    // The access itself would come back after minutes.
    tenant.create_account_named("default", json!({})).await;
    access.ready().await;
    let before = access.secret().await;
    assert_eq!(tenant.mints().len(), 2);

    access
        .patch_spec(json!({"accountRef": {"name": "default"}}))
        .await;
    access.ready().await;
    assert_eq!(tenant.mints().len(), 2);
    assert_eq!(version(&access.secret().await), version(&before));
}

#[tokio::test]
async fn without_its_account_an_access_keeps_what_it_has_and_asks_for_nothing() {
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    let account = tenant.create_account(json!({})).await;
    let access = tenant
        .create_access_by_account("prod", cluster("prod"))
        .await;
    access.ready().await;
    let (before, made) = (access.secret().await, tenant.digitalocean_requests().len());

    account.delete().await;
    let missing = access.synced("AccountNotFound").await;
    assert!(message(&missing).contains(&format!("DOAccount {}", account.name)));
    assert_condition(&missing, "Ready", "True", "Published");
    assert!(condition(&missing, "Stalled").is_none());
    access.rotate("now").await;
    looked_at(&access, 300_000, "AccountNotFound").await;
    assert_eq!(version(&access.secret().await), version(&before));
    assert_eq!(tenant.digitalocean_requests().len(), made);

    tenant.create_account(json!({})).await;
    access.renewed(&before).await;
    access.ready().await;
    assert_eq!(tenant.mints().len(), 4);
}

#[tokio::test]
async fn a_namespace_is_served_from_when_the_account_allows_it_until_it_no_longer_does() {
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    let closed = json!({"allowedNamespaces": null});
    let account = tenant.create_account(closed.clone()).await;
    let access = tenant
        .create_access_by_account("prod", cluster("prod"))
        .await;
    let refused = access.synced("NotAllowed").await;
    assert_condition(&refused, "Ready", "False", "NotIssued");
    assert_condition(&refused, "Stalled", "True", "NotAllowed");
    assert!(message(&refused).contains(&format!("DOAccount {}", account.name)));
    account.says("Usable").await;
    assert_eq!(calls(&tenant, Operation::ListClusters), 1);
    assert_eq!(calls_beside_the_list(&tenant), 0);

    let neighbours = json!({"allowedNamespaces": [format!("{}?*", tenant.namespace), "team-*"]});
    account.patch_spec(neighbours).await;
    account.says("Usable").await;
    looked_at(&access, 300_000, "NotAllowed").await;

    // A glob, the last character of which stands for that of the name.
    let own = &tenant.namespace[..tenant.namespace.len() - 1];
    let allowed = json!({"allowedNamespaces": [format!("{own}?")]});
    account.patch_spec(allowed.clone()).await;
    access.ready().await;
    let (before, beside) = (access.secret().await, calls_beside_the_list(&tenant));

    account.patch_spec(closed).await;
    let withdrawn = access.synced("NotAllowed").await;
    assert_condition(&withdrawn, "Ready", "True", "Published");
    assert!(condition(&withdrawn, "Stalled").is_none());
    access.rotate("now").await;
    looked_at(&access, 310_000, "NotAllowed").await;
    let withdrawn = access.get().await;
    assert_condition(&withdrawn, "Ready", "True", "Published");
    assert_eq!(withdrawn.status.unwrap().last_rotate_request, None);
    assert_eq!(version(&access.secret().await), version(&before));
    assert_eq!(calls_beside_the_list(&tenant), beside);
    let kubeconfig = text(&before, "kubeconfig");
    assert!(whoami(&kubeconfig).await.is_ok(), "nothing revokes it");

    account.patch_spec(allowed).await;
    access.renewed(&before).await;
    access.ready().await;
}

#[tokio::test]
async fn a_cluster_is_served_by_id_name_or_glob_and_one_that_is_not_allowed_looks_like_none() {
    let tenant = tenant!();
    let prod = tenant.add_cluster(tenant.cluster("prod-a"));
    let secret = tenant.add_cluster(tenant.cluster("secret"));
    let none = "bd5f5959-5e1e-4205-a714-a914373942af";
    let account = async |name: &str, allowed: Value| {
        let name = format!("{}-{name}", tenant.account_name());
        let spec = json!({ "allowedClusters": allowed });
        tenant.create_account_named(&name, spec).await
    };
    let accounts = [
        account("named", json!({"names": ["prod-a"]})).await,
        account("glob", json!({"names": ["other", "prod-*"]})).await,
        account("id", json!({"ids": [prod.to_ascii_uppercase()]})).await,
        account("all", json!({"names": ["*"]})).await,
        account("closed", Value::Null).await,
        account("empty", json!({})).await,
    ];
    let by_name = |name: &str| json!({ "name": name });
    let by_id = |id: &str| json!({ "id": id });
    let mut asked = Vec::new();
    for (number, account) in accounts.iter().enumerate() {
        let open = account.name.ends_with("all");
        let closed = number > 3;
        for (index, (reference, allowed)) in [
            (by_name("prod-a"), !closed),
            (by_id(&prod), !closed),
            (by_name("secret"), open),
            (by_id(&secret), open),
            (by_name("prod-none"), false),
            (by_name("none"), false),
            (by_id(none), false),
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("access-{number}-{index}");
            let spec = json!({
                "cluster": reference,
                "accountRef": {"name": account.name},
                "kubeconfigSource": "Rendered",
            });
            let access = tenant.create_access_by_account(&name, spec).await;
            asked.push((account, reference, allowed, access));
        }
    }
    let mut refusals = BTreeSet::new();
    for (account, reference, allowed, access) in asked {
        let open = account.name.ends_with("all");
        let glob = account.name.ends_with("glob");
        if allowed {
            access.ready().await;
        } else if open || (glob && reference["name"] == "prod-none") {
            // It would be allowed, if there were one.
            access.synced("ClusterNotFound").await;
        } else {
            let refused = access.synced("NotAllowed").await;
            assert_condition(&refused, "Stalled", "True", "NotAllowed");
            assert!(
                refused.status.as_ref().unwrap().cluster.is_none(),
                "{reference} at {}",
                account.name
            );
            refusals.insert(message(&refused).replace(&account.name, "…"));
        }
    }
    assert_eq!(
        refusals.len(),
        1,
        "whether there is such a cluster can be told: {refusals:#?}"
    );
    let asked_about: BTreeSet<_> = tenant
        .digitalocean_requests()
        .into_iter()
        .filter_map(|entry| Some((entry.operation?, entry.cluster?)))
        .collect();
    let expected = [
        (Operation::GetCluster, none.to_owned()),
        (Operation::GetCredentials, prod),
        (Operation::GetCredentials, secret),
    ];
    assert_eq!(asked_about, expected.into());
}

#[tokio::test]
async fn a_cluster_is_served_until_the_account_no_longer_allows_it() {
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    let account = tenant.create_account(json!({})).await;
    let access = tenant
        .create_access_by_account("prod", cluster("prod"))
        .await;
    access.ready().await;
    let (before, beside) = (access.secret().await, calls_beside_the_list(&tenant));
    account
        .patch_spec(json!({"allowedClusters": {"names": ["staging-*"]}}))
        .await;
    let withdrawn = access.synced("NotAllowed").await;
    assert_condition(&withdrawn, "Ready", "True", "Published");
    access.rotate("now").await;
    looked_at(&access, 300_000, "NotAllowed").await;
    assert_eq!(version(&access.secret().await), version(&before));
    assert_eq!(calls_beside_the_list(&tenant), beside);
}

#[tokio::test]
async fn of_two_clusters_with_one_name_the_one_that_is_allowed_is_meant() {
    let tenant = tenant!();
    let ids = [
        tenant.add_cluster(tenant.cluster("prod")),
        tenant.add_cluster(tenant.cluster("prod")),
    ];
    let one = json!({"allowedClusters": {"ids": [ids[0]]}});
    let account = tenant.create_account(one).await;
    let access = tenant
        .create_access_by_account("prod", cluster("prod"))
        .await;
    let ready = access.ready().await;
    assert_eq!(
        ready.status.unwrap().cluster.unwrap().id.as_ref(),
        Some(&ids[0])
    );

    account
        .patch_spec(json!({"allowedClusters": {"ids": ids}}))
        .await;
    account.says("Usable").await;
    let other = tenant
        .create_access_by_account("other", cluster("prod"))
        .await;
    let ambiguous = message(&other.synced("ClusterAmbiguous").await);
    assert!(ids.iter().all(|id| ambiguous.contains(id)), "{ambiguous}");
    looked_at(&access, 300_000, "UpToDate").await;
}

#[tokio::test]
async fn what_is_wrong_with_the_token_is_said_by_the_account_and_by_each_access() {
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    let (revoked, powerless) = (
        tenant.simulator.draw_api_token(),
        tenant.simulator.draw_api_token(),
    );
    let (label, simulator) = (&tenant.namespace, &tenant.simulator);
    simulator.add_token(label, &revoked, Scope::Full).unwrap();
    simulator.revoke_token(&revoked).unwrap();
    simulator.add_token(label, &powerless, Scope::None).unwrap();
    let cases = [
        ("missing", None, "TokenSecretNotFound"),
        (
            "otherkey",
            Some(json!({"token": tenant.api_token})),
            "TokenSecretNotFound",
        ),
        (
            "garbage",
            Some(json!({"access-token": "two words"})),
            "TokenInvalid",
        ),
        (
            "revoked",
            Some(json!({"access-token": revoked})),
            "Unauthorized",
        ),
        (
            "powerless",
            Some(json!({"access-token": powerless})),
            "Forbidden",
        ),
    ];
    let mut asked = Vec::new();
    for (case, data, reason) in cases {
        let name = format!("{}-{case}", tenant.account_name());
        if let Some(data) = data {
            tenant.put_tokens(&name, data).await;
        }
        let spec = json!({"tokenSecretRef": {"name": name}});
        let account = tenant.create_account_named(&name, spec).await;
        for number in [1, 2] {
            let mut spec = cluster("prod");
            spec["accountRef"] = json!({"name": name});
            let access = tenant
                .create_access_by_account(&format!("{case}-{number}"), spec)
                .await;
            asked.push((account.clone(), access, reason));
        }
    }
    for (account, access, reason) in asked {
        let told = account.says(reason).await;
        assert_eq!(told.status, "False", "{reason}");
        let refused = access.synced(reason).await;
        assert_condition(&refused, "Stalled", "True", reason);
        let sentence = message(&refused);
        assert!(
            sentence.contains(&format!("DOAccount {}", account.name)),
            "{sentence}"
        );
        assert!(sentence.contains(&told.message), "{sentence}");
    }
    assert_eq!(tenant.mints().len(), 0);
}

#[tokio::test]
async fn a_token_that_may_list_clusters_and_not_open_them_is_told_by_the_access_with_the_scope() {
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    tenant
        .simulator
        .add_token(&tenant.namespace, &tenant.api_token, Scope::ReadOnly)
        .unwrap();
    let account = tenant.create_account(json!({})).await;
    let access = tenant
        .create_access_by_account("prod", cluster("prod"))
        .await;
    let refused = access.synced("Forbidden").await;
    assert!(message(&refused).contains("kubernetes:access_cluster"));
    account.says("Usable").await;
}

#[tokio::test]
async fn a_dead_token_costs_one_probe_for_all_its_accesses_and_a_new_one_is_noticed_within_30_seconds()
 {
    const ACCESSES: usize = 20;
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    tenant.simulator.revoke_token(&tenant.api_token).unwrap();
    let position = tenant.audit_position().await;
    let began = Instant::now();
    let account = tenant.create_account(json!({})).await;
    let mut accesses = Vec::new();
    for number in 0..ACCESSES {
        let name = format!("access-{number}");
        let access = tenant
            .create_access_by_account(&name, cluster("prod"))
            .await;
        accesses.push(access);
    }
    for access in &accesses {
        access.synced("Unauthorized").await;
    }
    account.says("Unauthorized").await;
    let probes = calls(&tenant, Operation::ListClusters);
    // At once, and 5, 15, 35 and 75 s later.
    let elapsed = began.elapsed().as_secs();
    let most = 1 + [5, 15, 35, 75]
        .into_iter()
        .filter(|at| *at <= elapsed)
        .count();
    assert!((1..=most).contains(&probes), "{probes} in {elapsed} s");
    assert_eq!(calls_beside_the_list(&tenant), 0);
    let requests = tenant.operator_requests(position).await;
    let reads: Vec<_> = requests
        .into_iter()
        .filter(|request| request.name == tenant.account_name() && request.verb == "get")
        .collect();
    let most = 1 + usize::try_from(began.elapsed().as_secs() / 30).unwrap();
    assert!((1..=most).contains(&reads.len()), "{:#?}", summary(&reads));

    let working = tenant.simulator.draw_api_token();
    tenant
        .simulator
        .add_token(&tenant.namespace, &working, Scope::Full)
        .unwrap();
    tenant.put_token(&tenant.account_name(), &working).await;
    let replaced = Instant::now();
    account.says("Usable").await;
    let noticed = replaced.elapsed();
    assert!(noticed < TOKEN_IS_NOTICED, "noticed after {noticed:?}");
    for access in &accesses {
        access.ready().await;
    }
    assert_eq!(
        tenant.mints().len(),
        2,
        "they are due together, for one cluster and lifetime"
    );
}

#[tokio::test]
async fn another_token_secret_in_the_spec_of_an_account_counts_at_once() {
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    let elsewhere = json!({"tokenSecretRef": {"name": "no-such-secret"}});
    let account = tenant.create_account(elsewhere).await;
    let access = tenant
        .create_access_by_account("prod", cluster("prod"))
        .await;
    access.synced("TokenSecretNotFound").await;
    let corrected = Instant::now();
    account
        .patch_spec(json!({"tokenSecretRef": {"name": tenant.account_name()}}))
        .await;
    account.says("Usable").await;
    access.ready().await;
    let elapsed = corrected.elapsed();
    // Much less than the time after which a Secret is read anyway.
    assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
}

#[tokio::test]
async fn the_transition_time_of_an_account_moves_when_ready_flips_and_not_with_the_reason() {
    let tenant = tenant!();
    tenant.add_cluster(tenant.cluster("prod"));
    let account = tenant.create_account(json!({})).await;
    let access = tenant
        .create_access_by_account("prod", cluster("prod"))
        .await;
    access.ready().await;
    let usable = account.says("Usable").await;
    let another_second = async |since: Timestamp| {
        eventually("a second has passed", async || {
            Clock::system().now_seconds() > since.as_second() + 1
        })
        .await;
    };

    another_second(usable.last_transition_time.0).await;
    tenant.simulator.revoke_token(&tenant.api_token).unwrap();
    access.rotate("now").await;
    let refused = account.says("Unauthorized").await;
    assert!(refused.last_transition_time > usable.last_transition_time);

    another_second(refused.last_transition_time.0).await;
    account
        .patch_spec(json!({"tokenSecretRef": {"name": "no-such-secret"}}))
        .await;
    let missing = account.says("TokenSecretNotFound").await;
    assert_eq!(missing.last_transition_time, refused.last_transition_time);

    tenant
        .simulator
        .add_token(&tenant.namespace, &tenant.api_token, Scope::Full)
        .unwrap();
    account
        .patch_spec(json!({"tokenSecretRef": {"name": tenant.account_name()}}))
        .await;
    let recovered = account.says("Usable").await;
    assert!(recovered.last_transition_time > refused.last_transition_time);
    access.ready().await;
    assert_eq!(tenant.mints().len(), 4, "the rotation was not lost");
}

/// One operator, whose clock is set forward, and so one test, with a scene for each sentence.
#[tokio::test]
async fn as_time_passes_accounts_are_looked_after() {
    let Some(host) = Host::start().await else {
        return;
    };
    the_status_of_an_account_is_not_written_while_nothing_changes(&host).await;
    a_cluster_that_is_renamed_out_of_the_glob_is_not_allowed_any_more(&host).await;
    nothing_is_renewed_for_a_namespace_that_is_not_allowed_any_more(&host).await;
    what_was_held_back_is_not_published_for_a_namespace_that_is_not_allowed_any_more(&host).await;
}

async fn the_status_of_an_account_is_not_written_while_nothing_changes(host: &Host) {
    let tenant = Tenant::of(host).await;
    tenant.add_cluster(tenant.cluster("prod"));
    let account = tenant.create_account(json!({})).await;
    let access = tenant
        .create_access_by_account("prod", cluster("prod"))
        .await;
    access.ready().await;
    account.says("Usable").await;
    let before = account.get().await;
    for round in ["one", "two", "three"] {
        let published = access.secret().await;
        host.operator.advance(LIST_IS_OLD);
        access.rotate(round).await;
        access.renewed(&published).await;
    }
    assert_eq!(calls(&tenant, Operation::ListClusters), 4);
    // It is written at the end of the run that lists, if at all: one more run, and that has ended.
    account
        .patch_spec(json!({"allowedClusters": {"names": ["*", "prod"]}}))
        .await;
    let after = account
        .until("the changed spec is told of", |account| {
            account.status.as_ref().unwrap().observed_generation == account.metadata.generation
        })
        .await;
    let since = |account: &DOAccount| {
        let status = account.status.as_ref().unwrap();
        status.conditions[0].last_transition_time.clone()
    };
    assert_eq!(since(&after), since(&before));
    let writes = tenant.operator_requests(Position::default()).await;
    let writes: Vec<_> = writes
        .into_iter()
        .filter(|request| request.resource == "doaccounts" && request.name == account.name)
        .collect();
    assert_eq!(writes.len(), 2, "{:#?}", summary(&writes));
}

async fn a_cluster_that_is_renamed_out_of_the_glob_is_not_allowed_any_more(host: &Host) {
    let tenant = Tenant::of(host).await;
    let id = tenant.add_cluster(tenant.cluster("prod-a"));
    let rename = |to: &str| {
        tenant
            .simulator
            .update_cluster(&id, |cluster| to.clone_into(&mut cluster.name))
            .unwrap();
    };
    tenant
        .create_account(json!({"allowedClusters": {"names": ["prod-*"]}}))
        .await;
    let access = tenant
        .create_access_by_account("prod", cluster("prod-a"))
        .await;
    access.ready().await;
    let before = access.secret().await;
    let beside = calls_beside_the_list(&tenant);

    rename("private");
    host.operator.advance(LIST_IS_OLD);
    access.rotate("now").await;
    let refused = access.synced("NotAllowed").await;
    assert_condition(&refused, "Ready", "True", "Published");
    assert!(!format!("{:?}", refused.status).contains("private"));
    assert_eq!(version(&access.secret().await), version(&before));
    assert_eq!(calls_beside_the_list(&tenant), beside);

    rename("prod-b");
    host.operator.advance(LIST_IS_OLD);
    access.touch("renamed").await;
    access.renewed(&before).await;
    let ready = access.ready().await;
    let served = ready.status.unwrap().cluster.unwrap();
    assert_eq!(
        (served.id, served.name.as_deref()),
        (Some(id.clone()), Some("prod-b"))
    );
}

async fn nothing_is_renewed_for_a_namespace_that_is_not_allowed_any_more(host: &Host) {
    let tenant = Tenant::of(host).await;
    tenant.add_cluster(tenant.cluster("prod"));
    let account = tenant.create_account(json!({})).await;
    let mut spec = cluster("prod");
    spec["expirySeconds"] = json!(3600);
    let access = tenant.create_access_by_account("prod", spec).await;
    access.ready().await;
    let before = access.secret().await;
    account.patch_spec(json!({"allowedNamespaces": []})).await;
    access.synced("NotAllowed").await;
    let beside = calls_beside_the_list(&tenant);

    // Due after 2,400 s at the latest.
    host.operator.advance(Duration::from_secs(3000));
    looked_at(&access, 1200, "NotAllowed").await;
    assert_condition(&access.get().await, "Ready", "True", "Published");
    host.operator.advance(Duration::from_secs(700));
    access.touch("expired").await;
    let expired = access
        .until("it has expired", |access| {
            condition(access, "Ready").is_some_and(|ready| ready.reason == "Expired")
        })
        .await;
    assert_condition(&expired, "Synced", "False", "NotAllowed");
    assert_condition(&expired, "Stalled", "True", "NotAllowed");
    assert_eq!(version(&access.secret().await), version(&before));
    assert_eq!(calls_beside_the_list(&tenant), beside);

    account
        .patch_spec(json!({"allowedNamespaces": [tenant.namespace]}))
        .await;
    access.renewed(&before).await;
    access.ready().await;
}

async fn what_was_held_back_is_not_published_for_a_namespace_that_is_not_allowed_any_more(
    host: &Host,
) {
    let tenant = Tenant::of(host).await;
    // The cluster refuses connections for a while.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    tenant.add_cluster(Cluster {
        endpoint: Some(format!("https://{address}")),
        ..tenant.cluster("prod")
    });
    let account = tenant.create_account(json!({})).await;
    let mut spec = cluster("prod");
    spec["verification"] = json!("Required");
    let access = tenant.create_access_by_account("prod", spec).await;
    access.synced("Unreachable").await;
    account.patch_spec(json!({"allowedNamespaces": []})).await;
    access.synced("NotAllowed").await;

    let api_server = tenant.server.trim_start_matches("https://").to_owned();
    let listener = TcpListener::bind(address).await.unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (mut incoming, _) = listener.accept().await.unwrap();
            let mut outgoing = TcpStream::connect(&api_server).await.unwrap();
            tokio::spawn(async move {
                // Either side may close as it likes.
                drop(copy_bidirectional(&mut incoming, &mut outgoing).await);
            });
        }
    });
    host.operator.advance(Duration::from_secs(60));
    looked_at(&access, 300_000, "NotAllowed").await;
    let secrets = tenant.secrets().list(&ListParams::default()).await.unwrap();
    assert_eq!(secrets.iter().count(), 0);

    account
        .patch_spec(json!({"allowedNamespaces": [tenant.namespace]}))
        .await;
    access.ready().await;
    assert_eq!(tenant.mints().len(), 2, "it was kept");
}
