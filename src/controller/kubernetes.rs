//! The management cluster's API server: the third door to the outside. Every call has a deadline and
//! is made once; when to try again is decided elsewhere.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{
    Api, DeleteParams, GetParams, Patch, PatchParams, PostParams, Preconditions, Request,
};
use kube::{Client, Resource};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::events::WaitingEvent;
use super::outage::Outage;
use super::watched::Watched;
use crate::api::{DOAccount, DOAccountStatus, DOClusterAccess, DOClusterAccessStatus};
use crate::outputs::{DesiredSecret, FIELD_MANAGER, FoundMetadata, FoundSecret};

/// How long a connection may be silent, a watch's included: a peer that vanished is noticed so. An API
/// server tells an idle watch every minute how far it is.
pub const READ_TIMEOUT: Duration = Duration::from_secs(150);

/// How long a probe may take: another one follows soon.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);
/// Name of a Secret that nobody has.
const PROBED_SECRET: &str = "do-cluster-access-probe";

/// How long one request may take, the body included.
const DEADLINE: Duration = Duration::from_secs(10);

/// `resourceVersion` that no object has: an apply with it creates, or conflicts with whatever is
/// there, even when it is forced.
const NEVER_A_VERSION: &str = "1";

/// A request that did not succeed.
#[derive(Debug)]
pub struct ApiError {
    /// What that means for us.
    pub kind: ApiErrorKind,
    message: String,
}

/// What a failed request means for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiErrorKind {
    /// 404.
    NotFound,
    /// A precondition does not hold any more: what we saw is not what is there.
    Conflict,
    /// The API server understood and refused: the status code.
    Refused(u16),
    /// No answer, or none that tells whether the request took effect.
    Unavailable,
}

impl fmt::Display for ApiError {
    /// For the log: an API server's message may hold counts and names.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        let kind = match &error {
            kube::Error::Api(status) => match status.code {
                404 => ApiErrorKind::NotFound,
                409 => ApiErrorKind::Conflict,
                429 | 500.. => ApiErrorKind::Unavailable,
                code => ApiErrorKind::Refused(code),
            },
            _ => ApiErrorKind::Unavailable,
        };
        Self {
            kind,
            message: error.to_string(),
        }
    }
}

/// The requests that the operator makes.
#[derive(Clone)]
pub struct Kubernetes {
    client: Client,
    /// Whether the API server answers.
    pub(super) outage: Outage,
}

/// The object in an answer to a write of ours.
fn decoded<K>(written: Watched<K>) -> Result<K, ApiError> {
    written.0.map_err(|undecodable| ApiError {
        kind: ApiErrorKind::Unavailable,
        message: undecodable.error,
    })
}

/// Whether a failure may be the API server's, and not that of one request: no answer, or 5xx.
fn is_outage(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code >= 500,
        kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => false,
        _ => true,
    }
}

impl Kubernetes {
    /// Through `client`, which must not retry by itself.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            outage: Outage::default(),
        }
    }

    /// The client, for watches.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Reads a Secret; `None` where there is none.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub async fn read_secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<FoundSecret>, ApiError> {
        let path = Secret::url_path(&(), Some(namespace));
        let request = Request::new(path)
            .get(name, &GetParams::default())
            .map_err(kube::Error::BuildRequest)?;
        let text = match self
            .within_deadline(self.client.request_text(request))
            .await
        {
            Ok(text) => text,
            Err(error) if error.kind == ApiErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Decoded here: where it cannot be, kube logs the whole answer, and serde quotes from it.
        let secret: Secret = serde_json::from_str(&text).map_err(|_| ApiError {
            kind: ApiErrorKind::Unavailable,
            message: "the API server's answer is not a Secret".to_string(),
        })?;
        Ok(FoundSecret::new(secret))
    }

    /// Creates `desired`, or conflicts with whatever has that name.
    ///
    /// # Errors
    /// [`ApiErrorKind::Conflict`] where there is such a Secret; otherwise as for any write.
    pub async fn create_secret(&self, desired: &DesiredSecret) -> Result<FoundMetadata, ApiError> {
        self.apply(desired, &[("resourceVersion", NEVER_A_VERSION)])
            .await
    }

    /// Updates the Secret that was `found`, in place.
    ///
    /// # Errors
    /// [`ApiErrorKind::Conflict`] where it is not there any more, is another one or has changed;
    /// otherwise as for any write.
    pub async fn update_secret(
        &self,
        desired: &DesiredSecret,
        found: &FoundMetadata,
    ) -> Result<FoundMetadata, ApiError> {
        let preconditions = [
            ("uid", found.uid.as_str()),
            ("resourceVersion", found.resource_version.as_str()),
        ];
        self.apply(desired, &preconditions)
            .await
            .map_err(|mut error| {
                // With the uid of an object that is gone, an apply is an invalid creation.
                if error.kind == ApiErrorKind::NotFound {
                    error.kind = ApiErrorKind::Conflict;
                }
                error
            })
    }

    async fn apply(
        &self,
        desired: &DesiredSecret,
        preconditions: &[(&str, &str)],
    ) -> Result<FoundMetadata, ApiError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &desired.namespace);
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(desired.apply_body(preconditions));
        let applied = self
            .within_deadline(secrets.patch_metadata(&desired.name, &parameters, &patch))
            .await?;
        FoundMetadata::new(&applied.metadata).ok_or_else(|| ApiError {
            kind: ApiErrorKind::Unavailable,
            message: "the API server answered a write without uid or resourceVersion".to_string(),
        })
    }

    /// Deletes exactly the Secret that was `found`.
    ///
    /// # Errors
    /// [`ApiErrorKind::Conflict`] where it has changed; otherwise as for any write. That it is gone
    /// already is no error.
    pub async fn delete_secret(&self, found: &FoundMetadata) -> Result<(), ApiError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &found.namespace);
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(found.uid.clone()),
                resource_version: Some(found.resource_version.clone()),
            }),
            ..DeleteParams::background()
        };
        match self
            .within_deadline(secrets.delete(&found.name, &parameters))
            .await
        {
            Err(error) if error.kind != ApiErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes the whole status of this version of the access. A namesake is not touched: its version is
    /// another one. (Its UID says nothing here: an API server that writes a status takes all metadata
    /// from the object that is there.)
    ///
    /// # Errors
    /// [`ApiErrorKind::Conflict`] where it has changed; otherwise as for any write.
    pub async fn apply_status(
        &self,
        access: &DOClusterAccess,
        status: &DOClusterAccessStatus,
    ) -> Result<DOClusterAccess, ApiError> {
        let metadata = &access.metadata;
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let name = metadata.name.as_deref().unwrap_or_default();
        let accesses: Api<Watched<DOClusterAccess>> =
            Api::namespaced(self.client.clone(), namespace);
        let body = json!({
            "apiVersion": "doclusteraccess.dev/v1alpha1",
            "kind": "DOClusterAccess",
            "metadata": {
                "namespace": namespace,
                "name": name,
                "resourceVersion": metadata.resource_version,
            },
            "status": status,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        self.within_deadline(accesses.patch_status(name, &parameters, &Patch::Apply::<Value>(body)))
            .await
            .and_then(decoded)
    }

    /// Writes the whole status of this version of the account.
    ///
    /// # Errors
    /// [`ApiErrorKind::Conflict`] where it has changed; otherwise as for any write.
    pub async fn apply_account_status(
        &self,
        account: &DOAccount,
        status: &DOAccountStatus,
    ) -> Result<DOAccount, ApiError> {
        let name = account.metadata.name.as_deref().unwrap_or_default();
        let accounts: Api<Watched<DOAccount>> = Api::all(self.client.clone());
        let body = json!({
            "apiVersion": "doclusteraccess.dev/v1alpha1",
            "kind": "DOAccount",
            "metadata": { "name": name, "resourceVersion": account.metadata.resource_version },
            "status": status,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        self.within_deadline(accounts.patch_status(name, &parameters, &Patch::Apply::<Value>(body)))
            .await
            .and_then(decoded)
    }

    /// Whether the API server answers: the probe of an outage. It asks for a Secret that nobody has, as
    /// every run asks for Secrets, and takes any answer but a failure of the API server's own.
    pub(super) async fn answers(&self, namespace: &str) -> bool {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let probe = secrets.get_metadata_opt(PROBED_SECRET);
        match timeout(PROBE_DEADLINE, probe).await {
            Ok(Err(error)) => !is_outage(&error),
            Ok(Ok(_)) => true,
            Err(_) => false,
        }
    }

    /// The request's answer within its deadline. Where there is none, an outage is suspected; in an outage
    /// nothing is sent.
    async fn within_deadline<T>(
        &self,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ApiError> {
        let unavailable = |message: String| ApiError {
            kind: ApiErrorKind::Unavailable,
            message,
        };
        if self.outage.is_confirmed() {
            return Err(unavailable(
                "the API server does not answer: nothing is asked".to_string(),
            ));
        }
        if let Ok(answer) = timeout(DEADLINE, request).await {
            if answer.as_ref().is_err_and(is_outage) {
                self.outage.suspect();
            }
            answer.map_err(ApiError::from)
        } else {
            self.outage.suspect();
            Err(unavailable(format!(
                "the API server did not answer within {} s",
                DEADLINE.as_secs()
            )))
        }
    }

    /// Creates an event.
    ///
    /// # Errors
    /// As for any write.
    pub(super) async fn create_event(&self, event: WaitingEvent) -> Result<(), ApiError> {
        let request = Request::new(Event::url_path(&(), Some(&event.namespace)))
            .create(&PostParams::default(), event.body.into())
            .map_err(kube::Error::BuildRequest)?;
        // What it answers is the event again.
        self.within_deadline(self.client.request_text(request))
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use do_cluster_access_testbed::api_server::ApiServer;
    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

    use super::*;
    use crate::credential::fixtures::{TOKEN, capture_log};

    fn access() -> DOClusterAccess {
        let spec = json!({"cluster": {"name": "prod"}});
        let mut access = DOClusterAccess::new("prod", serde_json::from_value(spec).unwrap());
        access.metadata.namespace = Some("team-a".to_string());
        access
    }

    #[tokio::test]
    async fn a_secret_whose_answer_is_cut_short_is_not_logged() {
        let token = BASE64_STANDARD.encode(TOKEN);
        let answer = format!(r#"{{"kind":"Secret","data":{{"token":"{token}"}},"meta"#);
        for answer in [answer.clone(), answer.replace("\"data\":{", "\"data\":[")] {
            let respond = service_fn(move |_: http::Request<Body>| {
                let answer = answer.clone();
                async move { Ok::<_, Infallible>(http::Response::new(Body::from(answer.into_bytes()))) }
            });
            let kubernetes = Kubernetes::new(Client::new(respond, "default"));
            let (log, guard) = capture_log();
            let error = kubernetes.read_secret("team-a", "digitalocean").await;
            drop(guard);
            let error = error.unwrap_err();
            assert_eq!(error.kind, ApiErrorKind::Unavailable);
            let shown = format!("{error} {error:?} {}", log.text());
            assert!(!shown.contains(&token), "{shown}");
        }
    }

    #[tokio::test]
    async fn a_probe_that_is_refused_is_answered() {
        for (code, answers) in [
            (403, true),
            (404, true),
            (429, true),
            (500, false),
            (503, false),
        ] {
            let respond = service_fn(move |_: http::Request<Body>| async move {
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code});
                let body = Body::from(status.to_string().into_bytes());
                Ok::<_, Infallible>(http::Response::builder().status(code).body(body).unwrap())
            });
            let kubernetes = Kubernetes::new(Client::new(respond, "default"));
            assert_eq!(kubernetes.answers("operators").await, answers, "{code}");
        }
    }

    #[tokio::test]
    async fn the_status_of_an_access_that_was_made_again_meanwhile_is_not_written() {
        let server = ApiServer::new(|| jiff::Timestamp::UNIX_EPOCH, 1);
        server.create_namespace("team-a");
        let accesses: Api<DOClusterAccess> = Api::namespaced(server.client(), "team-a");
        let create = async || {
            accesses
                .create(&PostParams::default(), &access())
                .await
                .unwrap()
        };
        let kubernetes = Kubernetes::new(server.client());
        let status = DOClusterAccessStatus {
            last_rotate_request: Some("1".to_string()),
            ..DOClusterAccessStatus::default()
        };
        let first = create().await;
        let written = kubernetes.apply_status(&first, &status).await.unwrap();
        assert_eq!(
            written.status.unwrap().last_rotate_request,
            status.last_rotate_request
        );
        accesses
            .delete("prod", &DeleteParams::default())
            .await
            .unwrap();
        let gone = kubernetes.apply_status(&first, &status).await.unwrap_err();
        assert_eq!(gone.kind, ApiErrorKind::NotFound);

        create().await;
        let other = kubernetes.apply_status(&first, &status).await.unwrap_err();
        assert_eq!(other.kind, ApiErrorKind::Conflict);
        let namesake = accesses.get("prod").await.unwrap();
        assert_eq!(
            namesake.status.unwrap_or_default().last_rotate_request,
            None
        );
    }
}
