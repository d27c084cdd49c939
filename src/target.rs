//! Verification: does the cluster itself accept a credential? The second door to the outside.
//!
//! [`Verifier::review`] asks the cluster who the credential's owner is (a SelfSubjectReview),
//! trusting the credential's certificate authority alone, as any consumer of the published Secret
//! would. The answer separates what is the credential's fault ([`Verdict::Rejected`]) from what
//! may be anybody's ([`Verdict::Unreachable`]): only the former says something about it.

mod service;
mod tls;
mod verdict;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Collected, Full, LengthLimitError, Limited};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use secrecy::ExposeSecret;
use tokio::time::timeout;
use tower::{BoxError, ServiceExt};
use tracing::debug;

use crate::credential::{Authentication, Credential};

pub use service::{
    ResponseBody, Session, TargetError, TargetRequest, TargetService, boxed_service,
    production_service,
};
pub use tls::TlsFailure;
pub use verdict::{Rejection, Unreachability, Verdict};

/// Asks clusters whether they accept a credential. Cheap to clone.
#[derive(Clone)]
pub struct Verifier {
    service: TargetService,
}

/// The longest answer that is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

impl Verifier {
    /// How long a review may take, connecting included.
    pub const DEADLINE: Duration = Duration::from_secs(5);

    /// A verifier that reaches clusters through `service`.
    #[must_use]
    pub fn new(service: TargetService) -> Self {
        Self { service }
    }

    /// Asks the credential's server once. The credential goes nowhere else: whether the server is
    /// the cluster's endpoint is to be checked before ([`Credential::check_endpoint`]).
    pub async fn review(&self, credential: &Credential) -> Verdict {
        self.review_within(credential, Session::default()).await
    }

    /// Asks about two credentials, which usually are for one cluster: then the second question takes the
    /// connection of the first, and is spared where there was none.
    pub async fn review_both(&self, one: &Credential, two: &Credential) -> (Verdict, Verdict) {
        if !can_share_session(one, two) {
            return futures::join!(self.review(one), self.review(two));
        }
        let session = Session::default();
        let first = self.review_within(one, session.clone()).await;
        let second = match &first {
            Verdict::Unreachable(Unreachability::Timeout | Unreachability::Connect) => {
                first.clone()
            }
            _ => match self.review_within(two, session).await {
                // The server may have closed the connection in between.
                Verdict::Unreachable(Unreachability::Connection) => self.review(two).await,
                second => second,
            },
        };
        (first, second)
    }

    async fn review_within(&self, credential: &Credential, session: Session) -> Verdict {
        match timeout(Self::DEADLINE, self.exchange(credential, session)).await {
            Ok(verdict) => verdict,
            Err(_) => Verdict::Unreachable(Unreachability::Timeout),
        }
    }

    async fn exchange(&self, credential: &Credential, session: Session) -> Verdict {
        let request = match request(credential, session) {
            Ok(request) => request,
            Err(error) => {
                debug!(%error, "no review could be built");
                return Verdict::Unreachable(Unreachability::Unsendable);
            }
        };
        let response = match self.service.clone().oneshot(request).await {
            Ok(response) => response,
            Err(TargetError::Tls(why)) => return Verdict::Rejected(Rejection::Tls(why)),
            Err(TargetError::Unreachable(why)) => return Verdict::Unreachable(why),
        };
        match response.status() {
            StatusCode::OK | StatusCode::CREATED => reviewed(response).await,
            StatusCode::UNAUTHORIZED => Verdict::Rejected(Rejection::Unauthorized),
            status => Verdict::Unreachable(Unreachability::Status(status)),
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Verifier").finish_non_exhaustive()
    }
}

/// Whether both are tokens for the same server under the same authority.
fn can_share_session(one: &Credential, two: &Credential) -> bool {
    let is_token =
        |credential: &Credential| matches!(credential.authentication(), Authentication::Token(_));
    one.server() == two.server()
        && one.certificate_authority_pem() == two.certificate_authority_pem()
        && is_token(one)
        && is_token(two)
}

fn request(credential: &Credential, session: Session) -> Result<TargetRequest, http::Error> {
    const PATH: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    const REVIEW: &str = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
    let mut request = Request::post(format!(
        "{}{PATH}",
        credential.server().trim_end_matches('/')
    ))
    .header(ACCEPT, "application/json")
    .header(CONTENT_TYPE, "application/json");
    if let Authentication::Token(token) = credential.authentication() {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    Ok(TargetRequest {
        certificate_authority_pem: credential.certificate_authority_pem().to_owned(),
        authentication: credential.authentication().clone(),
        request: request.body(Full::from(REVIEW))?,
        session,
    })
}

/// Who a review says that the credential's owner is.
async fn reviewed(response: Response<ResponseBody>) -> Verdict {
    let body = match read(response.into_body()).await {
        Ok(body) => body,
        Err(why) => return Verdict::Unreachable(why),
    };
    let user = serde_json::from_slice::<SelfSubjectReview>(&body)
        .ok()
        .and_then(|review| review.status?.user_info);
    let Some((username, groups)) = user.and_then(|user| Some((user.username?, user.groups))) else {
        return Verdict::Unreachable(Unreachability::NotAReview);
    };
    let groups = groups.unwrap_or_default();
    if username == "system:anonymous"
        || groups.iter().any(|group| group == "system:unauthenticated")
    {
        // The server took no notice of the credential at all.
        return Verdict::Rejected(Rejection::Anonymous);
    }
    Verdict::Accepted { username, groups }
}

async fn read(body: ResponseBody) -> Result<Bytes, Unreachability> {
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(Unreachability::NotAReview);
    }
    // Without its type a future that awaits this can be sent: the compiler cannot see that of a body
    // whose error is a boxed one.
    let collected: BoxFuture<'static, Result<Collected<Bytes>, BoxError>> =
        Limited::new(body, BODY_LIMIT).collect().boxed();
    match collected.await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Unreachability::NotAReview),
        Err(_) => Err(Unreachability::Connection),
    }
}

#[cfg(test)]
mod tests;
