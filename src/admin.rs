//! The admin server: `/livez`, `/readyz` and `/metrics`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::controller::Health;
use crate::metrics::{Format, Metrics};

/// Without a turn of the loop for this long, the process counts as stuck.
const LONGEST_SILENCE_SECONDS: i64 = 60;

/// What the answers are made from.
#[derive(Clone)]
pub struct Admin {
    /// The state of the loop.
    pub health: Arc<Health>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub clock: Clock,
}

/// Listens at `address`.
///
/// # Errors
/// When the address cannot be bound.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until the process ends.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, admin: Admin) -> io::Result<()> {
    axum::serve(listener, router(admin)).await
}

/// The paths.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

async fn livez(State(admin): State<Admin>) -> Response {
    let last_turn = admin.health.last_turn();
    // A clock that was set forward makes one answer wrong, and the kubelet asks three times.
    let silent = admin.clock.now_seconds() - last_turn;
    if last_turn > 0 && silent > LONGEST_SILENCE_SECONDS {
        return (StatusCode::SERVICE_UNAVAILABLE, "the loop is stuck\n").into_response();
    }
    "ok\n".into_response()
}

async fn readyz(State(admin): State<Admin>) -> Response {
    if admin.health.is_synced() {
        "ok\n".into_response()
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the watches are not synced yet\n",
        )
            .into_response()
    }
}

async fn metrics(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT);
    let format = Format::accepted(accept.and_then(|accept| accept.to_str().ok()));
    match admin.metrics.encode(format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
