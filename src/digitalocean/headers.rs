//! What the headers of a response say. None of it is trusted: what is absent, malformed or absurd
//! is left out or clamped.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// The longest that a header can make anyone wait. Both of DigitalOcean's limits are over by then.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What a call tells besides its result. Known even of a call that failed, as far as it got.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// How many requests the call sent: one, but for a list of several pages.
    pub requests: u32,
    /// `x-request-id`, to be quoted to DigitalOcean's support. Visible ASCII, at most 64 bytes.
    pub request_id: Option<String>,
    /// DigitalOcean's clock (`date`, whole seconds) when it answered.
    pub date: Option<Timestamp>,
    /// The API token's limits, as of this answer.
    pub rate_limit: RateLimit,
    /// How long to wait before the next request with this API token, of `retry-after`: 1 s to 1 h.
    pub retry_after: Option<Duration>,
}

/// The `ratelimit-*` headers: the count of the last hour, or on a burst refusal of the last minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimit {
    /// Requests allowed.
    pub limit: Option<u32>,
    /// Requests left.
    pub remaining: Option<u32>,
    /// When the oldest request stops counting. Has been seen in the past; [`wait`](Self::wait) copes.
    pub reset: Option<Timestamp>,
}

impl RateLimit {
    /// From `now` until [`reset`](Self::reset): at most an hour, `None` when that is unknown or
    /// not in the future, or where requests are left in the hour, so that it was not the hour's limit
    /// that was met.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> Option<Duration> {
        if self.remaining.is_some_and(|remaining| remaining > 0) {
            return None;
        }
        let left = self.reset?.as_second().checked_sub(now.as_second())?;
        let left = Duration::from_secs(u64::try_from(left).ok().filter(|left| *left > 0)?);
        Some(left.min(LONGEST_WAIT))
    }
}

impl Meta {
    /// Of one request that got no response.
    pub(super) fn unanswered() -> Self {
        Self {
            requests: 1,
            ..Self::default()
        }
    }

    /// Of one request and its response's headers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let date = text(headers, DATE.as_str()).and_then(http_date);
        Self {
            requests: 1,
            request_id: text(headers, "x-request-id").and_then(request_id),
            date,
            rate_limit: RateLimit {
                limit: number(headers, "ratelimit-limit"),
                remaining: number(headers, "ratelimit-remaining"),
                reset: number(headers, "ratelimit-reset")
                    .filter(|seconds| *seconds > 0)
                    .and_then(|seconds| Timestamp::from_second(seconds).ok()),
            },
            retry_after: text(headers, RETRY_AFTER.as_str())
                .and_then(|value| retry_after(value, date)),
        }
    }
}

/// A request id as it may be logged: short, one word, visible.
pub(super) fn request_id(value: &str) -> Option<String> {
    let sound = (1..=64).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic());
    sound.then(|| value.to_owned())
}

/// Seconds, or an HTTP date, which is measured against the server's own clock: ours may be off.
fn retry_after(value: &str, date: Option<Timestamp>) -> Option<Duration> {
    let seconds = if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        // More digits than fit are more than an hour, too.
        value.parse().unwrap_or(u64::MAX)
    } else {
        let left = http_date(value)?
            .as_second()
            .checked_sub(date?.as_second())?;
        u64::try_from(left).unwrap_or(0)
    };
    Some(Duration::from_secs(seconds).clamp(Duration::from_secs(1), LONGEST_WAIT))
}

fn http_date(value: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(value).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    text(headers, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 22 Nov 2026 10:00:00 GMT";

    fn meta(headers: &[(&'static str, &str)]) -> Meta {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        Meta::of(&headers)
    }

    fn retry_after(value: &str) -> Option<u64> {
        meta(&[("date", DATE), ("retry-after", value)])
            .retry_after
            .map(|wait| wait.as_secs())
    }

    #[test]
    fn everything_is_read_in_any_case() {
        let meta = meta(&[
            ("Date", DATE),
            ("X-Request-Id", "515850a0-a812-50bf-aa3c-d0d21d287e40"),
            ("rateLimit-Limit", "5000"),
            ("ratelimit-remaining", " 4816 "),
            ("RATELIMIT-RESET", "1795341600"),
            ("Retry-After", "29"),
        ]);
        let expected = Meta {
            requests: 1,
            request_id: Some("515850a0-a812-50bf-aa3c-d0d21d287e40".into()),
            date: Some("2026-11-22T10:00:00Z".parse().unwrap()),
            rate_limit: RateLimit {
                limit: Some(5000),
                remaining: Some(4816),
                reset: Some("2026-11-22T10:00:00Z".parse().unwrap()),
            },
            retry_after: Some(Duration::from_secs(29)),
        };
        assert_eq!(meta, expected);
    }

    #[test]
    fn what_is_absent_or_garbage_is_left_out() {
        assert_eq!(meta(&[]), Meta::unanswered());
        for garbage in [
            "",
            "-",
            "x",
            "-5",
            "1.5",
            "99999999999999999999999",
            "NaN",
            "\u{e9}",
        ] {
            let meta = meta(&[
                ("date", garbage),
                ("ratelimit-limit", garbage),
                ("ratelimit-remaining", garbage),
                ("ratelimit-reset", garbage),
            ]);
            assert_eq!(meta, Meta::unanswered(), "{garbage}");
        }
    }

    #[test]
    fn retry_after_is_between_a_second_and_an_hour() {
        assert_eq!(retry_after("29"), Some(29));
        assert_eq!(retry_after("0"), Some(1));
        assert_eq!(retry_after("3601"), Some(3600));
        assert_eq!(retry_after("99999999999999999999999"), Some(3600));
        for garbage in ["", "-1", "soon", "1.5", "+3"] {
            assert_eq!(retry_after(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn a_date_in_retry_after_is_measured_by_the_servers_clock() {
        assert_eq!(retry_after("Sun, 22 Nov 2026 10:01:30 GMT"), Some(90));
        assert_eq!(retry_after("Sun, 22 Nov 2026 09:00:00 GMT"), Some(1));
        assert_eq!(retry_after("Sun, 22 Nov 2099 10:00:00 GMT"), Some(3600));
        let unknown = meta(&[("retry-after", "Sun, 22 Nov 2026 10:01:30 GMT")]);
        assert_eq!(unknown.retry_after, None);
    }

    #[test]
    fn the_reset_is_waited_for_an_hour_at_most_and_never_when_past() {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let wait = |reset: &str| {
            meta(&[("ratelimit-reset", reset)])
                .rate_limit
                .wait(now)
                .map(|wait| wait.as_secs())
        };
        assert_eq!(wait("1795341660"), Some(60));
        assert_eq!(wait("1795341600"), None);
        assert_eq!(wait("1795340100"), None);
        assert_eq!(wait("1995341600"), Some(3600));
        assert_eq!(wait("9223372036854775807"), None);
        let spent = |remaining: &str| {
            let headers = [
                ("ratelimit-reset", "1795341660"),
                ("ratelimit-remaining", remaining),
            ];
            meta(&headers).rate_limit.wait(now).is_some()
        };
        assert!(spent("0"));
        assert!(!spent("1"), "it was the minute's limit");
        assert_eq!(RateLimit::default().wait(now), None);
    }

    #[test]
    fn a_request_id_that_is_no_word_is_left_out() {
        for unsound in ["", "two words", &"x".repeat(65)] {
            assert_eq!(meta(&[("x-request-id", unsound)]).request_id, None);
        }
    }
}
