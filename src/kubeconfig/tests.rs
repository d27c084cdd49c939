use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;
use crate::credential::fixtures::{
    AUTHORITY, SERVER, TOKEN, certificate_credential, token_credential,
};
use crate::credential::{Authentication, CredentialError, to_base64};

mod largest;

const CLUSTER: &str = "    server: SERVER\n    certificate-authority-data: AUTHORITY\n";
const USER: &str = "    token: TOKEN\n";

/// A document as DigitalOcean writes it, with other fields of the cluster and the user.
fn document(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\n\
         clusters:\n- cluster:\n{cluster}  name: do-nyc1-prod\n\
         contexts:\n- context:\n    cluster: do-nyc1-prod\n    user: do-nyc1-prod-admin\n  \
         name: do-nyc1-prod\n\
         current-context: do-nyc1-prod\n\
         kind: Config\n\
         preferences: {{}}\n\
         users:\n- name: do-nyc1-prod-admin\n  user:\n{user}"
    )
    .replace("SERVER", SERVER)
    .replace("TOKEN", TOKEN)
    .replace("AUTHORITY", &to_base64(&AUTHORITY.pem()))
}

fn sound() -> String {
    document(CLUSTER, USER)
}

fn refused(text: &str) -> KubeconfigError {
    parse(text).expect_err(text)
}

#[test]
fn digitaloceans_document_is_read() {
    let kubeconfig = parse(&sound()).expect("sound");
    assert_eq!(kubeconfig.context(), "do-nyc1-prod");
    assert_eq!(kubeconfig.credential(), &token_credential());
    assert_eq!(*kubeconfig.credential(), token_credential());
}

#[test]
fn a_document_marker_comments_and_unknown_fields_change_nothing() {
    let text = format!(
        "---\n# of DigitalOcean\n{}",
        sound()
            .replace(
                "preferences: {}",
                "preferences: {colors: true}\nextensions: [{name: x}]"
            )
            .replace("    token", "    new-field: 1\n    token")
            .replace("    user: do", "    namespace: default\n    user: do")
    );
    assert_eq!(
        parse(&text).expect("sound").credential(),
        &token_credential()
    );
}

#[test]
fn json_is_yaml() {
    let json = serde_json::json!({
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {
            "server": SERVER,
            "certificate-authority-data": to_base64(&AUTHORITY.pem()),
            "insecure-skip-tls-verify": false,
        }}],
        "users": [{"name": "u", "user": {"token": TOKEN, "exec": null, "username": null}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    });
    assert_eq!(
        parse(&json.to_string()).expect("sound").credential(),
        &token_credential()
    );
}

#[test]
fn a_client_certificate_is_read() {
    let encoded = EncodedCredential::from(&certificate_credential());
    // A certificate is made anew by every call, so take both parts from one.
    let user = format!(
        "    client-certificate-data: {}\n    client-key-data: {}\n",
        encoded
            .client_certificate_data
            .clone()
            .expect("a certificate"),
        encoded
            .client_key_data
            .as_ref()
            .expect("a key")
            .expose_secret(),
    );
    let kubeconfig = parse(&document(CLUSTER, &user)).expect("sound");
    assert_eq!(Ok(kubeconfig.credential().clone()), encoded.decode());
}

#[test]
fn what_a_consumer_would_obey_is_refused_in_the_user() {
    for (field, why) in [
        ("exec: {command: doctl}", Refused::Exec),
        ("exec: {}", Refused::Exec),
        ("exec: \"\"", Refused::Exec),
        ("auth-provider: {name: oidc}", Refused::AuthProvider),
        ("tokenFile: /var/run/token", Refused::TokenFile),
        ("client-certificate: /a.crt", Refused::ClientCertificateFile),
        ("client-key: /a.key", Refused::ClientCertificateFile),
        ("username: admin", Refused::BasicAuthentication),
        ("password: admin", Refused::BasicAuthentication),
        ("as: root", Refused::Impersonation),
        ("as-uid: \"0\"", Refused::Impersonation),
        ("as-groups: [\"system:masters\"]", Refused::Impersonation),
        ("as-user-extra: {a: [b]}", Refused::Impersonation),
    ] {
        let text = document(CLUSTER, &format!("{USER}    {field}\n"));
        assert_eq!(refused(&text), KubeconfigError::Refused(why), "{field}");
    }
}

#[test]
fn what_a_consumer_would_obey_is_refused_in_the_cluster() {
    for (field, why) in [
        (
            "certificate-authority: /ca.crt",
            Refused::CertificateAuthorityFile,
        ),
        ("proxy-url: http://proxy:3128", Refused::ProxyUrl),
        (
            "insecure-skip-tls-verify: true",
            Refused::InsecureSkipTlsVerify,
        ),
        ("tls-server-name: other", Refused::TlsServerName),
    ] {
        let text = document(&format!("{CLUSTER}    {field}\n"), USER);
        assert_eq!(refused(&text), KubeconfigError::Refused(why), "{field}");
    }
    let harmless = document(
        &format!("{CLUSTER}    insecure-skip-tls-verify: false\n"),
        USER,
    );
    parse(&harmless).expect("verification is on");
}

#[test]
fn a_second_cluster_user_or_context_is_refused() {
    for (list, entry, part) in [
        (
            "clusters:\n",
            "- cluster: {server: \"https://other\"}\n  name: other\n",
            Part::Cluster,
        ),
        (
            "users:\n",
            "- name: other\n  user: {token: other}\n",
            Part::User,
        ),
        (
            "contexts:\n",
            "- name: other\n  context: {cluster: a, user: b}\n",
            Part::Context,
        ),
    ] {
        let text = sound().replace(list, &format!("{list}{entry}"));
        assert_eq!(refused(&text), KubeconfigError::MoreThanOne(part));
    }
}

#[test]
fn missing_parts_are_named() {
    let without = |key: &str| {
        let mut value: serde_json::Value =
            serde_saphyr::from_str(&sound()).expect("the sample is YAML");
        value
            .as_object_mut()
            .expect("a mapping")
            .remove(key)
            .expect(key);
        value.to_string()
    };
    for (key, part) in [
        ("clusters", Part::Cluster),
        ("users", Part::User),
        ("contexts", Part::Context),
        ("current-context", Part::CurrentContext),
    ] {
        assert_eq!(refused(&without(key)), KubeconfigError::Missing(part));
    }
    let nameless = sound().replace("  name: do-nyc1-prod\n", "  name: \"\"\n");
    assert_eq!(refused(&nameless), KubeconfigError::Missing(Part::Context));
    let empty = sound().replace("current-context: do-nyc1-prod", "current-context: ''");
    assert_eq!(
        refused(&empty),
        KubeconfigError::Missing(Part::CurrentContext)
    );
}

#[test]
fn dangling_references_are_refused() {
    for (from, to, part) in [
        (
            "current-context: do-nyc1-prod",
            "current-context: other",
            Part::Context,
        ),
        (
            "    cluster: do-nyc1-prod",
            "    cluster: other",
            Part::Cluster,
        ),
        ("    cluster: do-nyc1-prod\n", "", Part::Cluster),
        (
            "    user: do-nyc1-prod-admin",
            "    user: other",
            Part::User,
        ),
    ] {
        let text = sound().replace(from, to);
        assert_ne!(text, sound());
        assert_eq!(
            refused(&text),
            KubeconfigError::DanglingReference(part),
            "{to}"
        );
    }
}

#[test]
fn an_unsound_credential_is_refused_with_its_reason() {
    let authority = "    certificate-authority-data: AUTHORITY\n";
    for (cluster, user, why) in [
        (authority.to_owned(), USER, CredentialError::MissingServer),
        (
            format!("    server: http://a\n{authority}"),
            USER,
            CredentialError::ServerNotHttps,
        ),
        (
            "    server: SERVER\n".into(),
            USER,
            CredentialError::MissingCertificateAuthority,
        ),
        (
            "    server: SERVER\n    certificate-authority-data: AAAA\n".into(),
            USER,
            CredentialError::CertificateAuthorityNotPem,
        ),
        (
            CLUSTER.into(),
            "    token: \"\"\n",
            CredentialError::NoAuthentication,
        ),
        (
            CLUSTER.into(),
            "    client-key-data: QQ==\n",
            CredentialError::HalfCertificate,
        ),
        (
            CLUSTER.into(),
            "    token: a\n    client-key-data: QQ==\n",
            CredentialError::TwoAuthentications,
        ),
    ] {
        let text = document(&cluster, user);
        assert_eq!(refused(&text), KubeconfigError::Credential(why), "{text}");
    }
}

#[test]
fn what_is_no_kubeconfig_is_refused() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let wide = format!("a: [{}]", "x,".repeat(10_000));
    for text in [
        "<html><body>Sign in</body></html>",
        "just words",
        "[]",
        "a: &a [b]\nc: *a",
        "\u{0}",
        "a: b: c",
        "{",
        "clusters: 1",
        "kind: Secret",
        "apiVersion: v2",
        &deep,
        &wide,
        &format!("{}\n---\n{}", sound(), sound()),
        &sound().replace("kind: Config", "kind: Config\nkind: Config"),
        &sound().replace("preferences: {}", "<<: {users: []}"),
    ] {
        assert_eq!(refused(text), KubeconfigError::NotAKubeconfig, "{text}");
    }
    for nothing in ["", "---\n", "{}", "kind: Config"] {
        parse(nothing).expect_err(nothing);
    }
    assert_eq!(
        refused(&" ".repeat(MAX_BYTES + 1)),
        KubeconfigError::TooLong
    );
}

#[test]
fn no_error_quotes_the_document() {
    for text in [
        sound().replace("    token", "    token: [1]\n    token"),
        sound().replace("current-context: do-nyc1-prod", "current-context: {a: b}"),
        format!("{}{TOKEN}: {TOKEN}: {TOKEN}", sound()),
        sound().replace("users:", TOKEN),
    ] {
        let error = refused(&text);
        assert!(!format!("{error} {error:?}").contains(TOKEN));
    }
    assert!(!format!("{:?}", parse(&sound())).contains(TOKEN));
}

#[test]
fn the_document_that_is_written_is_this_one() {
    let text = render(&ContextName::new("nyc1", "prod"), &token_credential());
    let expected = format!(
        r#"apiVersion: v1
kind: Config
clusters:
- name: "do-nyc1-prod"
  cluster:
    server: "{SERVER}"
    certificate-authority-data: "{}"
users:
- name: "do-nyc1-prod-admin"
  user:
    token: "{TOKEN}"
contexts:
- name: "do-nyc1-prod"
  context:
    cluster: "do-nyc1-prod"
    user: "do-nyc1-prod-admin"
current-context: "do-nyc1-prod"
preferences: {{}}
"#,
        to_base64(&AUTHORITY.pem())
    );
    assert_eq!(text.expose_secret(), expected);
}

fn rendered_and_parsed(region: &str, cluster: &str, credential: &Credential) {
    let name = ContextName::new(region, cluster);
    let text = render(&name, credential);
    let kubeconfig = parse(text.expose_secret()).expect("what is written is read");
    assert_eq!(kubeconfig.context(), name.to_string());
    assert_eq!(kubeconfig.credential(), credential);
}

#[test]
fn a_certificate_credential_is_written_and_read() {
    rendered_and_parsed("nyc1", "prod", &certificate_credential());
}

#[test]
fn names_that_look_like_something_else_in_yaml_survive() {
    for name in [
        "",
        "no",
        "1e5",
        "0x1F",
        "a: b",
        "#",
        "- x",
        "'",
        "\"",
        "\\",
        "*a",
        "{}",
        "😀\u{85}",
    ] {
        rendered_and_parsed(name, name, &token_credential());
    }
}

proptest! {
    #[test]
    fn what_is_rendered_parses_to_what_it_was_made_of(
        region in any::<String>(),
        cluster in any::<String>(),
        token in "[!-~]{1,80}",
        host in "[a-z0-9-]{1,20}(\\.[a-z]{2,5}){0,2}",
        port in proptest::option::of(1_u16..),
    ) {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let credential = Credential::new(
            format!("https://{host}{port}"),
            AUTHORITY.pem(),
            Authentication::Token(token.into()),
        );
        rendered_and_parsed(&region, &cluster, &credential.expect("sound"));
    }

    #[test]
    fn parsing_never_panics_on_any_text(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn parsing_never_panics_on_yaml_like_text(
        text in "([ \\n:\\-\\[\\]{}&*!|>'\"%@#?,~<]|[a-z0-9]{1,3}|(clusters|users|null|---)){0,60}"
    ) {
        let _ = parse(&text);
    }

    #[test]
    fn parsing_never_panics_on_a_damaged_document(at in any::<prop::sample::Index>(), with in any::<String>()) {
        let mut text = sound();
        let at = at.index(text.len());
        text.replace_range(at..=at, &with);
        let _ = parse(&text);
    }
}
