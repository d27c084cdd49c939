//! The endpoints by which a person or a script steers a running simulator: loopback peers only.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::http::Peer;
use super::{Account, Cluster, Error, Fault, MintSelector, Scope, Simulator};

/// What `GET /_simulator` answers, and `--help` shows. No line is longer than 100 columns.
pub(super) const HELP: &str = r#"Control endpoints, for this machine alone (bodies are JSON; what is left out has a default):
  GET    /_simulator                this text
  GET    /_simulator/history        every request so far, a line of JSON each
  DELETE /_simulator/history        forget them
  GET    /_simulator/mints          every credential that was minted, but not its secret
  POST   /_simulator/mints/revoke   let tokens die early: {"account", "cluster", "fingerprint"}
  GET    /_simulator/faults         the faults in force
  POST   /_simulator/faults         {"kind", "times", "probability",
                                     "matches": {"account", "operation", "cluster", "page"}}
  DELETE /_simulator/faults         end all faults
  DELETE /_simulator/faults/ID      end one
  GET    /_simulator/accounts       the accounts
  POST   /_simulator/accounts       {"label", "user": {"username", "groups"},
                                     "limits": {"requests_per_minute", "requests_per_hour"}}
  POST   /_simulator/tokens         {"account", "token", "scope"}, scope: full, read_only, none
  POST   /_simulator/tokens/revoke  {"token"}
  GET    /_simulator/clusters       the clusters in full, by account
  POST   /_simulator/clusters       {"account", "cluster": {"name", "region", "state", ...}}
  PATCH  /_simulator/clusters/ID    the fields to change: {"state": "degraded"}
  DELETE /_simulator/clusters/ID    remove it
Operations: list_clusters, get_cluster, get_kubeconfig, get_credentials
Kinds of fault:
  {"connection_reset": "before_effect"}           or after_effect, when the response is lost
  {"hang": "before_effect"}                       or after_effect
  {"status": {"code": 503, "body": "html", "retry_after": "5"}}    body: json, html, empty
  {"rate_limit": {"window": "minute", "retry_after": "30", "reset_seconds": 60}}    or hour
  {"redirect": {"code": 302, "location": "https://example.com/"}}
  {"expires_at": "null"}                          or absent, year_one, past, unparsable, empty
  {"server": "https://example.com"}
  "plain_http_server"
  {"certificate_authority": "not_base64"}         or not_pem, absent
  "no_credential"
  {"kubeconfig": "exec"}                          or auth_provider, token_file,
     client_certificate_file, certificate_authority_file, proxy_url, insecure_skip_tls_verify,
     two_contexts, two_users, two_clusters, no_credential, not_yaml, not_a_kubeconfig
  {"foreign_next_link": "https://example.com"}    the list's next page is on another host
  {"short_page": 3}                               so many clusters are missing from the page
  "truncated_document"                            half of it, in a response that is complete
  "truncated_body"                                the connection closes in the middle
  {"content_type": "text/plain"}
  {"oversize": {"bytes": 10485760, "chunked": false}}
  {"delay": 1500}                                 milliseconds
  {"date_skew": -600}                             seconds
"#;

pub(crate) fn router() -> Router<Simulator> {
    Router::new()
        .route("/", get(|| async { HELP }))
        .route("/history", get(history).delete(forget_history))
        .route("/mints", get(mints))
        .route("/mints/revoke", post(revoke_minted))
        .route("/faults", get(faults).post(inject).delete(clear_faults))
        .route("/faults/{id}", delete(clear_fault))
        .route("/accounts", get(accounts).post(add_account))
        .route("/tokens", post(add_token))
        .route("/tokens/revoke", post(revoke_token))
        .route("/clusters", get(clusters).post(add_cluster))
        .route(
            "/clusters/{id}",
            patch(change_cluster).delete(remove_cluster),
        )
        .layer(middleware::from_fn(refuse_strangers))
}

async fn refuse_strangers(request: http::Request<Body>, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>();
    if peer.is_some_and(|Peer(address)| !address.ip().to_canonical().is_loopback()) {
        let sentence = "the simulator is controlled from its own machine only\n";
        return (StatusCode::FORBIDDEN, sentence).into_response();
    }
    next.run(request).await
}

/// Why a control request failed.
enum Refusal {
    Malformed(serde_json::Error),
    Impossible(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Impossible(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, sentence) = match self {
            Self::Malformed(error) => (StatusCode::BAD_REQUEST, error.to_string()),
            Self::Impossible(error) => {
                let status = match &error {
                    Error::UnknownAccount(_)
                    | Error::UnknownCluster(_)
                    | Error::UnknownFault(_)
                    | Error::UnknownToken => StatusCode::NOT_FOUND,
                    Error::AccountExists(_) | Error::ClusterExists(_) => StatusCode::CONFLICT,
                    Error::AccountNotNamed(_)
                    | Error::ClusterIdChanged(_)
                    | Error::InvalidFault(_)
                    | Error::Authority(_) => StatusCode::BAD_REQUEST,
                };
                (status, error.to_string())
            }
        };
        (status, axum::Json(json!({ "error": sentence }))).into_response()
    }
}

/// The body as JSON, whatever its content type says; an empty one is an empty object.
fn body<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(Refusal::Malformed)
}

async fn history(State(simulator): State<Simulator>) -> Result<Response, Refusal> {
    let mut lines = Vec::new();
    for entry in simulator.history() {
        serde_json::to_writer(&mut lines, &entry).map_err(Refusal::Malformed)?;
        lines.push(b'\n');
    }
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

async fn forget_history(State(simulator): State<Simulator>) -> axum::Json<Value> {
    let forgotten = simulator.take_history().len();
    axum::Json(json!({ "forgotten": forgotten }))
}

async fn mints(State(simulator): State<Simulator>) -> Response {
    axum::Json(simulator.mints()).into_response()
}

async fn revoke_minted(
    State(simulator): State<Simulator>,
    bytes: Bytes,
) -> Result<axum::Json<Value>, Refusal> {
    let selector: MintSelector = body(&bytes)?;
    Ok(axum::Json(
        json!({ "revoked": simulator.revoke_minted(&selector) }),
    ))
}

async fn faults(State(simulator): State<Simulator>) -> Response {
    axum::Json(simulator.faults()).into_response()
}

async fn inject(
    State(simulator): State<Simulator>,
    bytes: Bytes,
) -> Result<(StatusCode, axum::Json<Value>), Refusal> {
    let fault: Fault = body(&bytes)?;
    let id = simulator.inject(fault)?;
    Ok((StatusCode::CREATED, axum::Json(json!({ "id": id }))))
}

async fn clear_faults(State(simulator): State<Simulator>) -> StatusCode {
    simulator.clear_faults();
    StatusCode::NO_CONTENT
}

async fn clear_fault(
    State(simulator): State<Simulator>,
    Path(id): Path<u64>,
) -> Result<StatusCode, Refusal> {
    simulator.clear_fault(id)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn accounts(State(simulator): State<Simulator>) -> Response {
    axum::Json(simulator.accounts()).into_response()
}

async fn add_account(
    State(simulator): State<Simulator>,
    bytes: Bytes,
) -> Result<StatusCode, Refusal> {
    simulator.add_account(body::<Account>(&bytes)?)?;
    Ok(StatusCode::CREATED)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    #[serde(default)]
    account: Option<String>,
    token: String,
    #[serde(default)]
    scope: Scope,
}

async fn add_token(
    State(simulator): State<Simulator>,
    bytes: Bytes,
) -> Result<StatusCode, Refusal> {
    let new: NewToken = body(&bytes)?;
    let account = account_or_only_one(&simulator, new.account)?;
    simulator.add_token(&account, &new.token, new.scope)?;
    Ok(StatusCode::CREATED)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokedToken {
    token: String,
}

async fn revoke_token(
    State(simulator): State<Simulator>,
    bytes: Bytes,
) -> Result<StatusCode, Refusal> {
    simulator.revoke_token(&body::<RevokedToken>(&bytes)?.token)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn clusters(State(simulator): State<Simulator>) -> axum::Json<Value> {
    let clusters = simulator.clusters().into_iter();
    axum::Json(
        clusters
            .map(|(account, cluster)| json!({ "account": account, "cluster": cluster }))
            .collect(),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCluster {
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    cluster: Cluster,
}

async fn add_cluster(
    State(simulator): State<Simulator>,
    bytes: Bytes,
) -> Result<(StatusCode, axum::Json<Value>), Refusal> {
    let new: NewCluster = body(&bytes)?;
    let account = account_or_only_one(&simulator, new.account)?;
    let id = simulator.add_cluster(&account, new.cluster)?;
    Ok((StatusCode::CREATED, axum::Json(json!({ "id": id }))))
}

async fn change_cluster(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Result<axum::Json<Cluster>, Refusal> {
    let changes: serde_json::Map<String, Value> = body(&bytes)?;
    let before = serde_json::to_value(simulator.cluster(&id)?).map_err(Refusal::Malformed)?;
    let mut after = before;
    for (field, value) in changes {
        after[field] = value;
    }
    let after: Cluster = serde_json::from_value(after).map_err(Refusal::Malformed)?;
    simulator.update_cluster(&id, |cluster| cluster.clone_from(&after))?;
    Ok(axum::Json(after))
}

async fn remove_cluster(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    simulator.remove_cluster(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The given account, else the only one.
fn account_or_only_one(simulator: &Simulator, given: Option<String>) -> Result<String, Error> {
    let only = || match simulator.accounts().as_slice() {
        [account] => Ok(account.label.clone()),
        accounts => Err(Error::AccountNotNamed(accounts.len())),
    };
    given.map_or_else(only, Ok)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tower::ServiceExt;

    use super::*;
    use crate::simulator::Settings;

    async fn status_for(peer: &str) -> StatusCode {
        let simulator = Simulator::new(Settings::default()).expect("a simulator");
        let peer: SocketAddr = peer.parse().expect("an address");
        let request = http::Request::get("/_simulator/mints").extension(Peer(peer));
        let request = request.body(Body::empty()).expect("a request");
        let response = simulator.router().oneshot(request).await;
        response.expect("a router does not fail").status()
    }

    #[tokio::test]
    async fn only_peers_on_loopback_are_in_control() {
        for peer in [
            "127.0.0.1:1",
            "127.8.0.1:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(status_for(peer).await, StatusCode::OK, "{peer}");
        }
        for peer in [
            "192.0.2.1:1",
            "10.0.0.1:1",
            "[2001:db8::1]:1",
            "[::ffff:192.0.2.1]:1",
        ] {
            assert_eq!(status_for(peer).await, StatusCode::FORBIDDEN, "{peer}");
        }
    }
}
