//! Format `Custom`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::ExposeSecret;

use super::strategies::FIELDS;
use super::*;
use crate::credential::fixtures::TOKEN;

/// What one key with `field` holds; `None` where there is no such Secret.
fn value(field: CustomField, material: &Material) -> Option<String> {
    let contents = render(&custom(&[("key", field)]), material, &facts())?;
    assert_eq!(keys(&contents), ["key"]);
    contents.text("key").map(str::to_string)
}

#[test]
fn every_field_of_a_token_credential_is_written() {
    let material = token_material();
    let document = material.kubeconfig.as_ref().unwrap().expose_secret();
    let authority = AUTHORITY.pem();
    let encoded = BASE64_STANDARD.encode(&authority);
    for (field, expected) in [
        (CustomField::Kubeconfig, Some(document)),
        (CustomField::Server, Some(SERVER)),
        (CustomField::Token, Some(TOKEN)),
        (CustomField::CertificateAuthority, Some(&*authority)),
        (CustomField::CertificateAuthorityBase64, Some(&*encoded)),
        (CustomField::ClientCertificate, None),
        (CustomField::ClientKey, None),
        (CustomField::ExpiresAt, Some("2026-11-29T09:00:00Z")),
        (CustomField::ClusterId, Some(CLUSTER_ID)),
        (CustomField::ClusterName, Some("prod-cluster-01")),
        (CustomField::Region, Some("nyc1")),
        (CustomField::Version, Some("1.36.1-do.0")),
    ] {
        assert_eq!(value(field, &material).as_deref(), expected, "{field:?}");
    }
}

#[test]
fn a_certificate_credential_has_certificate_and_key_in_place_of_the_token() {
    let material = certificate_material();
    let Authentication::Certificate {
        certificate_pem,
        key_pem,
    } = material.credential.authentication()
    else {
        panic!("a certificate");
    };
    let of = |field| value(field, &material);
    assert_eq!(
        of(CustomField::ClientCertificate).as_ref(),
        Some(certificate_pem)
    );
    let key = of(CustomField::ClientKey);
    assert_eq!(key.as_deref(), Some(key_pem.expose_secret()));
    assert_eq!(of(CustomField::Token), None);
    for field in FIELDS {
        assert_eq!(
            of(field).is_none(),
            field == CustomField::Token,
            "{field:?}"
        );
    }
}

#[test]
fn one_key_that_cannot_be_filled_makes_the_whole_output_unsupported() {
    let with_token = custom(&[("a", CustomField::Server), ("b", CustomField::Token)]);
    assert!(desired_of(&with_token, &token_material()).is_some());
    assert!(desired_of(&with_token, &certificate_material()).is_none());
    let with_key = custom(&[("a", CustomField::Server), ("b", CustomField::ClientKey)]);
    assert!(desired_of(&with_key, &certificate_material()).is_some());
    assert!(desired_of(&with_key, &token_material()).is_none());
}

#[test]
fn a_field_may_stand_under_several_keys() {
    let output = custom(&[
        ("endpoint", CustomField::Server),
        ("host", CustomField::Server),
    ]);
    let contents = render(&output, &token_material(), &facts()).unwrap();
    assert_eq!(
        texts(&contents),
        entries(&[("endpoint", SERVER), ("host", SERVER)])
    );
}

#[test]
fn a_kubeconfig_is_needed_exactly_where_a_key_holds_one() {
    for field in FIELDS {
        let output = custom(&[("a", CustomField::Server), ("b", field)]);
        let holds = format_of(OutputFormat::Custom).holds_kubeconfig(&output);
        assert_eq!(holds, field == CustomField::Kubeconfig, "{field:?}");
    }
}

#[test]
fn either_spelling_of_the_authority_is_read_back() {
    for field in [
        CustomField::CertificateAuthority,
        CustomField::CertificateAuthorityBase64,
    ] {
        let output = custom(&[("ca", field)]);
        let contents = render(&output, &token_material(), &facts()).unwrap();
        let parts = format_of(OutputFormat::Custom).read(&contents, &Form::of(&output, &contents));
        assert_eq!(parts.certificate_authority_pem, Some(AUTHORITY.pem()));
        contents_are_no_credential(parts);
    }
}

fn contents_are_no_credential(parts: Parts) {
    assert!(parts.server.is_none() && parts.authentication.is_none() && parts.kubeconfig.is_none());
    assert!(parts.into_material(issue()).is_none());
}
