//! Format `Custom`: keys of the user's choice, for consumers that have no format of their own.

use secrecy::ExposeSecret;

use super::{Contents, Facts, Form, Format, Parts, Source, rfc3339};
use crate::api::{CustomField, CustomKey, Output};
use crate::credential::{Authentication, from_base64};

/// Format `Custom`.
pub(super) struct Custom;

impl Format for Custom {
    fn holds_kubeconfig(&self, output: &Output) -> bool {
        keys(output)
            .iter()
            .any(|key| key.field == CustomField::Kubeconfig)
    }

    fn inputs(&self, output: &Output, facts: &Facts) -> Vec<String> {
        keys(output)
            .iter()
            .map(|key| match fact(key.field, facts) {
                Some(fact) => format!("{}={:?}={fact}", key.key, key.field),
                None => format!("{}={:?}", key.key, key.field),
            })
            .collect()
    }

    fn render(&self, source: &Source<'_>) -> Option<Contents> {
        let mut contents = Contents::default();
        for key in keys(source.output) {
            contents.insert(&key.key, &value(key.field, source)?);
        }
        Some(contents)
    }

    fn read(&self, contents: &Contents, form: &Form) -> Parts {
        let text = |wanted: CustomField| {
            let mut keys = form.keys.iter();
            let (key, _) = keys.find(|(_, field)| *field == Some(wanted))?;
            contents.text(key)
        };
        let secret = |wanted: CustomField| text(wanted).map(Into::into);
        let authority = text(CustomField::CertificateAuthority).map(str::to_string);
        let encoded = || text(CustomField::CertificateAuthorityBase64).and_then(from_base64);
        Parts {
            server: text(CustomField::Server).map(str::to_string),
            certificate_authority_pem: authority.or_else(encoded),
            authentication: Authentication::from_parts(
                secret(CustomField::Token),
                text(CustomField::ClientCertificate),
                secret(CustomField::ClientKey),
            ),
            kubeconfig: secret(CustomField::Kubeconfig),
        }
    }
}

fn keys(output: &Output) -> &[CustomKey] {
    output.keys.as_deref().unwrap_or_default()
}

/// The value of a field that is a fact of the cluster.
fn fact(field: CustomField, facts: &Facts) -> Option<&str> {
    match field {
        CustomField::ClusterId => Some(&facts.cluster_id),
        CustomField::ClusterName => Some(&facts.cluster_name),
        CustomField::Region => Some(&facts.region),
        CustomField::Version => Some(&facts.version),
        _ => None,
    }
}

/// The value of a field; `None` where this kind of credential has none.
fn value(field: CustomField, source: &Source<'_>) -> Option<String> {
    let credential = &source.material.credential;
    let certificate = match credential.authentication() {
        Authentication::Certificate {
            certificate_pem,
            key_pem,
        } => Some((certificate_pem, key_pem)),
        Authentication::Token(_) => None,
    };
    Some(match field {
        CustomField::Kubeconfig => {
            let kubeconfig = source.material.kubeconfig(source.facts);
            kubeconfig.expose_secret().to_string()
        }
        CustomField::Server => credential.server().to_string(),
        CustomField::Token => credential.authentication().token()?.expose_secret().to_string(),
        CustomField::CertificateAuthority => credential.certificate_authority_pem().to_string(),
        CustomField::CertificateAuthorityBase64 => credential.certificate_authority_base64(),
        CustomField::ClientCertificate => certificate?.0.clone(),
        CustomField::ClientKey => certificate?.1.expose_secret().to_string(),
        CustomField::ExpiresAt => rfc3339(source.material.issue.expires_at),
        CustomField::ClusterId
        | CustomField::ClusterName
        | CustomField::Region
        | CustomField::Version => fact(field, source.facts)?.to_string(),
    })
}
