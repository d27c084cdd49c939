//! Answers of DigitalOcean's API, through the client that reads them.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;
use serde_json::Value;
use tower::{BoxError, service_fn};

use super::credential::is_sound;
use super::secrecy::{CANARY, hides, logging_none, shows_no_secret};
use crate::digitalocean::{
    ApiToken, Budget, Client, Cluster, Error, ErrorKind, IssuedCredential, Malformed, Meta,
    RequestLimits, Sharer, Turn, boxed_service,
};

/// The cluster that is asked for.
pub(crate) const CLUSTER_ID: &str = "bd5f5959-5e1e-4205-a714-a914373942af";

const HOUR: Duration = Duration::from_secs(3600);
const YEAR_2000: i64 = 946_684_800;

/// An answer as a server could give it.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Given {
    /// 200 with this body.
    pub(crate) fn body(body: &[u8]) -> Self {
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body),
        }
    }

    /// Lines: a status code, `name: value` as long as there are headers, an empty one; then the body.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut given = Self::body(b"");
        let mut rest = bytes;
        let (first, after) = line(rest);
        if let Ok(status) = StatusCode::from_bytes(first) {
            given.status = status;
            rest = after;
        }
        while !rest.is_empty() {
            let (next, after) = line(rest);
            let Some((name, value)) = header(next) else {
                break;
            };
            given.headers.append(name, value);
            rest = after;
        }
        given.body = Bytes::copy_from_slice(rest.strip_prefix(b"\n").unwrap_or(rest));
        given
    }

    /// What [`Given::parse`] reads as this answer.
    pub(crate) fn written(&self) -> Vec<u8> {
        let mut lines = format!("{}\n", self.status.as_str()).into_bytes();
        for (name, value) in &self.headers {
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.extend_from_slice(b": ");
            lines.extend_from_slice(value.as_bytes());
            lines.push(b'\n');
        }
        lines.push(b'\n');
        lines.extend_from_slice(&self.body);
        lines
    }

    fn client(&self) -> Client {
        let given = self.clone();
        let respond = service_fn(move |_: Request<Full<Bytes>>| {
            let mut response = Response::new(Full::new(given.body.clone()));
            *response.status_mut() = given.status;
            *response.headers_mut() = given.headers.clone();
            async move { Ok::<_, BoxError>(response) }
        });
        let base_url = "https://api.example.com".parse().expect("a URL");
        Client::new(boxed_service(respond), base_url)
    }
}

fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let end = end.unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    let value = line[colon + 1..].trim_ascii();
    Some((name, HeaderValue::from_bytes(value).ok()?))
}

const API_TOKEN: &str = "dop_v1_0123456789abcdef";

fn token() -> ApiToken {
    ApiToken::parse(API_TOKEN.as_bytes()).expect("a token")
}

/// What `call` is answered. Every answer is there at once, so no time passes.
fn now<T>(given: &Given, call: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    // Of a refusal the body is logged: it is an error's, or a page of a proxy. A success may hold a
    // credential, whatever else is wrong with it.
    let mut secrets = vec![API_TOKEN];
    if given.status.is_success() && !is_in_request_id(given) {
        secrets.push(CANARY);
    }
    logging_none(&secrets, || runtime.block_on(call))
}

/// Whether the canary is where an answer has the id of its request, which is shown to be quoted.
fn is_in_request_id(given: &Given) -> bool {
    let body: Value = serde_json::from_slice(&given.body).unwrap_or_default();
    let of_body = body["request_id"]
        .as_str()
        .is_some_and(|id| id.contains(CANARY));
    let contains = |value: &HeaderValue| value.to_str().is_ok_and(|id| id.contains(CANARY));
    of_body || given.headers.get("x-request-id").is_some_and(contains)
}

/// The answer as one to get_credentials. True when it was accepted.
pub(crate) fn check_credentials(given: &Given) -> bool {
    let client = given.client();
    match now(given, client.get_credentials(&token(), CLUSTER_ID, 604_800)) {
        Ok(answer) => {
            check_meta(given, &answer.meta);
            check_issued(given, &answer.value);
            true
        }
        Err(error) => {
            check_error(given, &error);
            false
        }
    }
}

fn check_issued(given: &Given, issued: &IssuedCredential) {
    assert_eq!(given.status, StatusCode::OK);
    is_sound(&issued.credential);
    if let Some(at) = issued.expires_at {
        assert!(at.as_second() >= YEAR_2000);
        // As a mark it is written in whole seconds and read again.
        let written = crate::outputs::rfc3339(at.as_second());
        let read: Timestamp = written.parse().expect("a time");
        assert_eq!(read.as_second(), at.as_second());
    }
    // A reader that keeps everything refuses what is skipped here: half a surrogate, say.
    if let Ok(document) = serde_json::from_slice::<Value>(&given.body) {
        assert_eq!(document["server"], issued.credential.server());
        // What is not said is not made up.
        let says = document["expires_at"].as_str();
        assert!(says.is_some() || issued.expires_at.is_none());
    }
    let until = format!("{:?}", issued.expires_at);
    let public = [issued.credential.server(), &until];
    hides(&issued.credential, &format!("{issued:?}"), &public);
}

/// The answer as one to get_kubeconfig: the text, which [`super::kubeconfig::check`] reads.
pub(crate) fn check_kubeconfig(given: &Given) -> bool {
    let client = given.client();
    match now(given, client.get_kubeconfig(&token(), CLUSTER_ID, 604_800)) {
        Ok(answer) => {
            check_meta(given, &answer.meta);
            assert!(!format!("{answer:?}").contains(CANARY));
            super::kubeconfig::check(secrecy::ExposeSecret::expose_secret(&answer.value))
        }
        Err(error) => {
            check_error(given, &error);
            false
        }
    }
}

/// The answer as one to a GET of the cluster, and as a page of the list. True when it was accepted as
/// either.
pub(crate) fn check_clusters(given: &Given) -> bool {
    let client = given.client();
    let one = match now(given, client.get_cluster(&token(), CLUSTER_ID)) {
        Ok(answer) => {
            assert!(answer.value.id.eq_ignore_ascii_case(CLUSTER_ID));
            check_cluster(&answer.value);
            true
        }
        Err(error) => {
            check_error(given, &error);
            false
        }
    };
    let all = match now(given, client.list_clusters(&token())) {
        Ok(answer) => {
            let clusters = &answer.value;
            clusters.iter().for_each(check_cluster);
            let ids: BTreeSet<_> = clusters.iter().map(|cluster| &cluster.id).collect();
            assert_eq!(ids.len(), clusters.len(), "each once");
            // A reader that keeps everything refuses what is skipped here: half a surrogate, say.
            if let Ok(document) = serde_json::from_slice::<Value>(&given.body) {
                assert!(document["meta"]["total"].as_u64() <= Some(clusters.len() as u64));
            }
            true
        }
        Err(error) => {
            assert!((1..=200).contains(&error.meta.requests));
            shows_no_more_than_request_id(&error);
            false
        }
    };
    one || all
}

fn check_cluster(cluster: &Cluster) {
    assert!(!cluster.id.is_empty() && !cluster.name.is_empty());
    let state = cluster.state.as_str();
    assert!(state.chars().count() <= 64 && !state.chars().any(char::is_control));
    assert!(!(cluster.state.is_usable() && cluster.state.is_gone()));
    if let Some(message) = &cluster.state_message {
        assert!(message.chars().count() <= 256 && !message.chars().any(char::is_control));
    }
    let facts = crate::outputs::Facts::of(cluster);
    for (key, value) in facts.labels(&std::collections::BTreeMap::new()) {
        let (prefix, name) = key.split_once('/').expect("a prefix");
        assert!(prefix == "doclusteraccess.dev" || prefix == "tags.doclusteraccess.dev");
        assert!(is_label(name) && !name.is_empty() && is_label(&value));
    }
}

/// As Kubernetes says what a label's name and value are.
fn is_label(text: &str) -> bool {
    let ends = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric());
    let within = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.is_empty() || (ends && text.len() <= 63 && text.chars().all(within))
}

/// What headers say, in the answers to all calls. True when any was understood.
pub(crate) fn check_headers(given: &Given) -> bool {
    let client = given.client();
    let meta = match now(given, client.get_kubeconfig(&token(), CLUSTER_ID, 60)) {
        Ok(answer) => answer.meta,
        Err(error) => {
            check_error(given, &error);
            *error.meta
        }
    };
    check_meta(given, &meta);
    check_credentials(given);
    meta.date.is_some() || meta.retry_after.is_some() || meta.rate_limit.remaining.is_some()
}

fn check_meta(given: &Given, meta: &Meta) {
    assert_eq!(meta.requests, 1);
    if let Some(id) = &meta.request_id {
        assert!((1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    if let Some(wait) = meta.retry_after {
        assert!((Duration::from_secs(1)..=HOUR).contains(&wait), "{wait:?}");
    }
    if let Some(seconds) = plain_number(given, "retry-after") {
        let wait = Duration::from_secs(seconds.clamp(1, 3600));
        assert_eq!(meta.retry_after, Some(wait));
    }
    for now in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        check_wait(meta, now);
    }
    for around in [meta.date, meta.rate_limit.reset].into_iter().flatten() {
        for offset in [-3601, -3600, -1, 0, 1, 3600] {
            if let Ok(now) = Timestamp::from_second(around.as_second().saturating_add(offset)) {
                check_wait(meta, now);
            }
        }
    }
    check_budget(meta);
}

/// The header's value, where it is there once and is a number of a sensible size.
fn plain_number(given: &Given, name: &str) -> Option<u64> {
    let mut values = given.headers.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let value = value.to_str().ok()?;
    let digits = value.len() <= 19 && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().ok())?
}

fn check_wait(meta: &Meta, now: Timestamp) {
    if let Some(wait) = meta.rate_limit.wait(now) {
        assert!((Duration::from_secs(1)..=HOUR).contains(&wait), "{wait:?}");
        let reset = meta
            .rate_limit
            .reset
            .expect("what else would be waited for");
        assert!(reset > now);
    }
}

/// Whoever asks the budget.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Asker;

impl Sharer for Asker {
    type Tenant = ();

    fn tenant(&self) {}
}

/// Whatever an answer says of the limits, nobody is told to come back at once, or in ages.
fn check_budget(meta: &Meta) {
    const NOW: i64 = 1_795_338_000_000;
    let mut budget = Budget::new(RequestLimits::default());
    budget.correct(&meta.rate_limit, NOW);
    if let Err(back) = budget.grant(&Asker, Turn::Waiting(0), 2, NOW) {
        assert!((NOW + 1..=NOW + 60_000).contains(&back), "{}", back - NOW);
        assert!(meta.rate_limit.remaining.is_some_and(|left| left < 502));
    }
}

fn shows_no_more_than_request_id(error: &Error) {
    let mut unquoted = error.clone();
    unquoted.meta.request_id = None;
    shows_no_secret(&unquoted);
}

fn check_error(given: &Given, error: &Error) {
    shows_no_more_than_request_id(error);
    assert_eq!(error.retry_after(), error.meta.retry_after);
    let status = given.status;
    let expected = match error.kind {
        ErrorKind::Unauthorized => status == StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => status == StatusCode::FORBIDDEN,
        ErrorKind::NotFound => status == StatusCode::NOT_FOUND,
        ErrorKind::RateLimited { retry_after } => {
            status == StatusCode::TOO_MANY_REQUESTS && retry_after == error.meta.retry_after
        }
        ErrorKind::ServerError(said) => said == status && status.is_server_error(),
        ErrorKind::Redirected(said) => said == status && status.is_redirection(),
        ErrorKind::Unexpected(said) => said == status && status != StatusCode::OK,
        ErrorKind::BodyTooLarge { limit } => status == StatusCode::OK && given.body.len() > limit,
        ErrorKind::Malformed(Malformed::NotText) => std::str::from_utf8(&given.body).is_err(),
        ErrorKind::Malformed(_) | ErrorKind::Incomplete => status == StatusCode::OK,
        ErrorKind::Connect
        | ErrorKind::Transport
        | ErrorKind::Timeout
        | ErrorKind::InvalidClusterId => false,
    };
    assert!(expected, "{status} became {error:?}");
    // Once a body may have held a credential, the next attempt counts as one after a loss.
    if status.is_success() && error.operation.mints() {
        assert!(error.may_have_minted());
    }
}
