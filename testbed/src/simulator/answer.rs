//! What goes back to the client: a response and the way it gets there.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Value, json};

use super::limits::Allowance;

const JSON: &str = "application/json; charset=utf-8";
const YAML: &str = "application/yaml";
const HTML: &str = "text/html; charset=UTF-8";

/// A response and how it is delivered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// All headers except those that frame the body.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Send the body without `content-length`.
    pub chunked: bool,
    /// What becomes of it on the way.
    pub delivery: Delivery,
    /// How long it takes.
    pub delay: Duration,
}

/// What becomes of a response on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It arrives.
    Complete,
    /// The connection closes after half of the announced body.
    CutShort,
    /// The connection is reset before the first byte.
    Reset,
    /// Nothing ever arrives.
    Never,
}

/// An error in DigitalOcean's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) id: &'static str,
    pub(crate) message: String,
}

impl ApiError {
    /// The error that DigitalOcean sends with a status.
    pub(crate) fn of(status: StatusCode) -> Self {
        let (id, message) = match status {
            StatusCode::BAD_REQUEST => ("bad_request", "The request is malformed."),
            StatusCode::UNAUTHORIZED => ("unauthorized", "Unable to authenticate you."),
            StatusCode::FORBIDDEN => (
                "forbidden",
                "You do not have access for the attempted action.",
            ),
            StatusCode::NOT_FOUND => (
                "not_found",
                "The resource you requested could not be found.",
            ),
            StatusCode::METHOD_NOT_ALLOWED => (
                "method_not_allowed",
                "The method is not allowed for this resource.",
            ),
            StatusCode::TOO_MANY_REQUESTS => ("too_many_requests", "API rate limit exceeded."),
            StatusCode::INTERNAL_SERVER_ERROR => ("server_error", "Unexpected server-side error"),
            StatusCode::SERVICE_UNAVAILABLE => (
                "service_unavailable",
                "Failed to forward the request you made, please try again.",
            ),
            _ => ("error", "There was an unexpected error."),
        };
        Self {
            status,
            id,
            message: message.to_owned(),
        }
    }

    pub(crate) fn bad_request(message: String) -> Self {
        Self {
            message,
            ..Self::of(StatusCode::BAD_REQUEST)
        }
    }

    pub(crate) fn answer(&self, request_id: &str) -> Answer {
        Answer::json(
            self.status,
            &json!({ "id": self.id, "message": self.message, "request_id": request_id }),
        )
    }
}

impl Answer {
    pub(crate) fn new(
        status: StatusCode,
        content_type: Option<&'static str>,
        body: impl Into<Bytes>,
    ) -> Self {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        Self {
            status,
            headers,
            body: body.into(),
            chunked: false,
            delivery: Delivery::Complete,
            delay: Duration::ZERO,
        }
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, Some(JSON), body.to_string())
    }

    pub(crate) fn yaml(body: String) -> Self {
        Self::new(StatusCode::OK, Some(YAML), body)
    }

    /// The page of a proxy in front of the API.
    pub(crate) fn html(status: StatusCode) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        let code = status.as_u16();
        let page = format!(
            "<!DOCTYPE html>\n<html>\n<head><title>{code} {title}</title></head>\n<body>\n\
             <center><h1>{code} {title}</h1></center>\n<hr><center>proxy</center>\n</body>\n</html>\n"
        );
        Self::new(status, Some(HTML), page)
    }

    pub(crate) fn redirect(status: StatusCode, location: &str) -> Self {
        let mut answer = Self::new(status, None, Bytes::new());
        answer.set(LOCATION, location);
        answer
    }

    /// Sets a header whose value is known to be valid, or comes from a fault that was checked.
    pub(crate) fn set(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
    }

    pub(crate) fn set_retry_after(&mut self, value: &str) {
        self.set(RETRY_AFTER, value);
    }

    pub(crate) fn set_content_type(&mut self, value: &str) {
        self.set(CONTENT_TYPE, value);
    }

    pub(crate) fn set_allowance(&mut self, allowance: Allowance) {
        let values = [
            ("ratelimit-limit", allowance.limit.to_string()),
            ("ratelimit-remaining", allowance.remaining.to_string()),
            ("ratelimit-reset", allowance.reset.to_string()),
        ];
        for (name, value) in values {
            self.set(HeaderName::from_static(name), &value);
        }
    }

    pub(crate) fn set_request_id(&mut self, request_id: &str) {
        self.set(HeaderName::from_static("x-request-id"), request_id);
    }

    /// Headers by which the gateway says that the answer is its own.
    pub(crate) fn set_gateway(&mut self) {
        self.set(HeaderName::from_static("x-gateway"), "Edge-Gateway");
        self.set(HeaderName::from_static("x-response-from"), "service-error");
    }

    pub(crate) fn set_date(&mut self, now: Timestamp) {
        if let Ok(date) = DateTimePrinter::new().timestamp_to_rfc9110_string(&now) {
            self.set(DATE, &date);
        }
    }

    /// Pads the body to `length` bytes without changing what it means.
    pub(crate) fn pad(&mut self, length: usize) {
        let is_yaml = self.headers.get(CONTENT_TYPE) == Some(&HeaderValue::from_static(YAML));
        let line: &[u8] = if is_yaml {
            b"# padding of a document that is far too big\n"
        } else {
            b"                                           \n"
        };
        let missing = length.saturating_sub(self.body.len());
        let mut padding = line.repeat(missing.div_ceil(line.len()));
        padding.truncate(missing);
        self.body = Bytes::from([self.body.as_ref(), &padding].concat());
    }
}
