//! The simulator as an HTTP service.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use futures::{FutureExt, TryFutureExt, stream};
use http::header::{ALLOW, AUTHORIZATION, CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use tower::{Service, ServiceExt};

use super::answer::{Answer, Delivery};
use super::call::Request;
use super::token_review::TokenReview;
use super::{Simulator, control};

/// The connection was reset before an answer came.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("connection reset by the simulator")]
pub struct ConnectionReset;

/// Marks a response that must not reach the client.
#[derive(Clone, Copy)]
struct Severed;

/// Who is at the other end of the socket. Requests in-process have none.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Simulator {
    /// The DigitalOcean API, `POST /tokenreview` (and `/tokenreview/{cluster_id}`, which knows the tokens of that
    /// cluster alone), and the control endpoints under `/_simulator`.
    ///
    /// A router cannot fail, so that a connection that is to be reset becomes an empty body that fails:
    /// [`Self::service`] resets it for the caller.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/tokenreview", post(review))
            .route("/tokenreview/{cluster}", post(review_at))
            .nest("/_simulator", control::router())
            .fallback(digitalocean)
            .with_state(self.clone())
    }

    /// The router as a service whose call fails where the connection is reset.
    #[must_use]
    pub fn service(&self) -> SimulatorService {
        SimulatorService {
            router: self.router(),
        }
    }
}

/// See [`Simulator::service`].
#[derive(Clone)]
pub struct SimulatorService {
    router: Router,
}

impl<B> Service<http::Request<B>> for SimulatorService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = http::Response<Body>;
    type Error = ConnectionReset;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        self.router
            .clone()
            .oneshot(request.map(Body::new))
            .map_err(|never: Infallible| match never {})
            .map(|response| {
                response.and_then(|response| match response.extensions().get::<Severed>() {
                    Some(Severed) => Err(ConnectionReset),
                    None => Ok(response),
                })
            })
            .boxed()
    }
}

async fn digitalocean(
    State(simulator): State<Simulator>,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let (parts, _) = request.into_parts();
    let header = |name| text(&parts.headers, &name);
    let answer = simulator.handle(&Request {
        base_url: base_url(&parts.uri, &parts.headers),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        authorization: header(AUTHORIZATION),
        user_agent: header(USER_AGENT),
        method: parts.method,
    });
    deliver(answer).await
}

async fn review(State(simulator): State<Simulator>, body: Bytes) -> http::Response<Body> {
    answer_review(&body, |token| simulator.review(token))
}

async fn review_at(
    State(simulator): State<Simulator>,
    axum::extract::Path(cluster): axum::extract::Path<String>,
    body: Bytes,
) -> http::Response<Body> {
    answer_review(&body, |token| simulator.review_at(&cluster, token))
}

fn answer_review(
    body: &[u8],
    review: impl FnOnce(&str) -> Option<super::User>,
) -> http::Response<Body> {
    use axum::response::IntoResponse;
    match TokenReview::parse(body) {
        Ok(asked) => axum::Json(asked.answer(review(asked.token()))).into_response(),
        Err(sentence) => (StatusCode::BAD_REQUEST, sentence).into_response(),
    }
}

fn text(headers: &HeaderMap, name: &http::HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// Scheme and host that the client used: from the target in absolute form, else from `host`.
fn base_url(uri: &Uri, headers: &HeaderMap) -> String {
    if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
        return format!("{scheme}://{authority}");
    }
    let host = text(headers, &HOST);
    format!("http://{}", host.as_deref().unwrap_or("localhost"))
}

/// Carries out what the answer says about its delivery.
async fn deliver(answer: Answer) -> http::Response<Body> {
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    let length = answer.body.len();
    let mut response = match answer.delivery {
        Delivery::Never => return std::future::pending().await,
        Delivery::Reset => {
            let mut response = http::Response::new(broken_off(Bytes::new()));
            response.extensions_mut().insert(Severed);
            return response;
        }
        Delivery::CutShort => http::Response::new(broken_off(answer.body.slice(..length / 2))),
        Delivery::Complete if answer.chunked => http::Response::new(Body::from_stream(
            stream::iter([Ok::<_, Infallible>(answer.body)]),
        )),
        Delivery::Complete => http::Response::new(Body::from(answer.body)),
    };
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    if !answer.chunked {
        let length = HeaderValue::from(length);
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    if answer.status == StatusCode::METHOD_NOT_ALLOWED {
        let get = HeaderValue::from_static("GET");
        response.headers_mut().insert(ALLOW, get);
    }
    response
}

/// A body that yields `start` and fails once that was sent: the pause in between lets the server flush it.
fn broken_off(start: Bytes) -> Body {
    let failure = async {
        tokio::task::yield_now().await;
        Err(ConnectionReset)
    };
    let start = stream::iter((!start.is_empty()).then_some(Ok(start)));
    Body::from_stream(futures::StreamExt::chain(start, stream::once(failure)))
}
