//! The four calls.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Collected, Full, LengthLimitError, Limited};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use tower::{BoxError, ServiceExt};
use tracing::debug;

use super::headers::request_id;
use super::listing::{Listing, Progress};
use super::text::printable;
use super::types::{ClusterAnswer, CredentialsAnswer, ListPage};
use super::{
    ApiToken, BaseUrl, Cluster, ConnectError, Error, ErrorKind, HttpService, IssuedCredential,
    Malformed, Meta, ResponseBody,
};

const JSON: &str = "application/json";
/// The documented type first, anything else after: DigitalOcean's own clients ask for JSON here.
const YAML: &str = "application/yaml, */*;q=0.1";

/// How much of a foreign text is logged, in characters.
const LONGEST_LOGGED: usize = 256;

/// The API of DigitalOcean Kubernetes. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    service: HttpService,
    base_url: BaseUrl,
    deadline: Duration,
}

/// A result and what its response said besides. `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The result.
    pub value: T,
    /// What the response said besides.
    pub meta: Meta,
}

/// A call of the API: what an error or a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `GET /v2/kubernetes/clusters`, one page.
    ListClusters,
    /// `GET /v2/kubernetes/clusters/{id}`.
    GetCluster,
    /// `GET /v2/kubernetes/clusters/{id}/kubeconfig`: mints a token.
    GetKubeconfig,
    /// `GET /v2/kubernetes/clusters/{id}/credentials`: mints a token.
    GetCredentials,
}

impl Operation {
    /// A stable name, for metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ListClusters => "list_clusters",
            Self::GetCluster => "get_cluster",
            Self::GetKubeconfig => "get_kubeconfig",
            Self::GetCredentials => "get_credentials",
        }
    }

    /// Whether every success makes a new token.
    #[must_use]
    pub fn mints(self) -> bool {
        matches!(self, Self::GetKubeconfig | Self::GetCredentials)
    }

    /// The scope that the API token needs for it.
    #[must_use]
    pub fn scope(self) -> &'static str {
        if self.mints() {
            "kubernetes:access_cluster"
        } else {
            "kubernetes:read"
        }
    }

    /// The longest body that is read, in bytes.
    fn body_limit(self) -> usize {
        match self {
            Self::ListClusters => 4 * 1024 * 1024,
            Self::GetCluster | Self::GetKubeconfig => crate::kubeconfig::MAX_BYTES,
            Self::GetCredentials => 64 * 1024,
        }
    }
}

/// What the call does, as a verb phrase.
impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ListClusters => "list clusters",
            Self::GetCluster => "read the cluster",
            Self::GetKubeconfig => "fetch the cluster's kubeconfig",
            Self::GetCredentials => "fetch the cluster's credentials",
        })
    }
}

impl Client {
    /// How long one request may take, connecting and the whole body included.
    pub const DEADLINE: Duration = Duration::from_secs(10);

    /// A client of the API at `base_url`, through `service`.
    #[must_use]
    pub fn new(service: HttpService, base_url: BaseUrl) -> Self {
        Self {
            service,
            base_url,
            deadline: Self::DEADLINE,
        }
    }

    /// The same client with another deadline than [`Self::DEADLINE`] for each request.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Where the API is.
    #[must_use]
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// All clusters of the account, each once: a request for every 200 of them, one after another.
    ///
    /// # Errors
    /// When a request fails or the list is not certain to be complete.
    pub async fn list_clusters(&self, token: &ApiToken) -> Result<Answer<Vec<Cluster>>, Error> {
        let mut listing = Listing::new();
        loop {
            if let Progress::Complete(clusters) = self.list_step(token, &mut listing).await? {
                return Ok(clusters);
            }
        }
    }

    /// One request of the list. [`Meta::requests`] counts those of the whole listing.
    ///
    /// # Errors
    /// When the request fails or the list is not certain to be complete. The listing is then
    /// of no more use.
    pub async fn list_step(
        &self,
        token: &ApiToken,
        listing: &mut Listing,
    ) -> Result<Progress, Error> {
        let operation = Operation::ListClusters;
        let path = format!("/v2/kubernetes/clusters?{}", listing.query());
        let fetched = self.fetch(operation, token, &path, JSON).await;
        let requests = listing.count_request();
        match fetched {
            Ok((body, mut meta)) => {
                meta.requests = requests;
                let page: ListPage = json(operation, &body, &meta)?;
                listing
                    .accept(page, meta.clone())
                    .map_err(|kind| failure(operation, kind, meta))
            }
            Err(error)
                if matches!(error.kind, ErrorKind::BodyTooLarge { .. }) && listing.shrink() =>
            {
                Ok(Progress::More)
            }
            Err(mut error) => {
                error.meta.requests = requests;
                Err(error)
            }
        }
    }

    /// The cluster of that id.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it is gone (or never was the account's); otherwise when the
    /// request fails.
    pub async fn get_cluster(&self, token: &ApiToken, id: &str) -> Result<Answer<Cluster>, Error> {
        let operation = Operation::GetCluster;
        let path = cluster_path(operation, id)?;
        let (body, meta) = self.fetch(operation, token, &path, JSON).await?;
        let answer: ClusterAnswer = json(operation, &body, &meta)?;
        match answer.cluster(id) {
            Ok(value) => Ok(Answer { value, meta }),
            Err(why) => Err(failure(operation, ErrorKind::Malformed(why), meta)),
        }
    }

    /// Mints a token: the kubeconfig of the cluster, with a token that lives `expiry_seconds`. The
    /// text is as DigitalOcean sent it; [`crate::kubeconfig::parse`] reads it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the cluster is gone or its credentials are not ready yet;
    /// otherwise when the request fails.
    pub async fn get_kubeconfig(
        &self,
        token: &ApiToken,
        id: &str,
        expiry_seconds: u32,
    ) -> Result<Answer<SecretString>, Error> {
        let operation = Operation::GetKubeconfig;
        let path = cluster_path(operation, id)?;
        // Without the type, a cluster with single sign-on answers with an exec plugin.
        let path = format!("{path}/kubeconfig?expiry_seconds={expiry_seconds}&type=token");
        let (body, meta) = self.fetch(operation, token, &path, YAML).await?;
        match std::str::from_utf8(&body) {
            Ok(text) => Ok(Answer {
                value: text.into(),
                meta,
            }),
            Err(_) => Err(failure(
                operation,
                ErrorKind::Malformed(Malformed::NotText),
                meta,
            )),
        }
    }

    /// Mints a token: the parts of the cluster's credential, with a token that lives
    /// `expiry_seconds` (which have no effect on a client certificate).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the cluster is gone or its credentials are not ready yet;
    /// otherwise when the request fails.
    pub async fn get_credentials(
        &self,
        token: &ApiToken,
        id: &str,
        expiry_seconds: u32,
    ) -> Result<Answer<IssuedCredential>, Error> {
        let operation = Operation::GetCredentials;
        let path = cluster_path(operation, id)?;
        let path = format!("{path}/credentials?expiry_seconds={expiry_seconds}");
        let (body, meta) = self.fetch(operation, token, &path, JSON).await?;
        let answer: CredentialsAnswer = json(operation, &body, &meta)?;
        match answer.issued() {
            Ok(value) => Ok(Answer { value, meta }),
            Err(why) => Err(failure(operation, ErrorKind::Malformed(why), meta)),
        }
    }

    /// The body of a 200.
    async fn fetch(
        &self,
        operation: Operation,
        token: &ApiToken,
        path: &str,
        accept: &str,
    ) -> Result<(Bytes, Meta), Error> {
        let deadline = Instant::now() + self.deadline;
        let unanswered = |kind| failure(operation, kind, Meta::unanswered());
        let request = self
            .request(operation, token, path, accept)
            .map_err(|error| {
                debug!(operation = operation.as_str(), %error, "no request could be built");
                unanswered(ErrorKind::InvalidClusterId)
            })?;
        let sent = timeout_at(deadline, self.service.clone().oneshot(request)).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(unanswered(broken(operation, &*error))),
            Err(_) => return Err(unanswered(ErrorKind::Timeout)),
        };
        let meta = Meta::of(response.headers());
        if response.status() != StatusCode::OK {
            return Err(refused(operation, token, response, meta, deadline).await);
        }
        let limit = operation.body_limit();
        match timeout_at(deadline, read(response.into_body(), limit)).await {
            Ok(Ok(body)) => Ok((body, meta)),
            Ok(Err(Unread::TooLong)) => {
                Err(failure(operation, ErrorKind::BodyTooLarge { limit }, meta))
            }
            Ok(Err(Unread::Broken(error))) => {
                log_chain(operation, &*error);
                Err(failure(operation, ErrorKind::Transport, meta))
            }
            Err(_) => Err(failure(operation, ErrorKind::Timeout, meta)),
        }
    }

    fn request(
        &self,
        operation: Operation,
        token: &ApiToken,
        path: &str,
        accept: &str,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        Request::get(format!("{}{path}", self.base_url))
            .header(AUTHORIZATION, token.authorization()?)
            .header(ACCEPT, accept)
            .header(USER_AGENT, super::USER_AGENT)
            .extension(operation)
            .body(Full::default())
    }
}

fn failure(operation: Operation, kind: ErrorKind, meta: Meta) -> Error {
    Error {
        kind,
        operation,
        meta: Box::new(meta),
    }
}

/// An id is a UUID today; what matters here is that it stays one segment of the path.
fn cluster_path(operation: Operation, id: &str) -> Result<String, Error> {
    let sound = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if sound {
        Ok(format!("/v2/kubernetes/clusters/{id}"))
    } else {
        Err(failure(
            operation,
            ErrorKind::InvalidClusterId,
            Meta::default(),
        ))
    }
}

/// Reads a body to its end, or to the first byte beyond `limit`. One that announces a greater
/// length is refused before any of it is read.
async fn read(body: ResponseBody, limit: usize) -> Result<Bytes, Unread> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Unread::TooLong);
    }
    // Without its type a future that awaits this can be sent: the compiler cannot see that of a body
    // whose error is a boxed one.
    let collected: BoxFuture<'static, Result<Collected<Bytes>, BoxError>> =
        Limited::new(body, limit).collect().boxed();
    match collected.await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Unread::TooLong),
        Err(error) => Err(Unread::Broken(error)),
    }
}

enum Unread {
    TooLong,
    Broken(BoxError),
}

fn json<T: DeserializeOwned>(operation: Operation, body: &[u8], meta: &Meta) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        // Not the error itself: it can quote a value, and so a secret.
        debug!(
            operation = operation.as_str(),
            line = error.line(),
            column = error.column(),
            category = ?error.classify(),
            "the answer is not the documented JSON"
        );
        let kind = ErrorKind::Malformed(Malformed::NotTheDocumentedJson);
        failure(operation, kind, meta.clone())
    })
}

/// Of a request without response.
fn broken(operation: Operation, error: &(dyn std::error::Error + 'static)) -> ErrorKind {
    log_chain(operation, error);
    let mut chain = std::iter::successors(Some(error), |error| error.source());
    if chain.any(<dyn std::error::Error>::is::<ConnectError>) {
        ErrorKind::Connect
    } else {
        ErrorKind::Transport
    }
}

fn log_chain(operation: Operation, error: &(dyn std::error::Error + 'static)) {
    let chain: Vec<String> = std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect();
    debug!(
        operation = operation.as_str(),
        error = printable(&chain.join(": "), LONGEST_LOGGED),
        "the request got no complete response"
    );
}

/// The error that a response's status says. Its body is read for the log and the request id alone,
/// and briefly: one that is long, broken or never ends changes nothing.
async fn refused(
    operation: Operation,
    token: &ApiToken,
    response: Response<ResponseBody>,
    mut meta: Meta,
    deadline: Instant,
) -> Error {
    let status = response.status();
    let within = deadline.min(Instant::now() + Duration::from_secs(1));
    let body = match timeout_at(within, read(response.into_body(), 4096)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) | Err(_) => Bytes::new(),
    };
    if meta.request_id.is_none() {
        meta.request_id = serde_json::from_slice::<ErrorBody>(&body)
            .ok()
            .and_then(|body| request_id(&body.request_id?));
    }
    debug!(
        operation = operation.as_str(),
        status = status.as_u16(),
        request_id = meta.request_id,
        body = loggable(status, token, &body),
        "the API refused the request"
    );
    failure(operation, ErrorKind::of(status, meta.retry_after), meta)
}

/// What a refusal's body may tell the log.
fn loggable(status: StatusCode, token: &ApiToken, body: &[u8]) -> Option<String> {
    // A success that is no 200 (a proxy's 203) refuses nothing: a credential may be in it.
    if status.is_success() {
        return None;
    }
    // A proxy can echo the request, so the token is taken out.
    let text = String::from_utf8_lossy(body).replace(token.secret().expose_secret(), "[REDACTED]");
    Some(printable(&text, LONGEST_LOGGED))
}

#[derive(Deserialize)]
struct ErrorBody {
    request_id: Option<String>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("base_url", &self.base_url.as_str())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
