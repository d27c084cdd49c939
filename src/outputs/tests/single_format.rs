//! Each format but `Kubeconfig`, `ArgoCD` and `Custom`, which have files of their own: its keys, its
//! type, its labels, and for which credentials there is none.

use secrecy::ExposeSecret;

use super::*;
use crate::credential::fixtures::TOKEN;

/// The labels that every Secret has, and these.
fn with_ours(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut labels = entries(&[
        ("app.kubernetes.io/managed-by", "do-cluster-access"),
        ("doclusteraccess.dev/access", "prod"),
        ("team", "payments"),
    ]);
    labels.extend(entries(more));
    labels
}

#[test]
fn each_format_has_the_type_and_labels_that_its_consumer_looks_for() {
    let watch = ("reconcile.fluxcd.io/watch", "Enabled");
    let cluster = ("cluster.x-k8s.io/cluster-name", "prod");
    let argocd = [
        ("argocd.argoproj.io/secret-type", "cluster"),
        ("doclusteraccess.dev/cluster-id", CLUSTER_ID),
        ("doclusteraccess.dev/cluster-name", "prod-cluster-01"),
        ("doclusteraccess.dev/region", "nyc1"),
        ("doclusteraccess.dev/version", "1.36.1-do.0"),
        ("tags.doclusteraccess.dev/env", "prod"),
        ("tags.doclusteraccess.dev/blue", "true"),
    ];
    let expected = [
        ("Opaque", with_ours(&[])),
        ("Opaque", with_ours(&[watch])),
        ("Opaque", with_ours(&argocd)),
        ("cluster.x-k8s.io/secret", with_ours(&[cluster])),
        ("Opaque", with_ours(&[])),
        ("Opaque", with_ours(&[])),
    ];
    for (output, (secret_type, labels)) in outputs().into_iter().zip(expected) {
        let desired = desired_of(&output, &token_material()).unwrap();
        assert_eq!(desired.secret_type, secret_type, "{:?}", output.format);
        assert_eq!(desired.labels, labels, "{:?}", output.format);
        assert_eq!(desired.apply_body(&[])["type"], secret_type);
    }
}

#[test]
fn a_label_that_the_consumer_looks_for_is_not_the_users_to_change() {
    for (format, label) in [
        (OutputFormat::Flux, "reconcile.fluxcd.io/watch"),
        (OutputFormat::ArgoCD, "argocd.argoproj.io/secret-type"),
        (OutputFormat::ClusterAPI, "cluster.x-k8s.io/cluster-name"),
    ] {
        let mut output = output_of(format);
        output
            .labels
            .insert(label.to_string(), "theirs".to_string());
        let desired = desired_of(&output, &token_material()).unwrap();
        assert_ne!(desired.labels[label], "theirs");
    }
}

#[test]
fn flux_and_cluster_api_read_one_kubeconfig() {
    for format in [OutputFormat::Flux, OutputFormat::ClusterAPI] {
        for material in materials() {
            let document = material.kubeconfig.as_ref().unwrap().expose_secret();
            let contents = render(&output_of(format), &material, &facts()).unwrap();
            assert_eq!(texts(&contents), entries(&[("value", document)]));
        }
    }
}

#[test]
fn cluster_api_is_told_the_name_of_its_cluster_by_the_name_of_the_secret() {
    for (secret, cluster) in [
        ("prod-kubeconfig", "prod"),
        ("prod-kubeconfig-kubeconfig", "prod-kubeconfig"),
    ] {
        let output = Output {
            secret_name: secret.to_string(),
            ..output_of(OutputFormat::ClusterAPI)
        };
        let desired = desired_of(&output, &token_material()).unwrap();
        assert_eq!(desired.labels["cluster.x-k8s.io/cluster-name"], cluster);
    }
}

#[test]
fn karmada_reads_a_token_and_an_authority() {
    let contents = render(
        &output_of(OutputFormat::Karmada),
        &token_material(),
        &facts(),
    );
    let authority = AUTHORITY.pem();
    let expected = entries(&[("caBundle", &authority), ("token", TOKEN)]);
    assert_eq!(texts(&contents.unwrap()), expected);
}

#[test]
fn karmada_cannot_use_a_client_certificate() {
    let output = output_of(OutputFormat::Karmada);
    assert!(render(&output, &certificate_material(), &facts()).is_none());
    assert!(desired_of(&output, &certificate_material()).is_none());
}

#[test]
fn every_other_format_is_there_for_either_kind_of_credential() {
    for output in outputs() {
        let is_karmada = output.format == OutputFormat::Karmada;
        let with_certificate = desired_of(&output, &certificate_material());
        assert_eq!(
            with_certificate.is_none(),
            is_karmada,
            "{:?}",
            output.format
        );
        assert!(desired_of(&output, &token_material()).is_some());
    }
}

#[test]
fn an_issue_must_provide_a_kubeconfig_exactly_for_the_formats_that_hold_one() {
    let held: Vec<_> = outputs()
        .iter()
        .map(|output| format_of(output.format).holds_kubeconfig(output))
        .collect();
    assert_eq!(held, [true, true, false, true, false, true]);
    for output in outputs() {
        let contents = render(&output, &token_material(), &facts()).unwrap();
        let texts = texts(&contents);
        let holds = texts.values().any(|text| text.contains(KUBECONFIG_TOKEN));
        let says = format_of(output.format).holds_kubeconfig(&output);
        assert_eq!(holds, says, "{:?}", output.format);
    }
}

#[test]
fn where_an_issue_brought_no_kubeconfig_one_is_written_with_the_credential_in_it() {
    for material in materials() {
        let without = Material {
            kubeconfig: None,
            ..material.clone()
        };
        for format in [OutputFormat::Flux, OutputFormat::ClusterAPI] {
            let contents = render(&output_of(format), &without, &facts()).unwrap();
            let written = kubeconfig::parse(contents.text("value").unwrap()).unwrap();
            assert_eq!(written.context(), "do-nyc1-prod-cluster-01");
            assert_eq!(written.credential(), &material.credential);
        }
    }
}
