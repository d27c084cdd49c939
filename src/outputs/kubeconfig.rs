//! Format `Kubeconfig`: a kubeconfig for people, kubectl and CI, and its parts beside it.

use super::{Contents, Form, Format, Parts, Source, rfc3339};
use crate::api::Output;
use crate::credential::Authentication;

const KUBECONFIG: &str = "kubeconfig";
const SERVER: &str = "server";
const CERTIFICATE_AUTHORITY: &str = "ca.crt";
const TOKEN: &str = "token";
const CLIENT_CERTIFICATE: &str = "client.crt";
const CLIENT_KEY: &str = "client.key";
const EXPIRES_AT: &str = "expires-at";

/// Format `Kubeconfig`.
pub(super) struct Kubeconfig;

impl Format for Kubeconfig {
    fn holds_kubeconfig(&self, _: &Output) -> bool {
        true
    }

    fn render(&self, source: &Source<'_>) -> Option<Contents> {
        let material = source.material;
        let mut contents = Contents::kubeconfig_under(KUBECONFIG, source);
        contents.insert(SERVER, material.credential.server());
        contents.insert(
            CERTIFICATE_AUTHORITY,
            material.credential.certificate_authority_pem(),
        );
        contents.insert(EXPIRES_AT, &rfc3339(material.issue.expires_at));
        match material.credential.authentication() {
            Authentication::Token(token) => contents.insert_secret(TOKEN, token),
            Authentication::Certificate {
                certificate_pem,
                key_pem,
            } => {
                contents.insert(CLIENT_CERTIFICATE, certificate_pem);
                contents.insert_secret(CLIENT_KEY, key_pem);
            }
        }
        Some(contents)
    }

    fn read(&self, contents: &Contents, _: &Form) -> Parts {
        Parts {
            server: contents.text(SERVER).map(str::to_string),
            certificate_authority_pem: contents.text(CERTIFICATE_AUTHORITY).map(str::to_string),
            authentication: Authentication::from_parts(
                contents.secret(TOKEN),
                contents.text(CLIENT_CERTIFICATE),
                contents.secret(CLIENT_KEY),
            ),
            kubeconfig: contents.secret(KUBECONFIG),
        }
    }
}
