//! Format `Karmada`: what a Karmada `Cluster` reads by `spec.secretRef`.

use super::{Contents, Form, Format, Parts, Source};
use crate::api::Output;
use crate::credential::Authentication;

const TOKEN: &str = "token";
const CERTIFICATE_AUTHORITY: &str = "caBundle";

/// Format `Karmada`.
pub(super) struct Karmada;

impl Format for Karmada {
    fn holds_kubeconfig(&self, _: &Output) -> bool {
        false
    }

    /// Karmada knows tokens alone.
    fn render(&self, source: &Source<'_>) -> Option<Contents> {
        let credential = &source.material.credential;
        let mut contents = Contents::default();
        contents.insert_secret(TOKEN, credential.authentication().token()?);
        contents.insert(
            CERTIFICATE_AUTHORITY,
            credential.certificate_authority_pem(),
        );
        Some(contents)
    }

    /// Where the cluster is stands in Karmada's own object.
    fn read(&self, contents: &Contents, _: &Form) -> Parts {
        Parts {
            certificate_authority_pem: contents.text(CERTIFICATE_AUTHORITY).map(str::to_string),
            authentication: contents.secret(TOKEN).map(Authentication::Token),
            ..Parts::default()
        }
    }
}
