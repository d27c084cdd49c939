//! Faults: what goes wrong, for which requests, and how often.

use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::call::Operation;
use super::limits::LimitWindow;
use super::randomness::Randomness;

/// Something that goes wrong. A request meets at most one fault of each [stage](FaultKind::stage): of those that match
/// it, the one that was injected first.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which requests; absent: every one.
    #[serde(default)]
    pub matches: FaultMatch,
    /// What happens to them.
    pub kind: FaultKind,
    /// How often; absent: until it is cleared. Only requests that it changed are counted.
    #[serde(default)]
    pub times: Option<u32>,
    /// The share of the matching requests that it hits, from 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
}

fn always() -> f64 {
    1.0
}

impl Fault {
    /// A fault that hits every request, for ever.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self {
            matches: FaultMatch::default(),
            kind,
            times: None,
            probability: always(),
        }
    }

    /// What would keep it from being sent as it is written, if anything.
    pub(crate) fn defect(&self) -> Option<String> {
        let status = match &self.kind {
            FaultKind::Status { code, .. } | FaultKind::Redirect { code, .. } => Some(*code),
            _ => None,
        };
        let header = match &self.kind {
            FaultKind::Status { retry_after, .. } | FaultKind::RateLimit { retry_after, .. } => {
                retry_after.as_ref()
            }
            FaultKind::Redirect { location, .. } => Some(location),
            FaultKind::ContentType(value) => Some(value),
            _ => None,
        };
        if let Some(code) = status.filter(|code| !(200..=599).contains(code)) {
            return Some(format!("{code} is no final HTTP status code"));
        }
        if let Some(value) = header.filter(|value| HeaderValue::from_str(value).is_err()) {
            return Some(format!("{value:?} cannot be the value of a header"));
        }
        (!(0.0..=1.0).contains(&self.probability))
            .then(|| format!("probability {} is not from 0 to 1", self.probability))
    }

    /// The same for one operation alone.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.matches.operation = Some(operation);
        self
    }

    /// The same for requests about one cluster alone.
    #[must_use]
    pub fn of_cluster(mut self, id: &str) -> Self {
        self.matches.cluster = Some(id.to_owned());
        self
    }

    /// The same so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

/// Which requests a fault concerns: those that match every given field.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultMatch {
    /// Label of the account that the API token belongs to.
    pub account: Option<String>,
    /// One operation.
    pub operation: Option<Operation>,
    /// Requests about this cluster (the list is about none).
    pub cluster: Option<String>,
    /// This page of the list.
    pub page: Option<u64>,
}

/// What goes wrong.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The connection is reset.
    ConnectionReset(Moment),
    /// No answer ever comes; the connection stays open.
    Hang(Moment),
    /// Another status, and nothing is minted. From 502 on it comes from the gateway: without `ratelimit-*` headers.
    Status {
        /// The HTTP status code.
        code: u16,
        /// What is in the body.
        #[serde(default)]
        body: ErrorBody,
        /// Header `retry-after`, as it is to be sent.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// 429, as if another user of the API token had exhausted it.
    RateLimit {
        /// Which limit. `minute` sends `retry-after: 30` unless told otherwise.
        window: LimitWindow,
        /// Header `retry-after`, as it is to be sent.
        #[serde(default)]
        retry_after: Option<String>,
        /// `ratelimit-reset`, in seconds from now; negative is in the past.
        #[serde(default = "a_minute")]
        reset_seconds: i64,
    },
    /// A redirect, and nothing is minted.
    Redirect {
        /// The status code; 302 unless told otherwise.
        #[serde(default = "found")]
        code: u16,
        /// Header `location`.
        location: String,
    },
    /// `expires_at` of the credentials.
    ExpiresAt(ExpiresAt),
    /// Another `server` in credentials and kubeconfig.
    Server(String),
    /// The cluster's own `server`, with http instead of https.
    PlainHttpServer,
    /// What stands in the place of the certificate authority, in credentials and kubeconfig.
    CertificateAuthority(BrokenAuthority),
    /// Credentials without token, client certificate and key.
    NoCredential,
    /// A kubeconfig that must not end up in a Secret.
    Kubeconfig(KubeconfigDefect),
    /// `links.pages.next` and `last` of the list lead to another host (scheme and host, without path).
    ForeignNextLink(String),
    /// The list page holds so many clusters fewer than it should; `meta.total` stays.
    ShortPage(usize),
    /// JSON or YAML that ends in the middle, in an answer that is complete as HTTP.
    TruncatedDocument,
    /// The connection closes before the announced length is reached.
    TruncatedBody,
    /// Another `content-type`.
    ContentType(String),
    /// Padded to so many bytes with blanks or comments: well formed, just too big.
    Oversize {
        /// The length of the body.
        #[serde(default = "ten_megabytes")]
        bytes: usize,
        /// Without `content-length`.
        #[serde(default)]
        chunked: bool,
    },
    /// The answer comes so many milliseconds later.
    Delay(u64),
    /// The header `date` is off by so many seconds.
    DateSkew(i64),
}

fn a_minute() -> i64 {
    60
}

fn found() -> u16 {
    302
}

fn ten_megabytes() -> usize {
    10 * 1024 * 1024
}

/// When it happens.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before the request had any effect.
    BeforeEffect,
    /// After a credential was minted: the response is lost.
    AfterEffect,
}

/// What an error's body holds.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorBody {
    /// DigitalOcean's error object.
    #[default]
    Json,
    /// A page of the proxy in front.
    Html,
    /// Nothing.
    Empty,
}

/// What `expires_at` of the credentials says. The token lives as asked for all the same.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiresAt {
    /// null
    Null,
    /// The field is not there.
    Absent,
    /// `0001-01-01T00:00:00Z`, Go's zero time.
    YearOne,
    /// An hour ago.
    Past,
    /// Not a time.
    Unparsable,
    /// The empty string.
    Empty,
}

/// What stands in the place of the certificate authority.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BrokenAuthority {
    /// Not base64.
    NotBase64,
    /// Base64 of something that is not PEM.
    NotPem,
    /// Nothing at all.
    Absent,
}

/// What is wrong with a kubeconfig.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KubeconfigDefect {
    /// The user runs a program.
    Exec,
    /// The user has an auth provider.
    AuthProvider,
    /// The token is in a file.
    TokenFile,
    /// The client certificate and key are in files.
    ClientCertificateFile,
    /// The certificate authority is in a file.
    CertificateAuthorityFile,
    /// The cluster is behind a proxy.
    ProxyUrl,
    /// The server's certificate is not checked.
    InsecureSkipTlsVerify,
    /// A second context.
    TwoContexts,
    /// A second user.
    TwoUsers,
    /// A second cluster.
    TwoClusters,
    /// The user has nothing to authenticate with.
    NoCredential,
    /// The document is not YAML.
    NotYaml,
    /// The document is YAML, but not a kubeconfig.
    NotAKubeconfig,
}

/// The point of a request's way at which a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The request does not get through: it counts towards no limit.
    Arrival,
    /// Another answer is given: it counts towards the limits, but has no effect.
    Replacement,
    /// The request has its effect, and the document lies.
    Content,
    /// The answer is damaged on its way, whatever it is.
    Delivery,
}

impl FaultKind {
    /// Where it strikes.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::ConnectionReset(Moment::BeforeEffect) | Self::Hang(Moment::BeforeEffect) => {
                Stage::Arrival
            }
            Self::Status { .. } | Self::RateLimit { .. } | Self::Redirect { .. } => {
                Stage::Replacement
            }
            Self::ExpiresAt(_)
            | Self::Server(_)
            | Self::PlainHttpServer
            | Self::CertificateAuthority(_)
            | Self::NoCredential
            | Self::Kubeconfig(_)
            | Self::ForeignNextLink(_)
            | Self::ShortPage(_) => Stage::Content,
            Self::ConnectionReset(Moment::AfterEffect)
            | Self::Hang(Moment::AfterEffect)
            | Self::TruncatedDocument
            | Self::TruncatedBody
            | Self::ContentType(_)
            | Self::Oversize { .. }
            | Self::Delay(_)
            | Self::DateSkew(_) => Stage::Delivery,
        }
    }

    /// Whether the document of that operation has what this fault changes.
    fn concerns(&self, operation: Option<Operation>) -> bool {
        match self {
            Self::ExpiresAt(_) | Self::NoCredential => operation == Some(Operation::GetCredentials),
            Self::Kubeconfig(_) => operation == Some(Operation::GetKubeconfig),
            Self::Server(_) | Self::PlainHttpServer | Self::CertificateAuthority(_) => {
                operation.is_some_and(Operation::mints)
            }
            Self::ForeignNextLink(_) | Self::ShortPage(_) => {
                operation == Some(Operation::ListClusters)
            }
            _ => true,
        }
    }
}

/// What a fault looks at in a request.
pub(crate) struct Target<'a> {
    pub(crate) account: Option<&'a str>,
    pub(crate) operation: Option<Operation>,
    pub(crate) cluster: Option<&'a str>,
    pub(crate) page: Option<u64>,
}

impl FaultMatch {
    fn accepts(&self, target: &Target) -> bool {
        let same = |wanted: &Option<String>, actual: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == actual
        };
        same(&self.account, target.account)
            && same(&self.cluster, target.cluster)
            && (self.operation.is_none() || self.operation == target.operation)
            && (self.page.is_none() || self.page == target.page)
    }
}

/// A fault that is in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InjectedFault {
    /// Names it in the history and for clearing.
    pub id: u64,
    /// The fault; `times` counts down.
    #[serde(flatten)]
    pub fault: Fault,
}

/// The faults in force, in the order of injection.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    injected: Vec<InjectedFault>,
    last_id: u64,
}

impl Faults {
    pub(crate) fn inject(&mut self, fault: Fault) -> u64 {
        self.last_id += 1;
        self.injected.push(InjectedFault {
            id: self.last_id,
            fault,
        });
        self.last_id
    }

    pub(crate) fn all(&self) -> &[InjectedFault] {
        &self.injected
    }

    pub(crate) fn clear(&mut self) {
        self.injected.clear();
    }

    /// Whether there was one of that id.
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let before = self.injected.len();
        self.injected.retain(|fault| fault.id != id);
        self.injected.len() < before
    }

    /// The fault that strikes `target` at `stage`, with its id; one of its times is used up.
    pub(crate) fn strike(
        &mut self,
        stage: Stage,
        target: &Target,
        randomness: &mut Randomness,
    ) -> Option<(u64, FaultKind)> {
        let struck = self.injected.iter_mut().find(|injected| {
            let fault = &injected.fault;
            fault.times != Some(0)
                && fault.kind.stage() == stage
                && fault.kind.concerns(target.operation)
                && fault.matches.accepts(target)
                && (fault.probability >= 1.0 || randomness.fraction("fault") < fault.probability)
        })?;
        if let Some(times) = &mut struck.fault.times {
            *times = times.saturating_sub(1);
        }
        let strike = (struck.id, struck.fault.kind.clone());
        self.injected
            .retain(|injected| injected.fault.times != Some(0));
        Some(strike)
    }
}
