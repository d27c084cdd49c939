//! The door itself: HTTP requests out, HTTP responses in.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use thiserror::Error;
use tower::util::{BoxCloneSyncService, ServiceExt};
use tower::{BoxError, Service, service_fn};

use super::BaseUrl;

/// A response's body: whatever frames it comes in.
pub type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// Sends a request and gives the response with its body still to be read. Any response is `Ok`,
/// whatever its status. Every request carries its [`Operation`](super::Operation) as an extension.
///
/// An error that is, or has in its chain of sources, a [`ConnectError`] says that the request
/// was not sent; any other leaves open whether it was.
pub type HttpService = BoxCloneSyncService<Request<Full<Bytes>>, Response<ResponseBody>, BoxError>;

/// No connection was made, so the request cannot have had an effect.
#[derive(Debug, Error)]
#[error("no connection")]
pub struct ConnectError(#[source] pub BoxError);

/// Makes the door out of any HTTP service: an `axum::Router`, a `service_fn` …
pub fn boxed_service<S, B>(service: S) -> HttpService
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    BoxCloneSyncService::new(
        service
            .map_err(Into::into)
            .map_response(|response: Response<B>| response.map(boxed_body)),
    )
}

/// The door to the real API (or to what stands at `base_url`).
///
/// TLS by rustls with the system's roots; HTTP/2 where offered; the proxy of the environment,
/// except to a loopback host; no redirects, no cookies, no compression, and no repeated requests,
/// since two of the calls mint a token each time.
///
/// # Errors
/// When no TLS client can be built.
pub fn production_service(base_url: &BaseUrl) -> Result<HttpService, BoxError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(super::USER_AGENT)
        .https_only(base_url.is_https())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(5))
        // Shorter than what load balancers keep: a connection that the other side closes while a
        // request is on its way loses the answer, and that a minted token.
        .pool_idle_timeout(Duration::from_secs(20));
    if base_url.is_loopback() {
        builder = builder.no_proxy();
    }
    let client = builder.build()?;
    Ok(boxed_service(service_fn(move |request| {
        send(client.clone(), request)
    })))
}

async fn send(
    client: reqwest::Client,
    request: Request<Full<Bytes>>,
) -> Result<Response<reqwest::Body>, BoxError> {
    let request = request.map(reqwest::Body::wrap).try_into()?;
    match client.execute(request).await {
        Ok(response) => Ok(response.into()),
        Err(error) if error.is_connect() => Err(ConnectError(error.into()).into()),
        Err(error) => Err(error.into()),
    }
}

fn boxed_body<B>(body: B) -> ResponseBody
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}
