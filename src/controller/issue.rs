//! Issuing: one renewal of a credential, whatever number of calls it takes. Each call mints a token
//! that cannot be revoked, so an answer that was got is never asked for again.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use tracing::debug;

use super::context::Context;
use super::memory::{Draft, Expiry, HeldCredential, Minted};
use super::subject::Subject;
use crate::api::{KubeconfigSource, Reason};
use crate::credential::{Authentication, Credential, CredentialError};
use crate::digitalocean::{self, ApiToken, Cluster, Error, ErrorKind, IssuedCredential, Meta};
use crate::kubeconfig::{self, ContextName, Kubeconfig};
use crate::lookup::facts;
use crate::outputs::{Facts, Material, format_of};
use crate::redaction::Registration;
use crate::rotation::{EpochSeconds, Issue, IssueReason};

/// Largest difference between DigitalOcean's clock and ours that is taken for one, in seconds: a
/// larger one means that the header is wrong.
const LARGEST_SKEW_SECONDS: i64 = 48 * 3600;

/// Why there is no credential.
#[derive(Debug)]
pub(super) enum IssueError {
    /// A call failed.
    Call(Error),
    /// The answer cannot be used.
    Invalid {
        /// Stable text: what is wrong with it.
        why: String,
    },
}

impl From<Error> for IssueError {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl IssueError {
    fn invalid(why: impl fmt::Display) -> Self {
        Self::Invalid {
            why: why.to_string(),
        }
    }
}

/// What a failed call means for the access.
#[must_use]
pub(super) fn reason_of(error: &Error) -> Reason {
    match error.kind {
        ErrorKind::Unauthorized => Reason::Unauthorized,
        ErrorKind::Forbidden => Reason::Forbidden,
        ErrorKind::NotFound => Reason::ClusterNotFound,
        ErrorKind::RateLimited { .. } => Reason::RateLimited,
        ErrorKind::ServerError(_)
        | ErrorKind::Connect
        | ErrorKind::Transport
        | ErrorKind::Timeout => Reason::ApiUnavailable,
        _ => Reason::ApiResponseInvalid,
    }
}

fn needs_kubeconfig(subject: &Subject) -> bool {
    let mut outputs = subject.outputs.iter();
    outputs.any(|output| format_of(output.format).holds_kubeconfig(output))
}

fn fetches_kubeconfig(subject: &Subject) -> bool {
    subject.access.spec.kubeconfig_source == KubeconfigSource::DigitalOcean
        && needs_kubeconfig(subject)
}

/// How many calls an issue still has to make.
pub(super) fn missing_calls(subject: &Subject, draft: &Draft) -> u32 {
    u32::from(draft.credentials.is_none())
        + u32::from(fetches_kubeconfig(subject) && draft.kubeconfig.is_none())
}

/// Makes the calls of an issue that `draft` lacks. What they answer goes into `draft`, so that only
/// the call that failed is made again.
///
/// # Errors
/// When a call fails or its answer cannot be used.
pub(super) async fn mint(
    context: &Context,
    subject: &Subject,
    token: &ApiToken,
    cluster: &Cluster,
    reason: IssueReason,
    draft: &mut Draft,
) -> Result<HeldCredential, IssueError> {
    let needs_kubeconfig = needs_kubeconfig(subject);
    let fetches_kubeconfig = fetches_kubeconfig(subject);
    let calls = Calls {
        context,
        token,
        cluster,
        subject,
        reason,
    };
    let missing_credentials = draft.credentials.is_none();
    let missing_kubeconfig = fetches_kubeconfig && draft.kubeconfig.is_none();
    let (credentials, kubeconfig) = futures::join!(
        async {
            if missing_credentials {
                Some(calls.credentials().await)
            } else {
                None
            }
        },
        async {
            if missing_kubeconfig {
                Some(calls.kubeconfig().await)
            } else {
                None
            }
        },
    );
    let mut failed = None;
    match credentials {
        Some(Ok(answer)) => draft.credentials = Some(answer),
        Some(Err(error)) => failed = Some(error),
        None => {}
    }
    match kubeconfig {
        Some(Ok(answer)) => draft.kubeconfig = Some(answer),
        Some(Err(error)) => failed = failed.or(Some(error)),
        None => {}
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let Some(credentials) = draft.credentials.clone() else {
        return Err(IssueError::invalid("no credential was issued"));
    };
    let fetched = draft.kubeconfig.clone().filter(|_| fetches_kubeconfig);
    Ok(calls.assemble(credentials, fetched, needs_kubeconfig))
}

struct Calls<'a> {
    context: &'a Context,
    token: &'a ApiToken,
    cluster: &'a Cluster,
    subject: &'a Subject,
    reason: IssueReason,
}

impl Calls<'_> {
    async fn credentials(&self) -> Result<Minted<IssuedCredential>, IssueError> {
        let requested_at = self.context.clock.now_seconds();
        let call = self.context.digitalocean.get_credentials(
            self.token,
            &self.cluster.id,
            self.expiry_seconds(),
        );
        let answer = self
            .observed(digitalocean::Operation::GetCredentials, call)
            .await?;
        let registration = self.register(&answer.value.credential);
        self.check_endpoint(&answer.value.credential)
            .map_err(IssueError::invalid)?;
        let known = answer.value.expires_at;
        let expiry = self.expiry(&answer.value.credential, known, requested_at, &answer.meta)?;
        Ok(Minted {
            value: answer.value,
            expiry,
            registration,
        })
    }

    async fn kubeconfig(&self) -> Result<Minted<Kubeconfig>, IssueError> {
        let requested_at = self.context.clock.now_seconds();
        let call = self.context.digitalocean.get_kubeconfig(
            self.token,
            &self.cluster.id,
            self.expiry_seconds(),
        );
        let answer = self
            .observed(digitalocean::Operation::GetKubeconfig, call)
            .await?;
        let kubeconfig =
            kubeconfig::parse(answer.value.expose_secret()).map_err(IssueError::invalid)?;
        let registration = self.register(kubeconfig.credential());
        self.check_endpoint(kubeconfig.credential())
            .map_err(|why| IssueError::invalid(format!("the kubeconfig cannot be used: {why}")))?;
        let expiry = self.expiry(kubeconfig.credential(), None, requested_at, &answer.meta)?;
        Ok(Minted {
            value: kubeconfig,
            expiry,
            registration,
        })
    }

    fn register(&self, credential: &Credential) -> Arc<Registration> {
        let secret = match credential.authentication() {
            Authentication::Token(token) => token,
            Authentication::Certificate { key_pem, .. } => key_pem,
        };
        Arc::new(self.context.redaction.register(secret.expose_secret()))
    }

    async fn observed<T>(
        &self,
        operation: digitalocean::Operation,
        call: impl Future<Output = Result<digitalocean::Answer<T>, Error>>,
    ) -> Result<digitalocean::Answer<T>, Error> {
        let answer = self.context.metrics.time_call(operation, call).await;
        let meta = match &answer {
            Ok(answer) => &answer.meta,
            Err(error) => &error.meta,
        };
        let now = self.context.steady_millis();
        if let Some(account) = self.context.tokens().account_of(self.token.fingerprint()) {
            account.note_limits(meta, now);
        }
        match &answer {
            Ok(answer) => {
                self.context.metrics.count_mint(self.reason);
                debug!(%operation, request_id = ?answer.meta.request_id, "minted");
            }
            Err(error) => {
                debug!(%operation, request_id = ?error.meta.request_id, %error, "call failed");
            }
        }
        answer
    }

    fn check_endpoint(&self, credential: &Credential) -> Result<(), CredentialError> {
        // A cluster need not say where it is; then it is where DigitalOcean documents it to be.
        let documented = || format!("https://{}.k8s.ondigitalocean.com", self.cluster.id);
        let endpoint = self.cluster.endpoint.clone().unwrap_or_else(documented);
        credential.check_endpoint(&endpoint)
    }

    fn expiry_seconds(&self) -> u32 {
        u32::try_from(self.subject.access.spec.effective_expiry_seconds()).unwrap_or(u32::MAX)
    }

    /// The least of what is known of the end of a credential, by our clock.
    ///
    /// DigitalOcean's clock at the answer turns its instants into spans; counted from our clock at
    /// the request, the two clocks' difference cancels out.
    fn expiry(
        &self,
        credential: &Credential,
        known: Option<Timestamp>,
        requested_at: EpochSeconds,
        meta: &Meta,
    ) -> Result<Expiry, IssueError> {
        let their_now = meta
            .date
            .map(Timestamp::as_second)
            .filter(|date| (date - requested_at).abs() <= LARGEST_SKEW_SECONDS)
            .unwrap_or(requested_at);
        let by_our_clock = |instant: Timestamp| requested_at + (instant.as_second() - their_now);
        // The lifetime that was asked for has no effect on a client certificate.
        let is_token = matches!(credential.authentication(), Authentication::Token(_));
        let asked_for =
            (is_token && known.is_none()).then(|| requested_at + i64::from(self.expiry_seconds()));
        let ends = [
            known.map(by_our_clock),
            credential.not_after().map(by_our_clock),
            asked_for,
        ];
        match ends.into_iter().flatten().min() {
            Some(expires_at) if expires_at > requested_at => Ok(Expiry {
                requested_at,
                expires_at,
            }),
            Some(_) => Err(IssueError::invalid(
                "the new credential has expired already",
            )),
            None => Err(IssueError::invalid(
                "the new credential does not say when it expires",
            )),
        }
    }

    fn assemble(
        &self,
        credentials: Minted<IssuedCredential>,
        fetched: Option<Minted<Kubeconfig>>,
        needs_kubeconfig: bool,
    ) -> HeldCredential {
        let (issued, expiry) = (credentials.value, credentials.expiry);
        let other = fetched.as_ref().map_or(expiry, |fetched| fetched.expiry);
        let issued_at = expiry.requested_at.min(other.requested_at);
        let expires_at = expiry.expires_at.min(other.expires_at);
        let registrations = fetched
            .iter()
            .map(|fetched| fetched.registration.clone())
            .chain([credentials.registration])
            .collect();
        let kubeconfig = fetched.map(|fetched| fetched.value);
        let name = ContextName::new(&self.cluster.region, &self.cluster.name);
        let source = kubeconfig
            .as_ref()
            .map_or(&issued.credential, Kubeconfig::credential);
        let document = needs_kubeconfig.then(|| kubeconfig::render(&name, source));
        let material = Material {
            issue: Issue {
                issued_at,
                expires_at,
                cluster_id: self.cluster.id.to_ascii_lowercase(),
                issue_hash: self.subject.wanted.issue_hash.clone(),
                rotate: self.subject.wanted.rotate.clone(),
            },
            credential: issued.credential,
            kubeconfig: document,
        };
        HeldCredential {
            material,
            kubeconfig,
            reason: self.reason,
            not_before: 0,
            rejections: 0,
            verification: None,
            cluster: facts(self.cluster),
            facts: Facts::of(self.cluster),
            registrations,
        }
    }
}
