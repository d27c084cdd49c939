//! A DigitalOcean whose API token may not read tags.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::stage::Stage;

/// Stands before the DigitalOcean of a stage, and can keep the tags of clusters back, as DigitalOcean does where a
/// token lacks the scope for them. Ends when it is dropped.
pub(crate) struct Tags {
    hidden: Arc<AtomicBool>,
    _server: JoinSet<()>,
}

impl Tags {
    /// Puts itself before the DigitalOcean that operators of `stage` will use.
    pub(crate) async fn before(stage: &mut Stage) -> Self {
        let hidden = Arc::new(AtomicBool::new(false));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        stage.digitalocean_url = format!("http://{}", listener.local_addr().unwrap());
        let (simulator, hide) = (stage.simulator.router(), hidden.clone());
        let pass_on = async move |request: Request| -> Response {
            let answer = simulator.clone().oneshot(request).await.into_response();
            if hide.load(Ordering::Relaxed) {
                without_tags(answer).await
            } else {
                answer
            }
        };
        let mut server = JoinSet::new();
        server.spawn(async {
            let routes = Router::new().fallback(pass_on);
            axum::serve(listener, routes).await.unwrap();
        });
        Self {
            hidden,
            _server: server,
        }
    }

    /// From now on tags are kept back, or not.
    pub(crate) fn hide(&self, hidden: bool) {
        self.hidden.store(hidden, Ordering::Relaxed);
    }
}

async fn without_tags(answer: Response) -> Response {
    let (mut head, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let Ok(mut document) = serde_json::from_slice::<Value>(&body) else {
        return Response::from_parts(head, Body::from(body));
    };
    let clusters = document.get_mut("kubernetes_clusters");
    for cluster in clusters.and_then(Value::as_array_mut).into_iter().flatten() {
        cluster["tags"] = json!([]);
    }
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, Body::from(document.to_string()))
}
