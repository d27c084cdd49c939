//! The credential of a cluster: where its API server is, whom to trust there, and how to log in.
//!
//! Both documents of DigitalOcean's API (the flat JSON of `/credentials`, the YAML of
//! `/kubeconfig`) carry the same parts in the same encoding. [`EncodedCredential`] is that
//! encoding; [`EncodedCredential::decode`] is the one place that decides what is good enough to
//! be published.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::uri::Authority;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use x509_parser::parse_x509_certificate;
use x509_parser::pem::Pem;

/// How a client proves to the cluster who it is. `Debug` shows no secret.
#[derive(Clone)]
pub enum Authentication {
    /// A bearer token: opaque, visible ASCII.
    Token(SecretString),
    /// A client certificate (clusters that predate token authentication).
    Certificate {
        /// The certificate chain, PEM.
        certificate_pem: String,
        /// Its private key, PEM.
        key_pem: SecretString,
    },
}

/// A complete, checked credential of one cluster. `Debug` shows no secret.
///
/// Guarantees: the server is an https URL without user, query and fragment; the certificate
/// authority is PEM; a token is visible ASCII; a client certificate is one that parses.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    server: String,
    certificate_authority_pem: String,
    authentication: Authentication,
    not_after: Option<Timestamp>,
}

/// A credential as DigitalOcean's documents carry it: PEM in base64, any part possibly absent.
/// An empty part counts as absent.
#[derive(Clone, Default)]
pub struct EncodedCredential {
    /// The URL of the cluster's API server.
    pub server: Option<String>,
    /// Base64 of the certificate authority's PEM.
    pub certificate_authority_data: Option<String>,
    /// The bearer token, as it is.
    pub token: Option<SecretString>,
    /// Base64 of the client certificate's PEM.
    pub client_certificate_data: Option<String>,
    /// Base64 of the private key's PEM.
    pub client_key_data: Option<SecretString>,
}

/// Why a credential cannot be published. The sentences are stable and hold nothing of the
/// credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum CredentialError {
    /// No server.
    #[error("it names no API server")]
    MissingServer,
    /// The server is not a plain https URL.
    #[error("its API server is not an https URL")]
    ServerNotHttps,
    /// The server is another one than the cluster's endpoint.
    #[error("its API server is not the cluster's endpoint")]
    ServerNotEndpoint,
    /// No certificate authority.
    #[error("it has no certificate authority")]
    MissingCertificateAuthority,
    /// The certificate authority is not base64 of PEM.
    #[error("its certificate authority is not PEM in base64")]
    CertificateAuthorityNotPem,
    /// Neither a token nor a client certificate.
    #[error("it has neither a token nor a client certificate")]
    NoAuthentication,
    /// A token and a client certificate: a consumer could use either.
    #[error("it has both a token and a client certificate")]
    TwoAuthentications,
    /// The token could not be sent in a header.
    #[error("its token has characters that no token has")]
    TokenNotVisibleAscii,
    /// A client certificate without its key, or a key without certificate.
    #[error("it has only one of client certificate and key")]
    HalfCertificate,
    /// The client certificate is not base64 of a PEM certificate that parses.
    #[error("its client certificate is not an X.509 certificate in base64 of PEM")]
    ClientCertificateInvalid,
    /// The key is not base64 of a PEM private key.
    #[error("its client key is not a PEM private key in base64")]
    ClientKeyNotPem,
}

impl Credential {
    /// Checks the parts and puts them together.
    ///
    /// # Errors
    /// When a part is not what [`Credential`] guarantees.
    pub fn new(
        server: String,
        certificate_authority_pem: String,
        authentication: Authentication,
    ) -> Result<Self, CredentialError> {
        Endpoint::parse(&server)?;
        if !is_certificates(&certificate_authority_pem) {
            return Err(CredentialError::CertificateAuthorityNotPem);
        }
        let not_after = authentication.check()?;
        Ok(Self {
            server,
            certificate_authority_pem,
            authentication,
            not_after,
        })
    }

    /// The https URL of the API server, as DigitalOcean wrote it.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The certificate authority to trust for [`server`](Self::server), PEM.
    #[must_use]
    pub fn certificate_authority_pem(&self) -> &str {
        &self.certificate_authority_pem
    }

    /// The certificate authority as base64 of PEM: `certificate-authority-data`, `caData`.
    #[must_use]
    pub fn certificate_authority_base64(&self) -> String {
        to_base64(&self.certificate_authority_pem)
    }

    /// How to log in.
    #[must_use]
    pub fn authentication(&self) -> &Authentication {
        &self.authentication
    }

    /// When the client certificate stops being valid (of a chain: the first to do so), in whole
    /// seconds. `None` for a token, whose end only DigitalOcean knows.
    #[must_use]
    pub fn not_after(&self) -> Option<Timestamp> {
        self.not_after
    }

    /// Checks that this credential is for the cluster whose endpoint is given: same scheme, host
    /// (in any case), port (443 when absent) and path.
    ///
    /// # Errors
    /// [`CredentialError::ServerNotEndpoint`], also when `endpoint` is no https URL.
    pub fn check_endpoint(&self, endpoint: &str) -> Result<(), CredentialError> {
        let endpoint = Endpoint::parse(endpoint).map_err(|_| CredentialError::ServerNotEndpoint)?;
        if Endpoint::parse(&self.server)? == endpoint {
            Ok(())
        } else {
            Err(CredentialError::ServerNotEndpoint)
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credential")
            .field("server", &self.server)
            .field("authentication", &self.authentication)
            .finish_non_exhaustive()
    }
}

impl Authentication {
    /// The token where there is one, else certificate and key where both are there.
    #[must_use]
    pub fn from_parts(
        token: Option<SecretString>,
        certificate_pem: Option<&str>,
        key_pem: Option<SecretString>,
    ) -> Option<Self> {
        let certificate = certificate_pem.zip(key_pem);
        let certificate = certificate.map(|(certificate_pem, key_pem)| Self::Certificate {
            certificate_pem: certificate_pem.to_string(),
            key_pem,
        });
        token.map(Self::Token).or(certificate)
    }

    /// The bearer token, of a cluster that has one.
    #[must_use]
    pub fn token(&self) -> Option<&SecretString> {
        match self {
            Self::Token(token) => Some(token),
            Self::Certificate { .. } => None,
        }
    }

    /// The client certificate's notAfter, when the parts are sound.
    fn check(&self) -> Result<Option<Timestamp>, CredentialError> {
        match self {
            Self::Token(token) => {
                let token = token.expose_secret();
                if token.is_empty() {
                    Err(CredentialError::NoAuthentication)
                } else if token.bytes().all(|byte| byte.is_ascii_graphic()) {
                    Ok(None)
                } else {
                    Err(CredentialError::TokenNotVisibleAscii)
                }
            }
            Self::Certificate {
                certificate_pem,
                key_pem,
            } => {
                if !is_key(key_pem.expose_secret()) {
                    return Err(CredentialError::ClientKeyNotPem);
                }
                if !is_certificates(certificate_pem) {
                    return Err(CredentialError::ClientCertificateInvalid);
                }
                not_after(certificate_pem).map(Some)
            }
        }
    }
}

impl PartialEq for Authentication {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(one), Self::Token(two)) => one.expose_secret() == two.expose_secret(),
            (
                Self::Certificate {
                    certificate_pem: one,
                    key_pem: one_key,
                },
                Self::Certificate {
                    certificate_pem: two,
                    key_pem: two_key,
                },
            ) => one == two && one_key.expose_secret() == two_key.expose_secret(),
            _ => false,
        }
    }
}

impl Eq for Authentication {}

impl fmt::Debug for Authentication {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Token(_) => "Token([REDACTED])",
            Self::Certificate { .. } => "Certificate([REDACTED])",
        })
    }
}

impl EncodedCredential {
    /// Whether it has a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token
            .as_ref()
            .is_some_and(|token| !token.expose_secret().is_empty())
    }

    /// Decodes and checks every part.
    ///
    /// The certificate authority is checked for base64 and PEM only: DigitalOcean's published
    /// sample is a truncated certificate.
    ///
    /// # Errors
    /// When a part is missing, malformed or contradicts another.
    pub fn decode(self) -> Result<Credential, CredentialError> {
        let server = non_empty(self.server).ok_or(CredentialError::MissingServer)?;
        let authority = non_empty(self.certificate_authority_data)
            .ok_or(CredentialError::MissingCertificateAuthority)?;
        let authority =
            from_base64(&authority).ok_or(CredentialError::CertificateAuthorityNotPem)?;
        let token = self.token.filter(|token| !token.expose_secret().is_empty());
        let certificate = non_empty(self.client_certificate_data);
        let key = self
            .client_key_data
            .filter(|key| !key.expose_secret().is_empty());
        let authentication = match (token, certificate, key) {
            (Some(token), None, None) => Authentication::Token(token),
            (None, Some(certificate), Some(key)) => Authentication::Certificate {
                certificate_pem: from_base64(&certificate)
                    .ok_or(CredentialError::ClientCertificateInvalid)?,
                key_pem: from_base64(key.expose_secret())
                    .ok_or(CredentialError::ClientKeyNotPem)?
                    .into(),
            },
            (None, None, None) => return Err(CredentialError::NoAuthentication),
            (None, _, _) => return Err(CredentialError::HalfCertificate),
            (Some(_), _, _) => return Err(CredentialError::TwoAuthentications),
        };
        Credential::new(server, authority, authentication)
    }
}

/// Shows which parts there are, and none of them.
impl fmt::Debug for EncodedCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EncodedCredential")
            .field("server", &self.server)
            .field("token", &self.token.is_some())
            .field(
                "client_certificate_data",
                &self.client_certificate_data.is_some(),
            )
            .finish_non_exhaustive()
    }
}

impl From<&Credential> for EncodedCredential {
    fn from(credential: &Credential) -> Self {
        let mut encoded = Self {
            server: Some(credential.server.clone()),
            certificate_authority_data: Some(credential.certificate_authority_base64()),
            ..Self::default()
        };
        match &credential.authentication {
            Authentication::Token(token) => encoded.token = Some(token.clone()),
            Authentication::Certificate {
                certificate_pem,
                key_pem,
            } => {
                encoded.client_certificate_data = Some(to_base64(certificate_pem));
                encoded.client_key_data = Some(to_base64(key_pem.expose_secret()).into());
            }
        }
        encoded
    }
}

/// What tells one API server from another.
#[derive(PartialEq, Eq)]
struct Endpoint {
    host: String,
    port: u16,
    path: String,
}

impl Endpoint {
    /// `http::Uri` rather than a browser's URL parser: that one repairs backslashes, tabs and
    /// blanks which other readers of a kubeconfig take literally.
    fn parse(url: &str) -> Result<Self, CredentialError> {
        let uri: Uri = url.parse().map_err(|_| CredentialError::ServerNotHttps)?;
        let plain =
            uri.scheme_str() == Some("https") && uri.query().is_none() && !url.contains(['#', '@']);
        match uri.authority() {
            Some(authority) if plain && has_sound_port(authority) => Ok(Self {
                host: authority.host().to_ascii_lowercase(),
                port: authority.port_u16().unwrap_or(443),
                path: uri.path().trim_end_matches('/').to_owned(),
            }),
            _ => Err(CredentialError::ServerNotHttps),
        }
    }
}

/// Whether there is a host, and behind it nothing or a port. One that is none (`host:`, `host:99999`)
/// is left out by this parser and refused by others.
fn has_sound_port(authority: &Authority) -> bool {
    let host = authority.host();
    let nothing_else = authority.as_str().len() == host.len();
    !host.is_empty() && (nothing_else || authority.port_u16().is_some())
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Base64 of text: the encoding of every PEM part.
#[must_use]
pub fn to_base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// Standard base64, in one line or several (a YAML block scalar), of UTF-8 text.
#[must_use]
pub fn from_base64(encoded: &str) -> Option<String> {
    let joined: String = encoded.split_ascii_whitespace().collect();
    String::from_utf8(STANDARD.decode(joined).ok()?).ok()
}

/// Whether `text` is one or more PEM certificates. rustls reads it as well: like consumers, and unlike
/// the parser that tells labels, it wants a section to end under the label that it begins with.
fn is_certificates(text: &str) -> bool {
    let certificates =
        CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    sections_of(text, |label| label == "CERTIFICATE")
        .zip(certificates.ok())
        .is_some_and(|(sections, certificates)| sections > 0 && sections == certificates.len())
}

/// Whether `text` is a PEM private key, and not an encrypted one.
fn is_key(text: &str) -> bool {
    sections_of(text, |label| label.ends_with("PRIVATE KEY")).is_some_and(|sections| sections > 0)
        && PrivateKeyDer::from_pem_slice(text.as_bytes()).is_ok()
}

/// How many PEM sections `text` has; `None` where one is malformed or has a label that is not accepted.
fn sections_of(text: &str, accepted: fn(&str) -> bool) -> Option<usize> {
    let mut sections = 0;
    for section in Pem::iter_from_buffer(text.as_bytes()) {
        let section = section.ok()?;
        if !accepted(&section.label) || section.contents.is_empty() {
            return None;
        }
        sections += 1;
    }
    Some(sections)
}

/// The earliest notAfter of the chain.
fn not_after(certificate_pem: &str) -> Result<Timestamp, CredentialError> {
    let mut earliest: Option<Timestamp> = None;
    for section in Pem::iter_from_buffer(certificate_pem.as_bytes()) {
        let end = section
            .ok()
            .and_then(|section| {
                let (_, certificate) = parse_x509_certificate(&section.contents).ok()?;
                Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
            })
            .ok_or(CredentialError::ClientCertificateInvalid)?;
        earliest = Some(earliest.map_or(end, |earliest| earliest.min(end)));
    }
    earliest.ok_or(CredentialError::ClientCertificateInvalid)
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
