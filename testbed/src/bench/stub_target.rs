//! A target cluster that accepts every token: a TLS server that answers `SelfSubjectReview` and nothing
//! else, so that verification costs the operator all that it costs, and the API server under
//! measurement nothing.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::error::Error;

const ADDRESS: &str = "127.0.0.1";
const PATH: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const REVIEW: &str = r#"{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1","metadata":{},"status":{"userInfo":{"username":"bench@example.com","groups":["k8saas:authenticated","system:authenticated"]}}}"#;

/// Answers until it is dropped.
pub(super) struct StubTarget {
    url: String,
    certificate_authority: String,
    reviews: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl StubTarget {
    /// Starts it on a free port.
    pub(super) async fn start() -> Result<Self, Error> {
        let (certificate_authority, config) = identity()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("https://{ADDRESS}:{}", listener.local_addr()?.port());
        let reviews = Arc::new(AtomicUsize::new(0));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let accepting = tokio::spawn(accept(listener, acceptor, reviews.clone()));
        Ok(Self {
            url,
            certificate_authority,
            reviews,
            accepting,
        })
    }

    /// What clusters claim as their endpoint.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// PEM.
    pub(super) fn certificate_authority(&self) -> &str {
        &self.certificate_authority
    }

    /// How many credentials it has accepted.
    pub(super) fn reviews(&self) -> usize {
        self.reviews.load(Ordering::Relaxed)
    }
}

impl Drop for StubTarget {
    fn drop(&mut self) {
        // The task owns the listener and every connection.
        self.accepting.abort();
    }
}

/// A certificate authority, PEM, and a server with a certificate of it.
fn identity() -> Result<(String, ServerConfig), Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate()?;
    let pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let server = CertificateParams::new(vec![ADDRESS.to_owned()])?;
    let certificate = server.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    // As every real API server.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((pem, config))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, reviews: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, acceptor.clone(), reviews.clone()));
                }
                Err(error) => tracing::warn!(%error, "a connection could not be accepted"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, acceptor: TlsAcceptor, reviews: Arc<AtomicUsize>) {
    // As every real API server does. Without it the answer waits behind the TLS session tickets for the
    // client's delayed acknowledgement, 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::warn!(%error, "a connection cannot be used");
    }
    let stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%error, "a TLS handshake failed"),
    };
    let service = service_fn(|request: Request<Incoming>| {
        let (status, body) = answer(&request);
        if status == StatusCode::CREATED {
            reviews.fetch_add(1, Ordering::Relaxed);
        }
        async move { Ok::<_, Infallible>(response(status, body)) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection broke off");
    }
}

fn answer<B>(request: &Request<B>) -> (StatusCode, &'static str) {
    let token = request.headers().get(AUTHORIZATION);
    let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if request.method() != Method::POST || request.uri().path() != PATH {
        (StatusCode::NOT_FOUND, "{}")
    } else if token.is_none_or(str::is_empty) {
        (StatusCode::UNAUTHORIZED, "{}")
    } else {
        (StatusCode::CREATED, REVIEW)
    }
}

fn response(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn review(target: &StubTarget, authority: &str, token: &str) -> reqwest::Result<u16> {
        let authority = reqwest::Certificate::from_pem(authority.as_bytes())?;
        let client = reqwest::Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            .build()?;
        let request = client.post(format!("{}{PATH}", target.url()));
        let answer = request.bearer_auth(token).send().await?;
        Ok(answer.status().as_u16())
    }

    #[tokio::test]
    async fn any_token_is_accepted_and_counted_and_none_is_refused() {
        let target = StubTarget::start().await.expect("a stub");
        let authority = target.certificate_authority().to_owned();
        let with_token = review(&target, &authority, "any").await.expect("an answer");
        let without = review(&target, &authority, "").await.expect("an answer");
        assert_eq!((with_token, without, target.reviews()), (201, 401, 1));
    }

    #[tokio::test]
    async fn its_certificate_is_of_its_own_authority() {
        let target = StubTarget::start().await.expect("a stub");
        let other = StubTarget::start().await.expect("a stub");
        let foreign = other.certificate_authority();
        assert!(review(&target, foreign, "any").await.is_err());
        assert_eq!(target.reviews(), 0);
    }
}
