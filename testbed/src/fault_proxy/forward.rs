//! Passing a request on.

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Response, request};
use http_body_util::BodyExt;
use reqwest::redirect::Policy;

/// A service behind the proxy.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    client: reqwest::Client,
    base_url: String,
}

impl Upstream {
    /// One over TLS, whose certificate is of that authority (PEM).
    pub(super) fn trusting(base_url: &str, authority: &str) -> Result<Self, reqwest::Error> {
        let authority = reqwest::Certificate::from_pem(authority.as_bytes())?;
        Self::new(base_url, client().tls_certs_only([authority]))
    }

    /// One without TLS.
    pub(super) fn plain(base_url: &str) -> Result<Self, reqwest::Error> {
        Self::new(base_url, client())
    }

    fn new(base_url: &str, client: reqwest::ClientBuilder) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: client.build()?,
            base_url: base_url.trim_end_matches('/').to_owned(),
        })
    }

    /// Makes the request as it came, in the name of whoever sent it. Returns when the head of the answer is there.
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn pass_on(
        &self,
        head: &request::Parts,
        body: Bytes,
    ) -> Result<Response<Body>, reqwest::Error> {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let request = self
            .client
            .request(head.method.clone(), format!("{}{path}", self.base_url))
            .headers(end_to_end(head.headers.clone()))
            .body(body);
        let answer: Response<reqwest::Body> = request.send().await?.into();
        let (mut head, body) = answer.into_parts();
        head.headers = end_to_end(head.headers);
        Ok(Response::from_parts(head, Body::new(body)))
    }
}

/// The same answer with all of its body in memory.
///
/// # Errors
/// When the body breaks off.
pub(super) async fn whole(answer: Response<Body>) -> Result<Response<Body>, axum::Error> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(head, Body::from(body)))
}

fn client() -> reqwest::ClientBuilder {
    // What the environment says of proxies is not meant for loopback; a redirect is the caller's to follow.
    reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
}

/// Headers without those that are about one connection, and those that follow from the body.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}
