//! Where the API is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;
use thiserror::Error;

/// The address of the API: https, or http on a loopback host (tests, a simulator).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// Without a slash at its end.
    url: String,
    loopback: bool,
}

/// Why an address cannot be used; the sentence says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BaseUrlError {
    /// Not an absolute http or https URL with a host.
    #[error("not a URL: give one such as https://api.digitalocean.com")]
    NotAUrl,
    /// A user, password, query or fragment.
    #[error("give the URL without user, query and fragment")]
    TooMuch,
    /// http to a host that is not this one.
    #[error(
        "the API token would travel unencrypted: use https (http is for localhost, 127.0.0.0/8 \
         and [::1] only)"
    )]
    NotEncrypted,
}

impl BaseUrl {
    /// DigitalOcean's own.
    pub const DEFAULT: &'static str = "https://api.digitalocean.com";

    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Whether its host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether traffic is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.starts_with("https:")
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(['@', '?', '#']) {
            return Err(BaseUrlError::TooMuch);
        }
        let uri: Uri = text.parse().map_err(|_| BaseUrlError::NotAUrl)?;
        let (Some(scheme), Some(authority), Some(host)) = (
            uri.scheme_str(),
            uri.authority(),
            uri.host().filter(|host| !host.is_empty()),
        ) else {
            return Err(BaseUrlError::NotAUrl);
        };
        let loopback = is_loopback(host);
        match scheme {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(BaseUrlError::NotEncrypted),
            _ => return Err(BaseUrlError::NotAUrl),
        }
        let path = uri.path().trim_end_matches('/');
        Ok(Self {
            url: format!("{scheme}://{authority}{path}"),
            loopback,
        })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.url)
    }
}

/// By the name alone: a name that merely resolves to this machine can resolve elsewhere tomorrow.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_https_url_is_accepted_with_or_without_a_slash_a_port_and_a_path() {
        for (given, kept) in [
            (BaseUrl::DEFAULT, "https://api.digitalocean.com"),
            (
                "https://api.digitalocean.com/",
                "https://api.digitalocean.com",
            ),
            (
                "https://proxy.example:8443/digitalocean/",
                "https://proxy.example:8443/digitalocean",
            ),
            (
                "HTTPS://api.digitalocean.com",
                "https://api.digitalocean.com",
            ),
        ] {
            let url: BaseUrl = given.parse().expect(given);
            assert_eq!(url.as_str(), kept);
            assert!(url.is_https() && !url.is_loopback());
        }
    }

    #[test]
    fn plain_http_is_for_loopback_hosts_only() {
        for given in [
            "http://localhost:8080",
            "http://LOCALHOST",
            "http://127.0.0.1:1",
            "http://127.9.9.9",
            "http://[::1]:8080",
        ] {
            let url: BaseUrl = given.parse().expect(given);
            assert!(url.is_loopback() && !url.is_https());
        }
        for given in [
            "http://api.digitalocean.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://[::2]",
        ] {
            assert_eq!(
                given.parse::<BaseUrl>(),
                Err(BaseUrlError::NotEncrypted),
                "{given}"
            );
        }
    }

    #[test]
    fn what_is_no_bare_url_is_refused_with_a_sentence() {
        for given in [
            "",
            "api.digitalocean.com",
            "/v2",
            "ftp://localhost",
            "https://",
            "https:// x",
        ] {
            assert_eq!(
                given.parse::<BaseUrl>(),
                Err(BaseUrlError::NotAUrl),
                "{given}"
            );
        }
        for given in [
            "https://me:secret@host",
            "https://host?x=1",
            "https://host#x",
            "http://127.0.0.1@evil",
        ] {
            assert_eq!(
                given.parse::<BaseUrl>(),
                Err(BaseUrlError::TooMuch),
                "{given}"
            );
        }
    }
}
