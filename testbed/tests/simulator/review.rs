//! The TokenReview webhook.

use axum::body::Body;
use do_cluster_access_testbed::simulator::{Account, MintSelector, Scope, User};
use http::{Request, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::world::{World, named};

fn question(path: &str, version: &str, token: &str) -> Request<Body> {
    let review = json!({
        "apiVersion": format!("authentication.k8s.io/{version}"),
        "kind": "TokenReview",
        "metadata": { "creationTimestamp": null },
        "spec": { "token": token, "audiences": ["https://kubernetes.default.svc"] },
        "status": { "user": {} },
    });
    Request::post(path)
        .header("content-type", "application/json")
        .body(Body::from(review.to_string()))
        .expect("a request")
}

async fn status(world: &World, path: &str, token: &str) -> Value {
    let reply = world.send(question(path, "v1", token)).await;
    assert_eq!(reply.status, StatusCode::OK);
    reply.json()["status"].clone()
}

#[tokio::test]
async fn a_living_token_is_the_user_of_its_account() {
    let (world, id) = World::with_cluster(named("prod"));
    let token = world.mint(&id, "expiry_seconds=60").await;
    let known = json!({
        "authenticated": true,
        "user": { "username": "default@example.com", "groups": ["k8saas:authenticated"] },
    });
    assert_eq!(status(&world, "/tokenreview", &token).await, known);
    assert_eq!(
        status(&world, &format!("/tokenreview/{id}"), &token).await,
        known
    );
    assert_eq!(
        world.simulator.history().len(),
        1,
        "a review is no API request"
    );
}

#[tokio::test]
async fn groups_are_those_of_the_account() {
    let world = World::new();
    let user = User {
        username: "ada".to_owned(),
        groups: vec!["admins".to_owned(), "k8saas:authenticated".to_owned()],
    };
    let account = Account {
        user: user.clone(),
        ..Account::new("ada")
    };
    world.simulator.add_account(account).expect("a new account");
    world
        .simulator
        .add_token("default", "default-2", Scope::Full)
        .expect("a known account");
    world
        .simulator
        .add_token("ada", "ada", Scope::Full)
        .expect("a known account");
    let id = world
        .simulator
        .add_cluster("ada", named("hers"))
        .expect("a new cluster");
    let path = format!("/v2/kubernetes/clusters/{id}/credentials");
    let document = world.get_as("ada", &path).await.json();
    let token = document["token"].as_str().expect("a token");
    assert_eq!(world.simulator.review(token), Some(user));
}

#[tokio::test]
async fn an_expired_unknown_or_empty_token_is_nobody() {
    let (world, id) = World::with_cluster(named("prod"));
    let token = world.mint(&id, "expiry_seconds=60").await;
    let nobody = json!({ "authenticated": false });
    assert_eq!(status(&world, "/tokenreview", "unknown").await, nobody);
    assert_eq!(status(&world, "/tokenreview", "").await, nobody);
    world.pass(SignedDuration::from_secs(60));
    assert_eq!(status(&world, "/tokenreview", &token).await, nobody);
}

#[tokio::test]
async fn a_token_is_nobody_in_another_cluster_and_once_its_own_is_gone() {
    let (world, id) = World::with_cluster(named("prod"));
    let other = world.add(named("staging"));
    let token = world.mint(&id, "").await;
    let nobody = json!({ "authenticated": false });
    let there = format!("/tokenreview/{other}");
    assert_eq!(status(&world, &there, &token).await, nobody);
    assert_eq!(world.simulator.review_at(&other, &token), None);
    assert!(world.simulator.review_at(&id, &token).is_some());
    world
        .simulator
        .remove_cluster(&id)
        .expect("a known cluster");
    assert_eq!(status(&world, "/tokenreview", &token).await, nobody);
}

#[tokio::test]
async fn a_minted_token_can_die_early() {
    let (world, id) = World::with_cluster(named("prod"));
    let other = world.add(named("staging"));
    let tokens = [
        world.mint(&id, "expiry_seconds=60").await,
        world.mint(&id, "").await,
        world.mint(&other, "").await,
    ];
    let alive = || -> Vec<bool> {
        let review = |token: &String| world.simulator.review(token).is_some();
        tokens.iter().map(review).collect()
    };
    let one = MintSelector {
        fingerprint: Some(world.simulator.mints()[1].fingerprint.clone()),
        ..MintSelector::default()
    };
    assert_eq!(world.simulator.revoke_minted(&one), 1);
    assert_eq!(alive(), [true, false, true]);
    assert_eq!(world.simulator.mints()[1].revoked_at, Some(world.now()));
    world.pass(SignedDuration::from_secs(60));
    let of_prod = MintSelector {
        cluster: Some(id),
        ..MintSelector::default()
    };
    assert_eq!(
        world.simulator.revoke_minted(&of_prod),
        0,
        "one expired, one was revoked"
    );
    assert_eq!(world.simulator.revoke_minted(&MintSelector::default()), 1);
    assert_eq!(alive(), [false, false, false]);
}

#[tokio::test]
async fn a_review_is_answered_in_the_version_that_it_was_asked_in() {
    let world = World::new();
    for version in ["v1", "v1beta1"] {
        let reply = world.send(question("/tokenreview", version, "x")).await;
        let expected = format!("authentication.k8s.io/{version}");
        assert_eq!(reply.json()["apiVersion"], expected);
        assert_eq!(reply.json()["kind"], "TokenReview");
    }
}

#[tokio::test]
async fn what_is_no_token_review_is_400() {
    let world = World::new();
    let named = |version, kind| {
        json!({ "apiVersion": version, "kind": kind, "spec": { "token": "x" } }).to_string()
    };
    let version = named("v1", "TokenReview");
    let kind = named("authentication.k8s.io/v1", "SelfSubjectReview");
    for body in ["", "{}", "not JSON", &version, &kind] {
        let request = Request::post("/tokenreview").body(Body::from(body.to_owned()));
        let reply = world.send(request.expect("a request")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let unknown = question("/tokenreview", "v2", "x");
    assert_eq!(world.send(unknown).await.status, StatusCode::BAD_REQUEST);
}
