//! Each point is what it is said to be: seen from upstream, and seen from the caller.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::*;

/// What is behind both doors: it counts, and answers when it may.
struct Backend {
    url: String,
    served: watch::Sender<usize>,
    may_answer: watch::Sender<bool>,
    pieces: mpsc::Sender<Bytes>,
    _serving: JoinSet<()>,
}

impl Backend {
    async fn start() -> Self {
        let (served, _) = watch::channel(0);
        let (may_answer, _) = watch::channel(true);
        let (pieces, coming) = mpsc::channel::<Bytes>(8);
        let coming = Arc::new(tokio::sync::Mutex::new(Some(coming)));
        let (count, gate) = (served.clone(), may_answer.clone());
        let serve = async move || {
            count.send_modify(|number| *number += 1);
            let mut gate = gate.subscribe();
            gate.wait_for(|open| *open).await.expect("a gate");
            "the answer"
        };
        let stream = async move || {
            let coming = coming.lock().await.take().expect("one watch");
            Body::from_stream(stream::unfold(coming, |mut coming| async {
                let piece = coming.recv().await?;
                Some((Ok::<_, std::convert::Infallible>(piece), coming))
            }))
        };
        let routes = Router::new()
            .route("/api/v1/secrets", get(stream))
            .fallback(serve);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut serving = JoinSet::new();
        serving.spawn(async { axum::serve(listener, routes).await.expect("a server") });
        Self {
            url,
            served,
            may_answer,
            pieces,
            _serving: serving,
        }
    }

    fn served(&self) -> usize {
        *self.served.borrow()
    }

    /// A proxy before it.
    async fn proxy(&self) -> FaultProxy {
        let authority = rcgen::generate_simple_self_signed(Vec::new()).expect("a certificate");
        let upstreams = Upstreams {
            kubernetes: self.url.clone(),
            certificate_authority: authority.cert.pem(),
            digitalocean: self.url.clone(),
        };
        FaultProxy::start(&upstreams).await.expect("a proxy")
    }
}

const MINT: &str = "/v2/kubernetes/clusters/1/credentials";

fn mint_at(point: Point) -> Strike {
    let call = CallName {
        door: Door::DigitalOcean,
        verb: "get".to_owned(),
        resource: "credentials".to_owned(),
        subresource: String::new(),
        name: String::new(),
    };
    Strike {
        call,
        occurrence: 1,
        point,
    }
}

/// A caller on its way.
fn call(proxy: &FaultProxy) -> JoinHandle<Result<String, reqwest::Error>> {
    let url = format!("{}{MINT}", proxy.digitalocean_url());
    tokio::spawn(async move { reqwest::get(url).await?.text().await })
}

#[tokio::test]
async fn a_call_that_is_stalled_before_it_is_committed_has_no_effect_and_afterwards_it_has() {
    for point in Point::ALL {
        let backend = Backend::start().await;
        let mut proxy = backend.proxy().await;
        let stalled = proxy.strike(mint_at(point));
        let caller = call(&proxy);
        stalled.here().await;
        assert_eq!(
            backend.served(),
            usize::from(point.is_committed()),
            "{point}"
        );
        if point == Point::Acknowledged {
            assert_eq!(
                caller.await.expect("a caller").expect("an answer"),
                "the answer"
            );
        } else {
            assert!(!caller.is_finished(), "{point}");
            caller.abort();
        }
        // Whoever was killed there is not heard of any more.
        proxy.shut().await;
        assert_eq!(
            backend.served(),
            usize::from(point.is_committed()),
            "{point}"
        );
    }
}

#[tokio::test]
async fn a_call_that_is_released_is_late_or_lost_or_answered_late() {
    for (point, served, answered) in [
        (Point::BeforeSend, 1, true),
        (Point::SentNotCommitted, 0, false),
        (Point::CommittedNotAcknowledged, 1, true),
        (Point::Acknowledged, 1, true),
    ] {
        let backend = Backend::start().await;
        let proxy = backend.proxy().await;
        let stalled = proxy.strike(mint_at(point));
        let caller = call(&proxy);
        stalled.here().await;
        stalled.release();
        assert_eq!(caller.await.expect("a caller").is_ok(), answered, "{point}");
        assert_eq!(backend.served(), served, "{point}");
    }
}

#[tokio::test]
async fn only_the_chosen_occurrence_of_the_chosen_name_is_stalled() {
    let backend = Backend::start().await;
    let proxy = backend.proxy().await;
    call(&proxy).await.expect("a caller").expect("an answer");
    let second = Strike {
        occurrence: 2,
        ..mint_at(Point::BeforeSend)
    };
    let stalled = proxy.strike(second);
    let other = format!("{}{MINT}", proxy.kubernetes_url());
    for _ in 0..2 {
        reqwest::get(&other).await.expect("an answer");
    }
    call(&proxy).await.expect("a caller").expect("an answer");
    assert!(!stalled.is_here());
    let caller = call(&proxy);
    stalled.here().await;
    stalled.release();
    caller.await.expect("a caller").expect("an answer");
    let names: Vec<_> = proxy
        .calls()
        .iter()
        .map(|call| call.name.to_string())
        .collect();
    let mint = "digitalocean get credentials";
    let path = format!("kubernetes get {MINT}");
    assert_eq!(names, [mint, &path, &path, mint, mint]);
    assert!(
        proxy
            .calls()
            .iter()
            .all(|call| call.status.is_some_and(|status| status == 200))
    );
}

#[tokio::test]
async fn a_watch_streams_through() {
    let backend = Backend::start().await;
    let proxy = backend.proxy().await;
    let url = format!("{}/api/v1/secrets?watch=true", proxy.kubernetes_url());
    let mut watch = reqwest::get(url).await.expect("a watch");
    for piece in ["one", "two"] {
        backend
            .pieces
            .send(Bytes::from_static(piece.as_bytes()))
            .await
            .expect("a watcher");
        let received = watch.chunk().await.expect("a piece");
        assert_eq!(received.expect("not the end"), piece);
    }
    assert!(proxy.calls()[0].name.is_watch());
}

#[tokio::test]
async fn a_call_on_its_way_takes_effect_when_its_caller_is_gone_and_the_proxy_is_shut_after_that() {
    let backend = Backend::start().await;
    backend.may_answer.send_replace(false);
    let mut proxy = backend.proxy().await;
    let caller = call(&proxy);
    let mut served = backend.served.subscribe();
    served
        .wait_for(|number| *number == 1)
        .await
        .expect("a backend");
    caller.abort();
    let url = format!("{}{MINT}", proxy.digitalocean_url());
    let mut shutting = tokio::spawn(async move { proxy.shut().await });
    let early = tokio::time::timeout(Duration::from_millis(100), &mut shutting).await;
    assert!(early.is_err(), "the call is not answered yet");
    backend.may_answer.send_replace(true);
    shutting.await.expect("it is shut");
    assert!(reqwest::get(url).await.is_err(), "nobody listens any more");
    assert_eq!(backend.served(), 1);
}
