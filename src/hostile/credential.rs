//! What holds of every credential that was accepted, wherever it comes from.

use reqwest::Url;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::ExposeSecret;

use super::secrecy::hides;
use crate::credential::{Authentication, Credential, EncodedCredential};

/// Checks `credential` against readers that are not ours: those of consumers are as strict.
pub(crate) fn is_sound(credential: &Credential) {
    is_https(credential.server());
    credential
        .check_endpoint(credential.server())
        .expect("it is for its own endpoint");
    all_are_certificates(credential.certificate_authority_pem());
    match credential.authentication() {
        Authentication::Token(token) => {
            let token = token.expose_secret();
            assert!(!token.is_empty());
            assert!(token.bytes().all(|byte| byte.is_ascii_graphic()));
            assert_eq!(credential.not_after(), None);
        }
        Authentication::Certificate {
            certificate_pem,
            key_pem,
        } => {
            all_are_certificates(certificate_pem);
            PrivateKeyDer::from_pem_slice(key_pem.expose_secret().as_bytes()).expect("a key");
            assert!(credential.not_after().is_some());
        }
    }
    let encoded = EncodedCredential::from(credential);
    let shown = format!(
        "{credential:?} {:?} {encoded:?}",
        credential.authentication()
    );
    hides(credential, &shown, &[credential.server()]);
    assert_eq!(encoded.decode().as_ref(), Ok(credential));
}

fn is_https(server: &str) {
    let url = Url::parse(server).expect("a server that others can read");
    assert_eq!(url.scheme(), "https");
    assert!(url.host_str().is_some_and(|host| !host.is_empty()));
    assert!(url.username().is_empty() && url.password().is_none());
    assert!(url.query().is_none() && url.fragment().is_none());
}

fn all_are_certificates(pem: &str) {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .expect("PEM that others can read");
    assert!(!certificates.is_empty());
    assert!(
        !pem.contains("PRIVATE KEY-----"),
        "a key among certificates"
    );
}
