//! The endpoints that steer a running simulator.

use axum::body::Body;
use do_cluster_access_testbed::simulator::{
    Account, BrokenAuthority, ErrorBody, ExpiresAt, Fault, FaultKind, KubeconfigDefect,
    LimitWindow, Moment,
};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::world::{LIST, Reply, TOKEN, World, cluster, credentials, named};

async fn call(world: &World, method: Method, path: &str, body: &Value) -> Reply {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = Request::builder()
        .method(method)
        .uri(format!("/_simulator{path}"))
        .body(Body::from(text));
    world.send(request.expect("a request")).await
}

async fn post(world: &World, path: &str, body: Value) -> Reply {
    call(world, Method::POST, path, &body).await
}

async fn get(world: &World, path: &str) -> Reply {
    call(world, Method::GET, path, &Value::Null).await
}

async fn delete(world: &World, path: &str) -> Reply {
    call(world, Method::DELETE, path, &Value::Null).await
}

#[tokio::test]
async fn the_root_tells_what_there_is() {
    let help = get(&World::new(), "").await;
    assert_eq!(help.status, StatusCode::OK);
    assert!(help.text().contains("POST   /_simulator/faults"));
    assert!(help.text().lines().all(|line| line.len() <= 100));
}

#[tokio::test]
async fn a_fault_is_injected_listed_and_cleared() {
    let world = World::new();
    let fault = json!({
        "matches": { "operation": "list_clusters" },
        "kind": { "status": { "code": 503, "body": "html" } },
        "times": 2,
    });
    let created = post(&world, "/faults", fault).await;
    assert_eq!(
        (created.status, created.json()),
        (StatusCode::CREATED, json!({ "id": 1 }))
    );
    assert_eq!(
        world.get(LIST).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    let listed = get(&world, "/faults").await.json();
    assert_eq!(listed[0]["id"], 1);
    assert_eq!(listed[0]["times"], 1);
    assert_eq!(
        delete(&world, "/faults/1").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        delete(&world, "/faults/1").await.status,
        StatusCode::NOT_FOUND
    );
    post(&world, "/faults", json!({ "kind": "truncated_body" })).await;
    assert_eq!(
        delete(&world, "/faults").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(get(&world, "/faults").await.json(), json!([]));
}

#[tokio::test]
async fn a_fault_that_makes_no_sense_is_400_with_a_sentence() {
    let world = World::new();
    let senseless = [
        json!({}),
        json!({ "kind": "unheard_of" }),
        json!({ "kind": "truncated_body", "unknown": 1 }),
        json!({ "kind": { "status": { "code": 7 } } }),
        json!({ "kind": "truncated_body", "matches": { "operation": "delete_cluster" } }),
    ];
    for fault in senseless {
        let refused = post(&world, "/faults", fault).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(
            refused.json()["error"]
                .as_str()
                .is_some_and(|text| text.len() > 10)
        );
    }
    assert_eq!(world.simulator.faults(), []);
}

/// One of each kind, so that a kind without a line in the help is noticed.
fn every_kind() -> Vec<FaultKind> {
    let text = || "x".to_owned();
    vec![
        FaultKind::ConnectionReset(Moment::BeforeEffect),
        FaultKind::Hang(Moment::AfterEffect),
        FaultKind::Status {
            code: 500,
            body: ErrorBody::Empty,
            retry_after: None,
        },
        FaultKind::RateLimit {
            window: LimitWindow::Hour,
            retry_after: None,
            reset_seconds: 1,
        },
        FaultKind::Redirect {
            code: 301,
            location: text(),
        },
        FaultKind::ExpiresAt(ExpiresAt::YearOne),
        FaultKind::Server(text()),
        FaultKind::PlainHttpServer,
        FaultKind::CertificateAuthority(BrokenAuthority::NotPem),
        FaultKind::NoCredential,
        FaultKind::Kubeconfig(KubeconfigDefect::NotAKubeconfig),
        FaultKind::ForeignNextLink(text()),
        FaultKind::ShortPage(1),
        FaultKind::TruncatedDocument,
        FaultKind::TruncatedBody,
        FaultKind::ContentType(text()),
        FaultKind::Oversize {
            bytes: 1,
            chunked: true,
        },
        FaultKind::Delay(1),
        FaultKind::DateSkew(1),
    ]
}

#[tokio::test]
async fn every_kind_of_fault_can_be_injected_over_http_and_is_in_the_help() {
    let world = World::new();
    let help = get(&world, "").await;
    for kind in every_kind() {
        let written = serde_json::to_value(&kind).expect("JSON");
        let name = match &written {
            Value::String(name) => name,
            Value::Object(fields) => fields.keys().next().expect("a name"),
            other => unreachable!("a kind is written as {other}"),
        };
        assert!(help.text().contains(&format!("\"{name}\"")), "{name}");
        let created = post(&world, "/faults", json!({ "kind": written })).await;
        assert_eq!(created.status, StatusCode::CREATED, "{name}");
    }
    let injected: Vec<Fault> = world
        .simulator
        .faults()
        .into_iter()
        .map(|injected| injected.fault)
        .collect();
    let expected: Vec<Fault> = every_kind().into_iter().map(Fault::new).collect();
    assert_eq!(injected, expected);
}

#[tokio::test]
async fn the_examples_of_the_help_are_valid() {
    let world = World::new();
    let help = get(&world, "").await;
    let mut tried = 0;
    for line in help.text().lines() {
        let example = line.trim().split("    ").next().unwrap_or_default();
        if !line.starts_with("  {") && !line.starts_with("  \"") {
            continue;
        }
        let kind: Value = serde_json::from_str(example).expect(example);
        let created = post(&world, "/faults", json!({ "kind": kind })).await;
        assert_eq!(created.status, StatusCode::CREATED, "{example}");
        tried += 1;
    }
    assert_eq!(tried, every_kind().len());
}

#[tokio::test]
async fn a_cluster_is_added_changed_and_removed() {
    let world = World::new();
    let new = json!({ "cluster": { "name": "prod", "state": "provisioning", "tags": ["a:b"] } });
    let created = post(&world, "/clusters", new).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let id = created.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/clusters/{id}");
    let change = json!({ "state": "running", "authentication": { "certificate": { "lifetime_seconds": 60 } } });
    let changed = call(&world, Method::PATCH, &path, &change).await;
    assert_eq!(
        (changed.status, changed.json()["state"].clone()),
        (StatusCode::OK, json!("running"))
    );
    assert_eq!(changed.json()["name"], "prod");
    let document = world.get(&credentials(&id)).await.json();
    assert!(document["client_certificate_data"].is_string());
    let listed = get(&world, "/clusters").await.json();
    assert_eq!(listed[0]["account"], "default");
    assert_eq!(listed[0]["cluster"]["id"], id);
    assert_eq!(delete(&world, &path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete(&world, &path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get(&cluster(&id)).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_change_that_makes_no_sense_leaves_the_cluster_alone() {
    let (world, id) = World::with_cluster(named("prod"));
    let before = world.simulator.cluster(&id).expect("a known cluster");
    for change in [
        json!({ "nmae": "x" }),
        json!({ "id": "x" }),
        json!({ "name": 1 }),
        json!([]),
    ] {
        let refused = call(&world, Method::PATCH, &format!("/clusters/{id}"), &change).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{change}");
    }
    assert_eq!(
        world.simulator.cluster(&id).expect("a known cluster"),
        before
    );
    let unknown = call(&world, Method::PATCH, "/clusters/unknown", &json!({})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn accounts_and_tokens_are_added_and_revoked() {
    let world = World::new();
    let account = json!({ "label": "ada", "user": { "username": "ada", "groups": ["admins"] } });
    assert_eq!(
        post(&world, "/accounts", account.clone()).await.status,
        StatusCode::CREATED
    );
    assert_eq!(
        post(&world, "/accounts", account).await.status,
        StatusCode::CONFLICT
    );
    assert_eq!(
        get(&world, "/accounts").await.json()[0]["user"]["groups"],
        json!(["admins"])
    );
    let unnamed = post(&world, "/tokens", json!({ "token": "t" })).await;
    assert_eq!(unnamed.status, StatusCode::BAD_REQUEST);
    let token = json!({ "account": "ada", "token": "t", "scope": "read_only" });
    assert_eq!(
        post(&world, "/tokens", token).await.status,
        StatusCode::CREATED
    );
    assert_eq!(world.get_as("t", LIST).await.status, StatusCode::OK);
    let revoked = post(&world, "/tokens/revoke", json!({ "token": "t" })).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    assert_eq!(
        world.get_as("t", LIST).await.status,
        StatusCode::UNAUTHORIZED
    );
    let unknown = post(&world, "/tokens/revoke", json!({ "token": "u" })).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let labels: Vec<Account> = world.simulator.accounts();
    assert_eq!(labels.len(), 2);
}

#[tokio::test]
async fn history_and_mints_are_shown_without_secrets_and_forgotten() {
    let (world, id) = World::with_cluster(named("prod"));
    let token = world.mint(&id, "").await;
    world.get(LIST).await;
    let history = get(&world, "/history").await;
    assert_eq!(history.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = history
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    assert_eq!(lines.len(), 2, "control requests are not in it");
    assert_eq!(lines[0]["operation"], "get_credentials");
    let mints = get(&world, "/mints").await;
    assert_eq!(
        mints.json()[0]["fingerprint"],
        lines[0]["minted"]["fingerprint"]
    );
    for secret in [TOKEN, &token] {
        assert!(!history.text().contains(secret) && !mints.text().contains(secret));
    }
    let revoked = post(&world, "/mints/revoke", json!({ "cluster": id })).await;
    assert_eq!(revoked.json(), json!({ "revoked": 1 }));
    assert_eq!(world.simulator.review(&token), None);
    assert_eq!(
        delete(&world, "/history").await.json(),
        json!({ "forgotten": 2 })
    );
    assert_eq!(get(&world, "/history").await.text(), "");
}
