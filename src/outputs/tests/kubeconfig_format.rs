//! Format `Kubeconfig`.

use super::*;
use crate::api::OutputFormat;
use crate::credential::fixtures::{AUTHORITY, SERVER, TOKEN};

fn format() -> &'static dyn Format {
    format_of(OutputFormat::Kubeconfig).expect("this version has it")
}

fn render(material: &Material) -> Contents {
    format().render(&output(), material).expect("renders")
}

#[test]
fn a_token_is_published_with_its_kubeconfig_server_authority_and_expiry() {
    let contents = render(&token_material());
    let expected = [
        ("ca.crt", AUTHORITY.pem()),
        ("expires-at", "2026-11-29T09:00:00Z".to_string()),
        ("kubeconfig", DOCUMENT.to_string()),
        ("server", SERVER.to_string()),
        ("token", TOKEN.to_string()),
    ];
    let found: Vec<_> = contents
        .iter()
        .map(|(key, value)| (key, String::from_utf8(value.to_vec()).unwrap()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_client_certificate_is_published_in_place_of_the_token() {
    let contents = render(&certificate_material());
    let keys = [
        "ca.crt",
        "client.crt",
        "client.key",
        "expires-at",
        "kubeconfig",
        "server",
    ];
    assert_eq!(contents.keys(), keys);
    assert!(
        contents
            .text("client.crt")
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    assert!(contents.text("client.key").unwrap().contains("PRIVATE KEY"));
}

#[test]
fn the_secret_is_opaque() {
    assert_eq!(format().secret_type(), "Opaque");
    assert_eq!(desired(&token_material()).secret_type, "Opaque");
}

#[test]
fn an_issue_must_provide_a_kubeconfig() {
    assert!(format().holds_kubeconfig(&output()));
    let without = Material {
        kubeconfig: None,
        ..token_material()
    };
    assert!(format().render(&output(), &without).is_none());
    assert!(
        placement(DeletionPolicy::Delete)
            .desired(&output(), &without)
            .is_none()
    );
}

#[test]
fn what_is_rendered_has_one_of_the_sets_of_keys_that_drift_is_judged_by() {
    for material in [token_material(), certificate_material()] {
        let mut sets = format().key_sets(&output());
        for keys in &mut sets {
            keys.sort();
        }
        assert!(sets.contains(&render(&material).keys()), "{sets:?}");
    }
}

#[test]
fn reading_gives_back_what_was_rendered() {
    for material in [token_material(), certificate_material()] {
        let read = format()
            .read(&render(&material))
            .into_material(material.issue.clone())
            .expect("complete");
        assert_eq!(read.credential, material.credential);
        assert_eq!(read.issue, material.issue);
        assert_eq!(render(&read), render(&material));
    }
}

#[test]
fn without_server_authority_or_login_there_is_nothing_to_read() {
    for material in [token_material(), certificate_material()] {
        let complete = render(&material);
        for missing in ["server", "ca.crt", "token", "client.crt", "client.key"] {
            let keys = complete.keys();
            if !keys.iter().any(|key| key == missing) {
                continue;
            }
            let rest: Vec<_> = keys.into_iter().filter(|key| key != missing).collect();
            let parts = format().read(&complete.restricted_to(&rest));
            assert!(parts.into_material(issue()).is_none(), "without {missing}");
        }
    }
}

#[test]
fn the_formats_of_the_next_version_have_no_implementation_that_could_write_something_else() {
    for format in [
        OutputFormat::Flux,
        OutputFormat::ArgoCD,
        OutputFormat::ClusterAPI,
        OutputFormat::Karmada,
        OutputFormat::Custom,
    ] {
        assert!(format_of(format).is_none(), "{format:?}");
        let output = Output { format, ..output() };
        assert!(
            placement(DeletionPolicy::Delete)
                .desired(&output, &token_material())
                .is_none()
        );
    }
}

#[test]
fn debug_output_shows_keys_and_no_value() {
    let material = token_material();
    let shown = format!(
        "{:?} {:?} {material:?}",
        render(&material),
        desired(&material)
    );
    assert!(shown.contains("kubeconfig"));
    for secret in [TOKEN, DOCUMENT] {
        assert!(!shown.contains(secret.trim()), "{shown}");
    }
}
