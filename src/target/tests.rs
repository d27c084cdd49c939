use std::sync::{Arc, Mutex};

use http::header::{HOST, LOCATION};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tower::service_fn;

use super::*;
use crate::credential::fixtures::{
    AUTHORITY, Authority, Identity, Lifetime, TOKEN, token_credential,
};
use crate::digitalocean::loopback::{Loopback, exchange};

const HOST_NAME: &str = "127.0.0.1";

fn server_identity() -> Identity {
    AUTHORITY.issue(HOST_NAME, &Lifetime::CURRENT)
}

/// A TLS server; with `clients`, one that wants a certificate of that authority.
async fn tls(identity: &Identity, clients: Option<&Authority>, response: String) -> Loopback {
    let builder = match clients {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .unwrap();
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    let certificate = identity.certificate.der().clone();
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let config = builder.with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Loopback::start(move |stream| {
        let (acceptor, response) = (acceptor.clone(), response.clone());
        async move {
            match acceptor.accept(stream).into_fallible().await {
                Ok(stream) => exchange(stream, response.as_bytes()).await,
                Err((_, mut stream)) => {
                    // Closing on unread bytes would reset the connection and lose the alert.
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                    None
                }
            }
        }
    })
    .await
}

fn http(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn review(username: &str, groups: &[&str]) -> String {
    json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "SelfSubjectReview",
        "metadata": {"creationTimestamp": "2026-11-22T10:00:00Z"},
        "status": {"userInfo": {"username": username, "uid": "1", "groups": groups, "extra": {}}},
    })
    .to_string()
}

fn admin() -> String {
    http(
        201,
        &review(
            "admin@example.com",
            &["k8saas:authenticated", "system:authenticated"],
        ),
    )
}

fn accepted() -> Verdict {
    Verdict::Accepted {
        username: "admin@example.com".into(),
        groups: vec!["k8saas:authenticated".into(), "system:authenticated".into()],
    }
}

fn credential(server: &Loopback, authority: &str, authentication: Authentication) -> Credential {
    let url = format!("https://{HOST_NAME}:{}", server.address.port());
    Credential::new(url, authority.to_owned(), authentication).unwrap()
}

fn token() -> Authentication {
    Authentication::Token(TOKEN.into())
}

async fn verdict(server: &Loopback, authentication: Authentication) -> Verdict {
    let credential = credential(server, &AUTHORITY.pem(), authentication);
    Verifier::new(production_service())
        .review(&credential)
        .await
}

/// What a sound TLS server with that answer comes to.
async fn answered(response: String) -> Verdict {
    verdict(&tls(&server_identity(), None, response).await, token()).await
}

#[tokio::test]
async fn a_known_user_is_accepted_by_one_review_with_the_token() {
    let server = tls(&server_identity(), None, admin()).await;
    assert_eq!(verdict(&server, token()).await, accepted());
    let requests = server.requests();
    let [request] = requests.as_slice() else {
        panic!("one request: {requests:?}")
    };
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /apis/authentication.k8s.io/v1/selfsubjectreviews HTTP/1.1"));
    let head = head.to_ascii_lowercase();
    for header in [
        format!("authorization: bearer {TOKEN}"),
        "accept: application/json".into(),
        "content-type: application/json".into(),
        format!("{HOST}: {HOST_NAME}:{}", server.address.port()),
        format!(
            "user-agent: do-cluster-access/{}",
            env!("CARGO_PKG_VERSION")
        ),
    ] {
        assert!(
            head.lines().any(|line| line == header),
            "{header} in {head}"
        );
    }
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    assert_eq!(body, review);
}

#[tokio::test]
async fn a_path_of_the_server_is_kept() {
    let server = tls(&server_identity(), None, admin()).await;
    let url = format!("https://{HOST_NAME}:{}/k8s/", server.address.port());
    let credential = Credential::new(url, AUTHORITY.pem(), token()).unwrap();
    Verifier::new(production_service())
        .review(&credential)
        .await;
    assert!(server.requests()[0].starts_with("POST /k8s/apis/authentication.k8s.io/"));
}

#[tokio::test]
async fn another_authority_than_the_credentials_is_a_rejection_and_gets_nothing() {
    let identity = Authority::new("another").issue(HOST_NAME, &Lifetime::CURRENT);
    let server = tls(&identity, None, admin()).await;
    let expected = Verdict::Rejected(Rejection::Tls(TlsFailure::UnknownIssuer));
    assert_eq!(verdict(&server, token()).await, expected);
    assert!(server.requests().is_empty());
}

/// In a process of its own, whose system trusts the authority of that server.
#[tokio::test]
async fn what_the_system_trusts_is_not_trusted_for_that() {
    const URL: &str = "TRUSTED_BY_THE_SYSTEM";
    if let Ok(url) = std::env::var(URL) {
        let trusting = reqwest::Client::builder().no_proxy().build().unwrap();
        trusting
            .get(&url)
            .send()
            .await
            .expect("the system trusts it");
        let credential = Credential::new(url, AUTHORITY.pem(), token()).unwrap();
        let expected = Verdict::Rejected(Rejection::Tls(TlsFailure::UnknownIssuer));
        let verdict = Verifier::new(production_service())
            .review(&credential)
            .await;
        assert_eq!(verdict, expected);
        return;
    }
    let system = Authority::new("system");
    let identity = system.issue(HOST_NAME, &Lifetime::CURRENT);
    let server = tls(&identity, None, http(200, "")).await;
    let roots = std::env::temp_dir().join(format!("roots-{}.pem", server.address.port()));
    std::fs::write(&roots, system.pem()).unwrap();
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "target::tests::what_the_system_trusts_is_not_trusted_for_that",
        ])
        .env("SSL_CERT_FILE", &roots)
        .env(
            URL,
            format!("https://{HOST_NAME}:{}", server.address.port()),
        )
        .output()
        .await
        .unwrap();
    std::fs::remove_file(&roots).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    assert_eq!(server.requests().len(), 1, "the control alone");
}

#[tokio::test]
async fn an_authority_of_the_same_name_with_another_key_is_a_rejection() {
    let identity = Authority::new("tests").issue(HOST_NAME, &Lifetime::CURRENT);
    let server = tls(&identity, None, admin()).await;
    let expected = Verdict::Rejected(Rejection::Tls(TlsFailure::UnknownIssuer));
    assert_eq!(verdict(&server, token()).await, expected);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_a_rejection_and_gets_nothing() {
    let server = tls(
        &AUTHORITY.issue("other.test", &Lifetime::CURRENT),
        None,
        admin(),
    )
    .await;
    let expected = Verdict::Rejected(Rejection::Tls(TlsFailure::NameMismatch));
    assert_eq!(verdict(&server, token()).await, expected);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_a_rejection() {
    for (from_year, to_year, why) in [
        (2000, 2001, TlsFailure::Expired),
        (2200, 2300, TlsFailure::NotValidYet),
    ] {
        let identity = AUTHORITY.issue(HOST_NAME, &Lifetime { from_year, to_year });
        let server = tls(&identity, None, admin()).await;
        assert_eq!(
            verdict(&server, token()).await,
            Verdict::Rejected(Rejection::Tls(why))
        );
    }
}

#[tokio::test]
async fn a_server_without_tls_says_nothing_and_gets_nothing() {
    let server = Loopback::start(|mut stream| async move {
        let mut hello = vec![0; 5];
        stream.read_exact(&mut hello).await.ok()?;
        stream
            .write_all(http(400, "this is not HTTP").as_bytes())
            .await
            .ok()?;
        stream.read_to_end(&mut hello).await.ok()?;
        Some(String::from_utf8_lossy(&hello).into_owned())
    })
    .await;
    assert_eq!(
        verdict(&server, token()).await,
        Verdict::Unreachable(Unreachability::Tls)
    );
    assert!(!server.requests().concat().contains(TOKEN));
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_no_header_is_sent() {
    let server = tls(&server_identity(), Some(&AUTHORITY), admin()).await;
    let client = AUTHORITY
        .issue("admin", &Lifetime::CURRENT)
        .authentication();
    assert_eq!(verdict(&server, client).await, accepted());
    assert!(
        !server.requests()[0]
            .to_ascii_lowercase()
            .contains("authorization")
    );
}

#[tokio::test]
async fn a_client_certificate_that_the_server_refuses_is_a_rejection() {
    let server = tls(&server_identity(), Some(&AUTHORITY), admin()).await;
    let expected = Verdict::Rejected(Rejection::Tls(TlsFailure::ClientCertificateRefused));
    let stranger = Authority::new("another").issue("admin", &Lifetime::CURRENT);
    assert_eq!(verdict(&server, stranger.authentication()).await, expected);
    let expired = AUTHORITY.issue(
        "admin",
        &Lifetime {
            from_year: 2000,
            to_year: 2001,
        },
    );
    assert_eq!(verdict(&server, expired.authentication()).await, expected);
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_says_nothing_about_a_token() {
    let server = tls(&server_identity(), Some(&AUTHORITY), admin()).await;
    assert_eq!(
        verdict(&server, token()).await,
        Verdict::Unreachable(Unreachability::Tls)
    );
}

#[tokio::test]
async fn only_401_is_a_rejection_among_the_statuses() {
    let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized"}"#;
    assert_eq!(
        answered(http(401, body)).await,
        Verdict::Rejected(Rejection::Unauthorized)
    );
    for status in [400, 403, 404, 429, 500, 503] {
        let expected = Unreachability::Status(StatusCode::from_u16(status).unwrap());
        assert_eq!(
            answered(http(status, body)).await,
            Verdict::Unreachable(expected)
        );
    }
}

#[tokio::test]
async fn a_redirect_leads_the_credential_nowhere() {
    let other = tls(&server_identity(), None, admin()).await;
    for status in [301, 302, 307, 308] {
        let server = tls(
            &server_identity(),
            None,
            format!(
                "HTTP/1.1 {status} Moved\r\n{LOCATION}: https://{HOST_NAME}:{}/\r\ncontent-length: 0\r\n\r\n",
                other.address.port()
            ),
        )
        .await;
        let expected = Unreachability::Status(StatusCode::from_u16(status).unwrap());
        assert_eq!(
            verdict(&server, token()).await,
            Verdict::Unreachable(expected)
        );
        assert_eq!(server.requests().len(), 1);
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn the_anonymous_user_is_a_rejection() {
    for body in [
        review("system:anonymous", &["system:unauthenticated"]),
        review("system:anonymous", &[]),
        review("renamed", &["system:unauthenticated"]),
    ] {
        let verdict = answered(http(201, &body)).await;
        assert_eq!(verdict, Verdict::Rejected(Rejection::Anonymous), "{body}");
    }
}

#[tokio::test]
async fn a_success_that_is_no_review_says_nothing() {
    let namespace = r#"{"apiVersion":"v1","kind":"Namespace","status":{}}"#;
    let no_user = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
    for body in [
        "",
        "<html>Sign in</html>",
        "{}",
        namespace,
        no_user,
        &" ".repeat(BODY_LIMIT + 1),
    ] {
        let verdict = answered(http(200, body)).await;
        assert_eq!(verdict, Verdict::Unreachable(Unreachability::NotAReview));
    }
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        BODY_LIMIT + 1,
        " ".repeat(BODY_LIMIT + 1)
    );
    assert_eq!(
        answered(chunked).await,
        Verdict::Unreachable(Unreachability::NotAReview)
    );
}

#[tokio::test]
async fn a_connection_that_breaks_says_nothing() {
    for response in ["", "HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{"] {
        let verdict = answered(response.to_owned()).await;
        assert_eq!(
            verdict,
            Verdict::Unreachable(Unreachability::Connection),
            "{response}"
        );
    }
}

#[tokio::test]
async fn nothing_listening_says_nothing() {
    let server = Loopback::answering("").await;
    let credential = credential(&server, &AUTHORITY.pem(), token());
    let address = server.address;
    drop(server);
    while TcpListener::bind(address).await.is_err() {
        tokio::task::yield_now().await;
    }
    let verdict = Verifier::new(production_service())
        .review(&credential)
        .await;
    assert_eq!(verdict, Verdict::Unreachable(Unreachability::Connect));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_given_up_after_five_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let credential = Credential::new(url, AUTHORITY.pem(), token()).unwrap();
    let start = Instant::now();
    let verdict = Verifier::new(production_service())
        .review(&credential)
        .await;
    assert_eq!(verdict, Verdict::Unreachable(Unreachability::Timeout));
    assert_eq!(start.elapsed(), Verifier::DEADLINE);
}

#[tokio::test]
async fn certificates_that_cannot_be_loaded_are_a_rejection() {
    let server = tls(&server_identity(), None, admin()).await;
    let expected = Verdict::Rejected(Rejection::Tls(TlsFailure::UnusableCertificates));
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let credential = credential(&server, no_certificate, token());
    let verifier = Verifier::new(production_service());
    assert_eq!(verifier.review(&credential).await, expected);

    let (one, two) = (server_identity(), server_identity());
    let mismatched = Authentication::Certificate {
        certificate_pem: one.certificate.pem(),
        key_pem: two.key.serialize_pem().into(),
    };
    assert_eq!(verdict(&server, mismatched).await, expected);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_simulation_can_stand_in_without_tls() {
    let service = service_fn(|target: TargetRequest| async move {
        let uri = target.request.uri();
        assert_eq!(
            uri.host(),
            Some("bd5f5959-5e1e-4205-a714-a914373942af.k8s.ondigitalocean.com")
        );
        assert_eq!(target.certificate_authority_pem, AUTHORITY.pem());
        assert!(target.request.headers()[AUTHORIZATION].is_sensitive());
        assert!(!format!("{target:?}").contains(TOKEN));
        let body = review(
            "admin@example.com",
            &["k8saas:authenticated", "system:authenticated"],
        );
        Ok(Response::new(Full::new(Bytes::from(body))))
    });
    let verifier = Verifier::new(boxed_service(service));
    assert_eq!(verifier.review(&token_credential()).await, accepted());
}

#[test]
fn of_two_verdicts_the_worse_counts() {
    let rejected = || Verdict::Rejected(Rejection::Unauthorized);
    let unreachable = || Verdict::Unreachable(Unreachability::Timeout);
    assert_eq!(accepted().or_worse(unreachable()), unreachable());
    assert_eq!(unreachable().or_worse(rejected()), rejected());
    assert_eq!(rejected().or_worse(accepted()), rejected());
    let other = Verdict::Accepted {
        username: "other".into(),
        groups: vec![],
    };
    assert_eq!(accepted().or_worse(other), accepted());
}

#[tokio::test]
async fn no_secret_reaches_the_log() {
    let identity = AUTHORITY.issue("admin", &Lifetime::CURRENT);
    let key = identity.key.serialize_pem();
    let key_line = key.lines().nth(1).unwrap();
    let (buffer, guard) = crate::credential::fixtures::capture_log();
    let broken = tls(&server_identity(), None, String::new()).await;
    verdict(&broken, token()).await;
    let refusing = tls(
        &server_identity(),
        Some(&Authority::new("another")),
        admin(),
    )
    .await;
    verdict(&refusing, identity.authentication()).await;
    drop(guard);
    let log = buffer.text();
    assert!(
        log.matches("the review got no response").count() == 2,
        "{log}"
    );
    assert!(!log.contains(TOKEN) && !log.contains(key_line), "{log}");
}

#[tokio::test]
async fn a_review_can_run_on_any_thread() {
    let verdict = tokio::spawn(async {
        let server = tls(&server_identity(), None, admin()).await;
        verdict(&server, token()).await
    });
    assert_eq!(verdict.await.unwrap(), accepted());
}

/// A verifier that notes the session of every request, and answers each with `answer`.
fn noting(answer: Result<StatusCode, TargetError>) -> (Verifier, Arc<Mutex<Vec<Session>>>) {
    let sessions = Arc::new(Mutex::new(Vec::new()));
    let noted = sessions.clone();
    let service = service_fn(move |target: TargetRequest| {
        noted.lock().unwrap().push(target.session);
        let body = Full::<Bytes>::from(review("admin@example.com", &[]));
        let respond = |status| Response::builder().status(status).body(body).unwrap();
        std::future::ready(answer.map(respond))
    });
    (Verifier::new(boxed_service(service)), sessions)
}

fn same(one: &Session, two: &Session) -> bool {
    Arc::ptr_eq(&one.0, &two.0)
}

#[tokio::test]
async fn two_tokens_for_one_cluster_are_asked_about_in_one_session_and_anything_else_in_two() {
    let url = "https://cluster.example";
    let of = |url: &str, authority: &str, authentication| {
        Credential::new(url.to_owned(), authority.to_owned(), authentication).unwrap()
    };
    let authority = AUTHORITY.pem();
    let credential = of(url, &authority, token());
    let other = || Authentication::Token("another-token".into());
    let another_authority = Authority::new("another").pem();
    for (second, shares) in [
        (of(url, &authority, other()), true),
        (of("https://other.example", &authority, other()), false),
        (of(url, &another_authority, other()), false),
    ] {
        let (verifier, sessions) = noting(Ok(StatusCode::CREATED));
        let (one, two) = verifier.review_both(&credential, &second).await;
        assert!(matches!(one, Verdict::Accepted { .. }) && one == two);
        let sessions = sessions.lock().unwrap();
        let [first, second] = sessions.as_slice() else {
            panic!("two requests")
        };
        assert_eq!(same(first, second), shares);
    }
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_is_not_asked_a_second_time_at_once() {
    let url = "https://cluster.example".to_owned();
    let of = |token: &str| {
        let authentication = Authentication::Token(token.into());
        Credential::new(url.clone(), AUTHORITY.pem(), authentication).unwrap()
    };
    for (why, asked) in [
        (Unreachability::Connect, 1),
        (Unreachability::Timeout, 1),
        (Unreachability::Tls, 2),
        // The second time in a session of its own: the connection may have been closed in between.
        (Unreachability::Connection, 3),
    ] {
        let (verifier, sessions) = noting(Err(TargetError::Unreachable(why)));
        let verdicts = verifier
            .review_both(&of("one-token"), &of("two-token"))
            .await;
        let unreachable = Verdict::Unreachable(why);
        assert_eq!(verdicts, (unreachable.clone(), unreachable));
        let sessions = sessions.lock().unwrap();
        assert_eq!(sessions.len(), asked, "{why:?}");
        assert!(asked < 3 || !same(&sessions[0], &sessions[2]));
    }
}

#[tokio::test]
async fn both_tokens_are_really_sent_each_with_its_own() {
    let server = tls(&server_identity(), None, admin()).await;
    let one = credential(&server, &AUTHORITY.pem(), token());
    let two = credential(
        &server,
        &AUTHORITY.pem(),
        Authentication::Token("another-token".into()),
    );
    let verdicts = Verifier::new(production_service())
        .review_both(&one, &two)
        .await;
    assert_eq!(verdicts, (accepted(), accepted()));
    let requests = server.requests();
    let sent: Vec<bool> = [TOKEN, "another-token"]
        .iter()
        .map(|token| requests.iter().any(|request| request.contains(*token)))
        .collect();
    assert_eq!(sent, [true, true]);
}
