//! Which TLS failures say something about the credential.

use std::error::Error;
use std::{io, iter};

use rustls::{AlertDescription, CertificateError};
use thiserror::Error;

/// A TLS failure that any consumer of the credential would meet: a stable sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum TlsFailure {
    /// The server's certificate is not from the credential's certificate authority.
    #[error("the cluster's certificate is not from the credential's certificate authority")]
    UnknownIssuer,
    /// The server's certificate is for other names.
    #[error("the cluster's certificate is not for the name of its endpoint")]
    NameMismatch,
    /// The server's certificate, or one above it, is past its notAfter.
    #[error("the cluster's certificate has expired")]
    Expired,
    /// The server's certificate, or one above it, is before its notBefore.
    #[error("the cluster's certificate is not valid yet")]
    NotValidYet,
    /// The server refused our certificate, or wanted one.
    #[error("the cluster refused the client certificate")]
    ClientCertificateRefused,
    /// The credential's own certificates cannot be loaded.
    #[error("the credential's certificates cannot be used for TLS")]
    UnusableCertificates,
}

/// An error and everything behind it.
///
/// `io::Error::source` is that of the error *within*, which it thereby skips: a `rustls::Error`
/// wrapped by tokio-rustls would never be seen.
pub(super) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| {
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

/// The TLS failure at the bottom of an error, if there is one.
pub(super) fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// `None` for what says nothing about the credential: no TLS at all, a protocol or version that
/// we do not share, and what rustls refuses where other clients do not (certificates of an old
/// form, an authority's certificate used as a server's).
pub(super) fn classify(error: &rustls::Error, has_identity: bool) -> Option<TlsFailure> {
    use rustls::Error::{AlertReceived, InvalidCertificate};
    match error {
        InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Some(TlsFailure::UnknownIssuer)
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Some(TlsFailure::NameMismatch)
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Some(TlsFailure::Expired)
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Some(TlsFailure::NotValidYet)
            }
            _ => None,
        },
        AlertReceived(alert) if has_identity => {
            is_about_certificate(*alert).then_some(TlsFailure::ClientCertificateRefused)
        }
        _ => None,
    }
}

fn is_about_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tls_failure_inside_an_io_error_is_found() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls.clone()));
        assert_eq!(find(&wrapped), Some(&tls));
        assert!(
            wrapped.source().is_none_or(|source| find(source).is_none()),
            "the trap is gone"
        );
        assert_eq!(find(&io::Error::other("no TLS")), None);
        assert_eq!(find(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
    }

    #[test]
    fn an_alert_is_about_our_certificate_only_if_we_showed_one() {
        let alert = rustls::Error::AlertReceived(AlertDescription::UnknownCA);
        assert_eq!(
            classify(&alert, true),
            Some(TlsFailure::ClientCertificateRefused)
        );
        assert_eq!(classify(&alert, false), None);
        let other = rustls::Error::AlertReceived(AlertDescription::ProtocolVersion);
        assert_eq!(classify(&other, true), None);
    }

    #[test]
    fn what_rustls_alone_refuses_says_nothing() {
        for why in [
            CertificateError::BadEncoding,
            CertificateError::UnhandledCriticalExtension,
            CertificateError::InvalidPurpose,
        ] {
            assert_eq!(
                classify(&rustls::Error::InvalidCertificate(why), true),
                None
            );
        }
        assert_eq!(classify(&rustls::Error::DecryptError, true), None);
    }
}
