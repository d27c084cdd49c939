//! Format `Kubeconfig`.

use secrecy::ExposeSecret;

use super::*;
use crate::credential::fixtures::TOKEN;

fn rendered(material: &Material) -> Contents {
    render(&output(), material, &facts()).expect("every kind of credential has this format")
}

#[test]
fn a_token_is_published_with_its_kubeconfig_server_authority_and_expiry() {
    let material = token_material();
    let document = material.kubeconfig.as_ref().unwrap().expose_secret();
    let authority = AUTHORITY.pem();
    let expected = [
        ("ca.crt", authority.as_str()),
        ("expires-at", "2026-11-29T09:00:00Z"),
        ("kubeconfig", document),
        ("server", SERVER),
        ("token", TOKEN),
    ];
    assert_eq!(texts(&rendered(&material)), entries(&expected));
}

#[test]
fn a_client_certificate_is_published_in_place_of_the_token() {
    let contents = rendered(&certificate_material());
    let expected = [
        "ca.crt",
        "client.crt",
        "client.key",
        "expires-at",
        "kubeconfig",
        "server",
    ];
    assert_eq!(keys(&contents), expected);
    assert!(
        contents
            .text("client.crt")
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    assert!(contents.text("client.key").unwrap().contains("PRIVATE KEY"));
}

#[test]
fn the_secret_is_opaque_and_needs_a_kubeconfig() {
    assert_eq!(desired(&token_material()).secret_type, "Opaque");
    assert!(format_of(OutputFormat::Kubeconfig).holds_kubeconfig(&output()));
}

#[test]
fn reading_gives_back_what_was_rendered() {
    for material in materials() {
        let contents = rendered(&material);
        let form = Form::of(&output(), &contents);
        let read = format_of(OutputFormat::Kubeconfig)
            .read(&contents, &form)
            .into_material(material.issue.clone())
            .expect("complete");
        assert_eq!(read.credential, material.credential);
        assert_eq!(read.issue, material.issue);
        assert_eq!(rendered(&read), contents);
    }
}

#[test]
fn what_a_secret_no_longer_says_beside_its_kubeconfig_is_taken_from_that() {
    for material in materials() {
        let complete = rendered(&material);
        let form = Form::of(&output(), &complete);
        let document = material.kubeconfig.as_ref().unwrap().expose_secret();
        let within = kubeconfig::parse(document).unwrap().credential().clone();
        for missing in ["server", "ca.crt", "token", "client.crt", "client.key"] {
            if complete.get(missing).is_none() {
                continue;
            }
            let rest = complete.restricted_to(form.keys().filter(|key| *key != missing));
            let parts = format_of(OutputFormat::Kubeconfig).read(&rest, &form);
            let read = parts
                .into_material(issue())
                .expect("the kubeconfig has all");
            let expected = match missing {
                "token" | "client.crt" | "client.key" => within.authentication(),
                _ => material.credential.authentication(),
            };
            assert_eq!(read.credential.authentication(), expected, "{missing}");
            assert_eq!(read.credential.server(), SERVER);
        }
    }
}

#[test]
fn without_kubeconfig_a_missing_part_leaves_nothing_to_read() {
    for material in materials() {
        let complete = rendered(&material);
        let form = Form::of(&output(), &complete);
        for missing in ["server", "ca.crt", "token", "client.crt", "client.key"] {
            if complete.get(missing).is_none() {
                continue;
            }
            let rest = form
                .keys()
                .filter(|key| ![missing, "kubeconfig"].contains(key));
            let parts =
                format_of(OutputFormat::Kubeconfig).read(&complete.restricted_to(rest), &form);
            assert!(parts.into_material(issue()).is_none(), "without {missing}");
        }
    }
}

#[test]
fn debug_output_shows_keys_and_no_value() {
    let material = token_material();
    let contents = rendered(&material);
    let form = Form::of(&output(), &contents);
    let parts = format_of(OutputFormat::Kubeconfig).read(&contents, &form);
    let found = found(stored(&desired(&material)));
    let shown = format!(
        "{contents:?} {parts:?} {:?} {found:?} {material:?}",
        desired(&material)
    );
    assert!(shown.contains("kubeconfig"));
    for secret in [TOKEN, KUBECONFIG_TOKEN] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
