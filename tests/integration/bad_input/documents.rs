//! Credentials and kubeconfigs that must not end up in a Secret.

use do_cluster_access::api::Reason::ApiResponseInvalid;
use do_cluster_access_testbed::simulator::{
    BrokenAuthority, ExpiresAt, Fault, FaultKind, KubeconfigDefect, Operation,
};

use super::{Case, Heals, LIFETIME_SECONDS, Scene, Stranger, Trouble, cases, on, play};
use crate::harness::annotation;
use Operation::{GetCredentials, GetKubeconfig};

/// Wrong in credentials and kubeconfig alike.
fn invalid(kind: FaultKind) -> Case {
    Case::ends_in(
        Trouble::Answer(Fault::new(kind)),
        ApiResponseInvalid,
        Heals::Retry,
    )
}

fn expires_at(value: ExpiresAt) -> Case {
    on(
        GetCredentials,
        FaultKind::ExpiresAt(value),
        ApiResponseInvalid,
    )
}

fn kubeconfig(defect: KubeconfigDefect) -> Case {
    on(
        GetKubeconfig,
        FaultKind::Kubeconfig(defect),
        ApiResponseInvalid,
    )
}

cases! {
    an_expiry_in_the_past: expires_at(ExpiresAt::Past);
    an_expiry_that_is_no_time: expires_at(ExpiresAt::Unparsable);
    an_expiry_without_characters: expires_at(ExpiresAt::Empty);

    a_server_without_tls: invalid(FaultKind::PlainHttpServer);
    an_authority_that_is_no_base64:
        invalid(FaultKind::CertificateAuthority(BrokenAuthority::NotBase64));
    an_authority_that_is_no_pem:
        invalid(FaultKind::CertificateAuthority(BrokenAuthority::NotPem));
    no_authority:
        invalid(FaultKind::CertificateAuthority(BrokenAuthority::Absent));
    an_authority_that_is_no_pem_in_the_kubeconfig_alone:
        on(
            GetKubeconfig,
            FaultKind::CertificateAuthority(BrokenAuthority::NotPem),
            ApiResponseInvalid,
        );
    credentials_without_token_and_certificate:
        on(GetCredentials, FaultKind::NoCredential, ApiResponseInvalid);

    a_kubeconfig_that_runs_a_program: kubeconfig(KubeconfigDefect::Exec);
    a_kubeconfig_with_an_auth_provider: kubeconfig(KubeconfigDefect::AuthProvider);
    a_kubeconfig_with_the_token_in_a_file: kubeconfig(KubeconfigDefect::TokenFile);
    a_kubeconfig_with_the_certificate_in_a_file: kubeconfig(KubeconfigDefect::ClientCertificateFile);
    a_kubeconfig_with_the_authority_in_a_file:
        kubeconfig(KubeconfigDefect::CertificateAuthorityFile);
    a_kubeconfig_with_a_proxy: kubeconfig(KubeconfigDefect::ProxyUrl);
    a_kubeconfig_that_skips_tls_verification: kubeconfig(KubeconfigDefect::InsecureSkipTlsVerify);
    a_kubeconfig_with_two_contexts: kubeconfig(KubeconfigDefect::TwoContexts);
    a_kubeconfig_with_two_users: kubeconfig(KubeconfigDefect::TwoUsers);
    a_kubeconfig_with_two_clusters: kubeconfig(KubeconfigDefect::TwoClusters);
    a_kubeconfig_without_credential: kubeconfig(KubeconfigDefect::NoCredential);
    a_kubeconfig_that_is_no_yaml: kubeconfig(KubeconfigDefect::NotYaml);
    a_kubeconfig_that_is_none: kubeconfig(KubeconfigDefect::NotAKubeconfig);
}

#[tokio::test]
async fn a_server_that_is_not_the_clusters_endpoint_is_not_even_asked() {
    let stage = stage!();
    let stranger = Stranger::new().await;
    play(stage, invalid(FaultKind::Server(stranger.url("https")))).await;
    stranger.assert_left_alone();
}

#[tokio::test]
async fn another_server_in_the_kubeconfig_alone_is_not_even_asked() {
    let stage = stage!();
    let stranger = Stranger::new().await;
    let server = FaultKind::Server(stranger.url("https"));
    play(stage, on(GetKubeconfig, server, ApiResponseInvalid)).await;
    stranger.assert_left_alone();
}

/// A token whose end DigitalOcean does not tell lives as long as was asked for.
async fn lives_as_long_as_was_asked_for(stage: crate::harness::Stage, value: ExpiresAt) {
    let trouble = Trouble::Answer(Fault::new(FaultKind::ExpiresAt(value)));
    let scene = Scene::set(stage, &trouble).await;
    scene.first.ready().await;
    scene.is_rotated().await;
    for access in [&scene.first, &scene.published] {
        let secret = access.secret().await;
        let second = |name| {
            let instant: jiff::Timestamp = annotation(&secret, name).parse().unwrap();
            instant.as_second()
        };
        assert_eq!(second("expires-at") - second("issued-at"), LIFETIME_SECONDS);
    }
}

#[tokio::test]
async fn a_null_expiry_is_that_which_was_asked_for() {
    lives_as_long_as_was_asked_for(stage!(), ExpiresAt::Null).await;
}

#[tokio::test]
async fn an_absent_expiry_is_that_which_was_asked_for() {
    lives_as_long_as_was_asked_for(stage!(), ExpiresAt::Absent).await;
}

#[tokio::test]
async fn an_expiry_in_the_year_1_is_that_which_was_asked_for() {
    lives_as_long_as_was_asked_for(stage!(), ExpiresAt::YearOne).await;
}
