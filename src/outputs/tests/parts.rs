//! What is read back of a credential, and from which Secrets together.

use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::strategies::{any_material, any_output};
use super::*;
use crate::credential::fixtures::TOKEN;

/// What a Secret written for `output` says.
fn parts_of(output: &Output, material: &Material) -> Option<Parts> {
    let desired = desired_of(output, material)?;
    Some(found(stored(&desired)).parts().expect("intact"))
}

fn exposed(secret: Option<&SecretString>) -> Option<&str> {
    secret.map(ExposeSecret::expose_secret)
}

/// Which parts an output of this format holds: server, authority, authentication, kubeconfig.
fn held(output: &Output) -> [bool; 4] {
    let fields: Vec<_> = output.keys.iter().flatten().map(|key| key.field).collect();
    let has = |field| fields.contains(&field);
    match output.format {
        OutputFormat::Kubeconfig => [true; 4],
        OutputFormat::Flux | OutputFormat::ClusterAPI => [false, false, false, true],
        OutputFormat::ArgoCD => [true, true, true, false],
        OutputFormat::Karmada => [false, true, true, false],
        OutputFormat::Custom => [
            has(CustomField::Server),
            has(CustomField::CertificateAuthority) || has(CustomField::CertificateAuthorityBase64),
            has(CustomField::Token)
                || has(CustomField::ClientCertificate) && has(CustomField::ClientKey),
            has(CustomField::Kubeconfig),
        ],
    }
}

proptest! {
    #[test]
    fn every_part_that_a_secret_holds_is_read_back_and_no_other(
        output in any_output(), material in any_material(),
    ) {
        if let Some(parts) = parts_of(&output, &material) {
            let [server, authority, authentication, document] = held(&output);
            let credential = &material.credential;
            prop_assert_eq!(parts.server.as_deref(), server.then(|| credential.server()));
            prop_assert_eq!(
                parts.certificate_authority_pem.as_deref(),
                authority.then(|| credential.certificate_authority_pem())
            );
            prop_assert_eq!(
                parts.authentication.as_ref(),
                authentication.then(|| credential.authentication())
            );
            let expected = material.kubeconfig.as_ref().filter(|_| document);
            prop_assert_eq!(exposed(parts.kubeconfig.as_ref()), exposed(expected));
        }
    }

    #[test]
    fn what_is_read_is_enough_exactly_where_a_kubeconfig_or_all_of_a_credential_is_held(
        output in any_output(), material in any_material(),
    ) {
        if let Some(parts) = parts_of(&output, &material) {
            let [server, authority, authentication, document] = held(&output);
            let enough = document || server && authority && authentication;
            prop_assert_eq!(parts.into_material(issue()).is_some(), enough);
        }
    }

    #[test]
    fn whatever_is_rendered_again_from_what_was_read_is_the_same(
        output in any_output(), material in any_material(),
    ) {
        if let Some(read) = parts_of(&output, &material).and_then(|parts| parts.into_material(issue())) {
            let again = render(&output, &read, &facts()).expect("the same kind of credential");
            let secrets_of_the_kubeconfig = {
                // A Secret with a kubeconfig and less than the credential beside it gives the
                // kubeconfig's credential.
                let [server, authority, authentication, _] = held(&output);
                !(server && authority && authentication)
            };
            let first = render(&output, &material, &facts()).expect("it was rendered before");
            prop_assert!(again == first || secrets_of_the_kubeconfig);
            prop_assert_eq!(keys(&again), keys(&first));
        }
    }
}

#[test]
fn what_a_secret_was_written_as_counts_and_not_what_the_spec_asks_for_now() {
    // A Secret with other keys under the same names: only its own word tells what they hold.
    let was = custom(&[
        ("token", CustomField::Server),
        ("server", CustomField::Token),
    ]);
    let parts = parts_of(&was, &token_material()).unwrap();
    assert_eq!(parts.server.as_deref(), Some(SERVER));
    let token = parts
        .authentication
        .as_ref()
        .and_then(Authentication::token);
    assert_eq!(exposed(token), Some(TOKEN));
}

#[test]
fn a_secret_is_read_in_its_own_form_whichever_the_spec_asks_for() {
    for was in outputs() {
        let found = found(applied(&desired_of(&was, &token_material()).unwrap()));
        let whole = found.parts().unwrap();
        for asked_for in outputs() {
            // Nothing that is read depends on what is asked for; what is wanted does.
            let placement = placement(DeletionPolicy::Delete);
            let right = placement.is_right(&asked_for, Some(&facts()), &found);
            assert_eq!(
                right,
                asked_for == was,
                "{:?} as {:?}",
                was.format,
                asked_for.format
            );
            let relabelled = placement.relabelled(&asked_for, Some(&facts()), &found);
            assert_eq!(relabelled.is_some(), asked_for == was);
        }
        if was.format != OutputFormat::Karmada {
            let read = whole.into_material(issue()).expect("enough for the others");
            for asked_for in outputs() {
                assert!(render(&asked_for, &read, &facts()).is_some());
            }
        }
    }
}

#[test]
fn several_secrets_together_tell_what_none_of_them_does() {
    let material = token_material();
    let part = |output: &Output| parts_of(output, &material).unwrap();
    let karmada = output_of(OutputFormat::Karmada);
    let endpoint = custom(&[("endpoint", CustomField::Server)]);
    for outputs in [[&karmada, &endpoint], [&endpoint, &karmada]] {
        for output in outputs {
            assert!(part(output).into_material(issue()).is_none(), "not alone");
        }
        let [one, other] = outputs.map(part);
        let whole = one.or(other).into_material(issue()).expect("together");
        assert_eq!(whole.credential, material.credential);
        assert!(whole.kubeconfig.is_none());
    }
}

#[test]
fn a_kubeconfig_gives_a_credential_and_a_credential_gives_a_kubeconfig() {
    for material in materials() {
        let flux = parts_of(&output_of(OutputFormat::Flux), &material).unwrap();
        let read = flux.into_material(issue()).expect("a kubeconfig holds all");
        let document = exposed(material.kubeconfig.as_ref()).unwrap();
        let within = kubeconfig::parse(document).unwrap().credential().clone();
        assert_eq!(read.credential, within);
        assert_eq!(exposed(read.kubeconfig.as_ref()), Some(document));
        let argocd = render(&output_of(OutputFormat::ArgoCD), &read, &facts()).unwrap();
        assert_eq!(argocd.text("server"), Some(SERVER));

        let argocd = parts_of(&output_of(OutputFormat::ArgoCD), &material).unwrap();
        let read = argocd.into_material(issue()).expect("a whole credential");
        assert_eq!(read.credential, material.credential);
        let flux = render(&output_of(OutputFormat::Flux), &read, &facts()).unwrap();
        let written = kubeconfig::parse(flux.text("value").unwrap()).unwrap();
        assert_eq!(*written.credential(), material.credential);
    }
}

#[test]
fn of_two_secrets_that_hold_the_same_part_the_first_counts() {
    let part = |server: &str, token: &str| Parts {
        server: Some(server.to_string()),
        certificate_authority_pem: Some(AUTHORITY.pem()),
        authentication: Some(Authentication::Token(token.into())),
        kubeconfig: Some(server.to_string().into()),
    };
    let merged = part("https://a", "1").or(part("https://b", "2"));
    assert_eq!(merged.server.as_deref(), Some("https://a"));
    let token = merged
        .authentication
        .as_ref()
        .and_then(Authentication::token);
    assert_eq!(exposed(token), Some("1"));
    assert_eq!(exposed(merged.kubeconfig.as_ref()), Some("https://a"));
    let filled = Parts::default().or(part("https://b", "2"));
    assert_eq!(filled.server.as_deref(), Some("https://b"));
    assert_eq!(filled.certificate_authority_pem, Some(AUTHORITY.pem()));
    assert_eq!(exposed(filled.kubeconfig.as_ref()), Some("https://b"));
}

#[test]
fn the_parts_of_a_material_are_all_that_it_has() {
    for material in materials() {
        let again = Parts::of_material(&material)
            .into_material(issue())
            .unwrap();
        assert_eq!(again.credential, material.credential);
        assert_eq!(
            exposed(again.kubeconfig.as_ref()),
            exposed(material.kubeconfig.as_ref())
        );
    }
}
