//! What the conformance suite cannot see: what the model offers to those who steer and check it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use http::{Method, Request};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::client::Body;
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tower::Service;

use super::{ApiServer, Kind, Verb};

const START: i64 = 1_800_000_000;

/// An API server with a namespace `a`, at whose clock tokio's shows.
fn api_server() -> ApiServer {
    let began = Instant::now();
    let now = move || {
        let elapsed = i64::try_from(began.elapsed().as_millis()).unwrap();
        Timestamp::from_millisecond(START * 1000 + elapsed).unwrap()
    };
    let api_server = ApiServer::new(now, 7);
    api_server.create_namespace("a");
    api_server
}

fn secrets(api_server: &ApiServer) -> Api<Secret> {
    Api::namespaced(api_server.client(), "a")
}

fn secret(name: &str) -> Secret {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": {"x": "1"}}})).unwrap()
}

async fn apply(secrets: &Api<Secret>, name: &str, value: &str) -> Secret {
    let body = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "data": {"k": value},
    });
    let parameters = PatchParams::apply("m").force();
    let body = Patch::Apply(body);
    secrets.patch(name, &parameters, &body).await.unwrap()
}

fn time_of(secret: &Secret) -> Timestamp {
    let entries = secret.metadata.managed_fields.as_ref().unwrap();
    entries[0].time.as_ref().unwrap().0
}

fn code_of<T: std::fmt::Debug>(answer: kube::Result<T>) -> u16 {
    match answer {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("{other:?}"),
    }
}

/// The code and the body of an answer to a request that no client makes.
async fn answer(
    api_server: &ApiServer,
    method: Method,
    path: &str,
    kind: &str,
    body: Value,
) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", kind);
    let body = Body::from(body.to_string().into_bytes());
    let response = api_server
        .client()
        .send(request.body(body).unwrap())
        .await
        .unwrap();
    let code = response.status().as_u16();
    let bytes = response.into_body().collect_bytes().await.unwrap();
    (code, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_same_requests_make_the_same_history() {
    let mut histories = Vec::new();
    for _ in 0..2 {
        let api_server = api_server();
        let secrets = secrets(&api_server);
        for value in ["dg==", "dw=="] {
            apply(&secrets, "one", value).await;
            apply(&secrets, "two", value).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        secrets
            .delete("one", &DeleteParams::default())
            .await
            .unwrap();
        let bodies = api_server.history_after(0).into_iter().map(|write| {
            let after = write.after.map(|object| object.body(false));
            (
                write.version,
                write.at,
                write.verb,
                write.manager,
                write.kind,
                after,
            )
        });
        histories.push(bodies.collect::<Vec<_>>());
    }
    assert_eq!(histories[0], histories[1]);
    assert_eq!(histories[0].len(), 6);
}

#[tokio::test(start_paused = true)]
async fn the_history_tells_who_wrote_what() {
    let api_server = api_server();
    let before = api_server.version();
    let secrets = secrets(&api_server);
    apply(&secrets, "s", "dg==").await;
    apply(&secrets, "s", "dg==").await;
    apply(&secrets, "s", "dw==").await;
    secrets.delete("s", &DeleteParams::default()).await.unwrap();

    let history = api_server.history_after(before);
    let told: Vec<_> = history
        .iter()
        .map(|write| {
            (
                write.verb,
                &*write.manager,
                write.before.is_some(),
                write.after.is_some(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Verb::Apply, "m", false, true),
            (Verb::Apply, "m", true, true),
            (Verb::Delete, "unknown", true, false),
        ]
    );
    let changed = &history[1];
    let data =
        |object: &Option<Arc<super::Object>>| object.as_ref().unwrap().value()["data"]["k"].clone();
    assert_eq!(
        (data(&changed.before), data(&changed.after)),
        (json!("dg=="), json!("dw=="))
    );
    assert!(api_server.objects(Kind::Secret).is_empty());
    assert_eq!(api_server.version(), before + 3);
}

#[tokio::test(start_paused = true)]
async fn what_changes_nothing_keeps_its_time() {
    let secrets = secrets(&api_server());
    let first = apply(&secrets, "s", "dg==").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let second = apply(&secrets, "s", "dg==").await;
    assert_eq!(second, first);
    let third = apply(&secrets, "s", "dw==").await;
    assert_eq!(
        time_of(&third).duration_since(time_of(&first)).as_secs(),
        60
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_compaction_older_pages_and_watches_are_gone_and_present_watches_go_on() {
    let api_server = api_server();
    let secrets = secrets(&api_server);
    for name in ["s", "t"] {
        secrets
            .create(&PostParams::default(), &secret(name))
            .await
            .unwrap();
    }
    let page = secrets.list(&ListParams::default().limit(1)).await.unwrap();
    let version = page.metadata.resource_version.clone().unwrap();
    let parameters = WatchParams::default();
    let mut watch = Box::pin(secrets.watch(&parameters, &version).await.unwrap());
    apply(&secrets, "u", "dg==").await;
    api_server.compact();

    let next = page.metadata.continue_.unwrap();
    let rest = secrets
        .list(&ListParams::default().continue_token(&next))
        .await;
    assert_eq!(code_of(rest), 410);
    let late = secrets.watch(&parameters, &version).await.unwrap();
    let told: Vec<_> = late.try_collect().await.unwrap();
    assert!(matches!(told.as_slice(), [WatchEvent::Error(status)] if status.code == 410));
    let told = watch.next().await.unwrap().unwrap();
    assert!(
        matches!(told, WatchEvent::Added(secret) if secret.metadata.name.as_deref() == Some("u"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_has_not_been_told_what_is_forgotten_ends() {
    let api_server = api_server();
    let secrets = secrets(&api_server);
    let leases: Api<Lease> = Api::namespaced(api_server.client(), "a");
    let version = api_server.version().to_string();
    let parameters = WatchParams::default();
    let mut of_secrets = Box::pin(secrets.watch(&parameters, &version).await.unwrap());
    let mut of_leases = Box::pin(leases.watch(&parameters, &version).await.unwrap());
    apply(&secrets, "s", "dg==").await;
    assert_eq!(api_server.take_history().len(), 2);
    assert!(api_server.history_after(0).is_empty());

    let told = of_secrets.next().await.unwrap().unwrap();
    assert!(matches!(told, WatchEvent::Error(status) if status.code == 410));
    assert!(of_secrets.next().await.is_none());
    // Nothing that concerns this one was forgotten.
    let nothing = timeout(Duration::from_secs(5), of_leases.next()).await;
    assert!(nothing.is_err());
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_every_minute_and_before_the_end() {
    let api_server = api_server();
    let secrets = secrets(&api_server);
    let parameters = WatchParams::default().timeout(150);
    let version = api_server.version().to_string();
    let watch = secrets.watch(&parameters, &version).await.unwrap();
    let began = Instant::now();
    let told: Vec<u64> = watch
        .map(|event| {
            assert!(matches!(event.unwrap(), WatchEvent::Bookmark(_)));
            began.elapsed().as_secs()
        })
        .collect()
        .await;
    assert_eq!(told, [60, 120, 148]);
    assert_eq!(began.elapsed().as_secs(), 150);
}

#[tokio::test(start_paused = true)]
async fn the_watcher_of_kube_follows_through_a_compaction() {
    let api_server = api_server();
    let secrets = secrets(&api_server);
    apply(&secrets, "s", "dg==").await;
    let config = watcher::Config::default().labels("x=1");
    let mut events = Box::pin(watcher::watcher(secrets.clone(), config));
    let mut told = Vec::new();
    secrets
        .create(&PostParams::default(), &secret("t"))
        .await
        .unwrap();
    let parameters = PatchParams::default();
    for step in 0..10 {
        let Ok(event) = events.next().await.unwrap() else {
            told.push("gone too old".to_owned());
            continue;
        };
        told.push(match event {
            Event::Init => "init".to_owned(),
            Event::InitApply(secret) => format!("listed {}", secret.metadata.name.unwrap()),
            Event::InitDone => "listed".to_owned(),
            Event::Apply(secret) => format!("written {}", secret.metadata.name.unwrap()),
            Event::Delete(secret) => format!("gone {}", secret.metadata.name.unwrap()),
        });
        if step == 2 {
            let labelled = Patch::Merge(json!({"metadata": {"labels": {"x": "1"}}}));
            secrets.patch("s", &parameters, &labelled).await.unwrap();
            api_server.compact();
        }
        if step == 7 {
            let unlabelled = Patch::Merge(json!({"metadata": {"labels": {"x": null}}}));
            secrets.patch("s", &parameters, &unlabelled).await.unwrap();
            secrets.delete("t", &DeleteParams::default()).await.unwrap();
        }
    }
    let again = ["init", "listed s", "listed t", "listed", "gone s", "gone t"];
    assert_eq!(told[..4], ["init", "listed t", "listed", "gone too old"]);
    assert_eq!(told[4..], again);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_modelled_is_refused() {
    let api_server = api_server();
    let secrets = secrets(&api_server);
    apply(&secrets, "s", "dg==").await;
    let foreground = DeleteParams::foreground();
    assert_eq!(code_of(secrets.delete("s", &foreground).await), 501);
    let strategic = Patch::Strategic(json!({"data": {}}));
    assert_eq!(
        code_of(
            secrets
                .patch("s", &PatchParams::default(), &strategic)
                .await
        ),
        501
    );
    let dry_run = PatchParams::apply("m").dry_run();
    let body = json!({"apiVersion": "v1", "kind": "Secret"});
    assert_eq!(
        code_of(secrets.patch("s", &dry_run, &Patch::Apply(body)).await),
        501
    );
    let (parameters, all) = (DeleteParams::default(), ListParams::default());
    assert_eq!(
        code_of(secrets.delete_collection(&parameters, &all).await),
        501
    );
    let finalised = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/f"]}}));
    secrets
        .patch("s", &PatchParams::default(), &finalised)
        .await
        .unwrap();
    assert_eq!(
        code_of(secrets.delete("s", &DeleteParams::default()).await),
        501
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_before_it_is_sent_has_no_effect() {
    let api_server = api_server();
    let version = api_server.version();
    let request = || {
        let request = Request::post("/api/v1/namespaces/a/secrets");
        let secret = serde_json::to_vec(&secret("s")).unwrap();
        request.body(Body::from(secret)).unwrap()
    };
    drop(api_server.service().call(request()));
    assert_eq!(api_server.version(), version);
    let answer = api_server.service().call(request()).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), api_server.version()),
        (201, version + 1)
    );
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_no_objects_are_refused() {
    let api_server = api_server();
    let path = "/api/v1/namespaces/a/secrets";
    let (code, _) = answer(
        &api_server,
        Method::POST,
        path,
        "application/json",
        json!([1]),
    )
    .await;
    assert_eq!(code, 400);
    let path = "/api/v1/namespaces/a/secrets/s?fieldManager=m";
    let kind = "application/apply-patch+yaml";
    for body in [
        json!([1]),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": 3}),
        json!({}),
    ] {
        let (code, _) = answer(&api_server, Method::PATCH, path, kind, body).await;
        assert_eq!(code, 400);
    }
    assert_eq!(api_server.version(), 2);
}

#[tokio::test(start_paused = true)]
async fn controllers_act_when_they_are_told_to() {
    let api_server = api_server();
    let secrets = secrets(&api_server);
    let owner = apply(&secrets, "owner", "dg==").await;
    let mut dependent = secret("owned");
    let reference =
        json!([{"apiVersion": "v1", "kind": "Secret", "name": "owner", "uid": owner.metadata.uid}]);
    dependent.metadata.owner_references = serde_json::from_value(reference).unwrap();
    secrets
        .create(&PostParams::default(), &dependent)
        .await
        .unwrap();
    assert_eq!(api_server.collect_garbage(), 0);
    secrets
        .delete("owner", &DeleteParams::background())
        .await
        .unwrap();
    assert!(secrets.get_opt("owned").await.unwrap().is_some());
    assert_eq!(api_server.collect_garbage(), 1);
    assert!(secrets.get_opt("owned").await.unwrap().is_none());

    apply(&secrets, "s", "dg==").await;
    let path = "/api/v1/namespaces/a";
    let (code, _) = answer(
        &api_server,
        Method::DELETE,
        path,
        "application/json",
        json!({}),
    )
    .await;
    assert_eq!(code, 200);
    api_server.remove_terminated_namespaces();
    assert_eq!(
        code_of(secrets.create(&PostParams::default(), &secret("t")).await),
        403
    );
    api_server.empty_namespace("a");
    assert!(api_server.objects(Kind::Secret).is_empty());
    api_server.remove_terminated_namespaces();
    assert_eq!(
        code_of(secrets.create(&PostParams::default(), &secret("t")).await),
        404
    );
}

#[tokio::test(start_paused = true)]
async fn uids_depend_on_the_seed_alone() {
    let uid = async |seed| {
        let clock = AtomicI64::new(0);
        let now = move || Timestamp::from_second(clock.fetch_add(1, Ordering::Relaxed)).unwrap();
        let api_server = ApiServer::new(now, seed);
        api_server.create_namespace("a");
        apply(&secrets(&api_server), "s", "dg==")
            .await
            .metadata
            .uid
            .unwrap()
    };
    let (one, same, other) = (uid(1).await, uid(1).await, uid(2).await);
    assert_eq!(one, same);
    assert_ne!(one, other);
}

/// `cargo test --release -p do-cluster-access-testbed figures -- --ignored --nocapture`
#[tokio::test]
#[ignore = "measures"]
async fn figures_requests_a_second() {
    const COUNT: u32 = 20_000;
    let api_server = api_server();
    let secrets = secrets(&api_server);
    let leases: Api<Lease> = Api::namespaced(api_server.client(), "a");
    let rate = |began: Instant| f64::from(COUNT) / began.elapsed().as_secs_f64();

    let began = Instant::now();
    for number in 0..COUNT {
        apply(&secrets, "s", if number % 2 == 0 { "dg==" } else { "dw==" }).await;
    }
    println!("apply that changes: {:.0}/s", rate(began));
    let began = Instant::now();
    for _ in 0..COUNT {
        apply(&secrets, "s", "dg==").await;
    }
    println!("apply that changes nothing: {:.0}/s", rate(began));
    let began = Instant::now();
    for _ in 0..COUNT {
        secrets.get("s").await.unwrap();
    }
    println!("get: {:.0}/s", rate(began));
    let lease =
        json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me", "leaseTransitions": 0}});
    let lease: Lease = serde_json::from_value(lease).unwrap();
    let mut lease = leases.create(&PostParams::default(), &lease).await.unwrap();
    let began = Instant::now();
    for number in 0..COUNT {
        lease.spec.as_mut().unwrap().lease_transitions = i32::try_from(number).ok();
        lease = leases
            .replace("l", &PostParams::default(), &lease)
            .await
            .unwrap();
    }
    println!("update of a lease: {:.0}/s", rate(began));
}
