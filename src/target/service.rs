//! The door itself: a request to one cluster, with that cluster's trust and identity.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tower::util::{BoxCloneSyncService, ServiceExt};
use tower::{BoxError, Service, service_fn};
use tracing::debug;

use super::tls::{self, TlsFailure};
use super::verdict::Unreachability;
use crate::credential::Authentication;

/// A response's body.
pub type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// Sends a request to a cluster. Any response is `Ok`, whatever its status.
pub type TargetService = BoxCloneSyncService<TargetRequest, Response<ResponseBody>, TargetError>;

/// A request to a cluster and what its connection needs.
pub struct TargetRequest {
    /// The only certificate authority to trust, PEM.
    pub certificate_authority_pem: String,
    /// A client certificate is for the connection; a token is already in the request's header.
    pub authentication: Authentication,
    /// To an absolute https URL.
    pub request: Request<Full<Bytes>>,
    /// Requests that may share a connection.
    pub session: Session,
}

/// Requests to one cluster, with one authority to trust and without client certificates: they may go over
/// one connection. Clones are the same session.
#[derive(Clone, Default)]
pub struct Session(pub(super) Arc<OnceLock<reqwest::Client>>);

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TargetError {
    /// TLS failed against the certificate authority, or the server refused the client certificate.
    #[error(transparent)]
    Tls(#[from] TlsFailure),
    /// Anything else.
    #[error("{0}")]
    Unreachable(Unreachability),
}

/// Shows neither the header nor the identity.
impl fmt::Debug for TargetRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TargetRequest")
            .field("uri", self.request.uri())
            .field("authentication", &self.authentication)
            .finish_non_exhaustive()
    }
}

/// Makes the door out of any service with a body of any kind.
pub fn boxed_service<S, B>(service: S) -> TargetService
where
    S: Service<TargetRequest, Response = Response<B>, Error = TargetError>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    BoxCloneSyncService::new(service.map_response(|response: Response<B>| {
        response.map(|body| body.map_err(Into::into).boxed_unsync())
    }))
}

/// The door to real clusters: a client of its own for every session, so that nothing of one cluster's trust
/// or identity can serve another.
#[must_use]
pub fn production_service() -> TargetService {
    boxed_service(service_fn(send))
}

async fn send(target: TargetRequest) -> Result<Response<reqwest::Body>, TargetError> {
    let client = if let Some(client) = target.session.0.get() {
        client.clone()
    } else {
        let client = client(&target).map_err(|error| {
            log(&error);
            TlsFailure::UnusableCertificates
        })?;
        target.session.0.get_or_init(|| client).clone()
    };
    let has_identity = target.authentication.token().is_none();
    let failed = |error: reqwest::Error| failure(&error, has_identity);
    let request = target
        .request
        .map(reqwest::Body::wrap)
        .try_into()
        .map_err(failed)?;
    Ok(client.execute(request).await.map_err(failed)?.into())
}

/// Trusts the given authority alone and follows nothing.
///
/// The proxy of the environment is used, as kubectl and every client-go consumer would, and as
/// they do, not for a loopback server: the question is whether consumers can use the credential.
fn client(target: &TargetRequest) -> reqwest::Result<reqwest::Client> {
    let authority = target.certificate_authority_pem.as_bytes();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("do-cluster-access/", env!("CARGO_PKG_VERSION")))
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(1)
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(authority)?);
    if is_loopback(target.request.uri()) {
        builder = builder.no_proxy();
    }
    if let Authentication::Certificate {
        certificate_pem,
        key_pem,
    } = &target.authentication
    {
        let pem = SecretString::from(format!("{certificate_pem}\n{}", key_pem.expose_secret()));
        builder = builder.identity(reqwest::Identity::from_pem(pem.expose_secret().as_bytes())?);
    }
    builder.build()
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn failure(error: &reqwest::Error, has_identity: bool) -> TargetError {
    log(error);
    match tls::find(error) {
        Some(tls) => tls::classify(tls, has_identity).map_or(
            TargetError::Unreachable(Unreachability::Tls),
            TargetError::Tls,
        ),
        None if error.is_connect() => TargetError::Unreachable(Unreachability::Connect),
        None => TargetError::Unreachable(Unreachability::Connection),
    }
}

fn log(error: &reqwest::Error) {
    let chain: Vec<String> = tls::chain(error).map(ToString::to_string).collect();
    debug!(error = chain.join(": "), "the review got no response");
}
