//! GET credentials and GET kubeconfig.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use do_cluster_access_testbed::simulator::{
    Account, Authentication, CertificateAndKey, CertificateExpiry, Cluster, MintKind, Operation,
    Scope, Settings, Simulator, Sso, User,
};
use http::{Request, StatusCode};
use jiff::{SignedDuration, Timestamp};
use kube::config::{AuthInfo, Kubeconfig};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use x509_parser::pem::Pem;

use crate::world::{TOKEN, World, credentials, kubeconfig, named};

fn certificate_cluster(expires_at: CertificateExpiry) -> Cluster {
    Cluster {
        authentication: Authentication::Certificate {
            lifetime_seconds: 3_600,
            expires_at,
        },
        ..Cluster::default()
    }
}

fn decoded(value: &Value) -> String {
    let text = value.as_str().expect("a string");
    String::from_utf8(STANDARD.decode(text).expect("base64")).expect("text")
}

async fn kubeconfig_of(world: &World, id: &str, query: &str) -> Kubeconfig {
    let reply = world.get(&format!("{}?{query}", kubeconfig(id))).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("content-type"), Some("application/yaml"));
    Kubeconfig::from_yaml(reply.text()).expect("a kubeconfig")
}

fn user(config: &Kubeconfig) -> AuthInfo {
    assert_eq!(config.auth_infos.len(), 1);
    config.auth_infos[0].auth_info.clone().expect("a user")
}

fn token(config: &Kubeconfig) -> String {
    let token = user(config).token.expect("a token");
    token.expose_secret().to_owned()
}

#[tokio::test]
async fn every_get_mints_a_token_that_lives_to_its_own_expiry() {
    let (world, id) = World::with_cluster(named("prod"));
    let tokens = [
        world.mint(&id, "expiry_seconds=60").await,
        world.mint(&id, "expiry_seconds=120").await,
        token(&kubeconfig_of(&world, &id, "type=token&expiry_seconds=180").await),
    ];
    let alive = || -> Vec<bool> {
        let review = |token: &String| world.simulator.review(token).is_some();
        tokens.iter().map(review).collect()
    };
    world.pass(SignedDuration::new(59, 999_999_999));
    assert_eq!(alive(), [true, true, true]);
    world.pass(SignedDuration::from_nanos(1));
    assert_eq!(alive(), [false, true, true]);
    world.pass(SignedDuration::from_secs(60));
    assert_eq!(alive(), [false, false, true]);
    world.pass(SignedDuration::from_secs(60));
    assert_eq!(alive(), [false, false, false]);
    let mints = world.simulator.mints();
    let operations: Vec<Operation> = mints.iter().map(|mint| mint.operation).collect();
    assert_eq!(
        operations,
        [
            Operation::GetCredentials,
            Operation::GetCredentials,
            Operation::GetKubeconfig
        ]
    );
    assert!(mints.iter().all(|mint| mint.kind == MintKind::Token));
}

#[tokio::test]
async fn credentials_are_flat_with_nulls_and_nine_fractional_digits() {
    let (world, id) = World::with_cluster(named("prod"));
    let reply = world
        .get(&format!("{}?expiry_seconds=300", credentials(&id)))
        .await;
    let content_type = reply.header("content-type");
    assert_eq!(content_type, Some("application/json; charset=utf-8"));
    let document = reply.json();
    assert_eq!(
        document["server"],
        format!("https://{id}.k8s.ondigitalocean.com")
    );
    assert_eq!(document["client_certificate_data"], Value::Null);
    assert_eq!(document["client_key_data"], Value::Null);
    assert_eq!(document["expires_at"], "2026-03-01T12:05:00.123456789Z");
    assert_eq!(document["token"].as_str().map(str::len), Some(64));
    let authority = decoded(&document["certificate_authority_data"]);
    assert_eq!(authority, world.simulator.cluster_certificate_authority());
    assert_eq!(document.as_object().map(serde_json::Map::len), Some(6));
}

#[tokio::test]
async fn the_fraction_of_expires_at_has_nine_digits_even_when_they_are_zeros() {
    let (world, id) = World::with_cluster(named("prod"));
    world.pass(SignedDuration::from_nanos(-123_456_789));
    let document = world.get(&credentials(&id)).await.json();
    assert_eq!(document["expires_at"], "2026-03-08T12:00:00.000000000Z");
}

#[tokio::test]
async fn without_expiry_seconds_or_with_0_a_token_lives_for_seven_days() {
    let (world, id) = World::with_cluster(named("prod"));
    for query in ["", "expiry_seconds=0", "expiry_seconds=000"] {
        world.mint(&id, query).await;
    }
    let week = world.now() + SignedDuration::from_hours(7 * 24);
    let expiries: Vec<Timestamp> = world
        .simulator
        .mints()
        .iter()
        .map(|mint| mint.expires_at)
        .collect();
    assert_eq!(expiries, [week, week, week]);
}

#[tokio::test]
async fn any_number_of_seconds_is_accepted() {
    let (world, id) = World::with_cluster(named("prod"));
    for seconds in [
        "1",
        "31536000",
        "9223372036854775808",
        "99999999999999999999999999",
    ] {
        world.mint(&id, &format!("expiry_seconds={seconds}")).await;
    }
    let expiries: Vec<Timestamp> = world
        .simulator
        .mints()
        .iter()
        .map(|mint| mint.expires_at)
        .collect();
    let second = world.now() + SignedDuration::from_secs(1);
    let year = world.now() + SignedDuration::from_secs(31_536_000);
    assert_eq!(expiries, [second, year, Timestamp::MAX, Timestamp::MAX]);
}

#[tokio::test]
async fn an_expiry_that_is_no_number_is_400_and_mints_nothing() {
    let (world, id) = World::with_cluster(named("prod"));
    for value in ["-1", "%2B1", "1.5", "1e3", "", "week", "%20", "0x10"] {
        for path in [credentials(&id), kubeconfig(&id)] {
            let reply = world.get(&format!("{path}?expiry_seconds={value}")).await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{value}");
            assert_eq!(reply.json()["id"], "bad_request");
        }
    }
    assert_eq!(world.simulator.mints(), []);
}

#[tokio::test]
async fn a_cluster_tells_the_endpoint_and_authority_that_it_was_given() {
    let (world, id) = World::with_cluster(Cluster {
        endpoint: Some("https://127.0.0.1:6443".to_owned()),
        certificate_authority: Some("-----BEGIN CERTIFICATE-----\n".to_owned()),
        ..Cluster::default()
    });
    let document = world.get(&credentials(&id)).await.json();
    assert_eq!(document["server"], "https://127.0.0.1:6443");
    let authority = decoded(&document["certificate_authority_data"]);
    assert_eq!(authority, "-----BEGIN CERTIFICATE-----\n");
    let config = kubeconfig_of(&world, &id, "").await;
    let cluster = config.clusters[0].cluster.clone().expect("a cluster");
    assert_eq!(cluster.server.as_deref(), Some("https://127.0.0.1:6443"));
    let shown = cluster.certificate_authority_data.map(Value::from);
    assert_eq!(shown, Some(document["certificate_authority_data"].clone()));
}

#[tokio::test]
async fn a_kubeconfig_has_one_of_each_under_digitaloceans_names() {
    let (world, id) = World::with_cluster(named("prod"));
    let config = kubeconfig_of(&world, &id, "").await;
    assert_eq!(config.kind.as_deref(), Some("Config"));
    assert_eq!(config.api_version.as_deref(), Some("v1"));
    assert_eq!(config.current_context.as_deref(), Some("do-nyc1-prod"));
    assert_eq!(config.clusters.len(), 1);
    assert_eq!(config.clusters[0].name, "do-nyc1-prod");
    assert_eq!(config.contexts.len(), 1);
    assert_eq!(config.contexts[0].name, "do-nyc1-prod");
    let context = config.contexts[0].context.clone().expect("a context");
    assert_eq!(context.cluster, "do-nyc1-prod");
    assert_eq!(context.user.as_deref(), Some("do-nyc1-prod-admin"));
    assert_eq!(config.auth_infos[0].name, "do-nyc1-prod-admin");
    assert!(world.simulator.review(&token(&config)).is_some());
}

#[tokio::test]
async fn a_token_survives_yaml_whatever_it_looks_like() {
    // Digits alone, or an e between digits, are numbers in YAML unless they are quoted.
    let (world, id) = World::with_cluster(named("123"));
    for _ in 0..500 {
        world.pass(SignedDuration::from_secs(1));
        let config = kubeconfig_of(&world, &id, "").await;
        assert!(world.simulator.review(&token(&config)).is_some());
    }
    world
        .simulator
        .update_cluster(&id, |cluster| "1e3".clone_into(&mut cluster.region))
        .expect("a known cluster");
    let config = kubeconfig_of(&world, &id, "").await;
    assert_eq!(config.current_context.as_deref(), Some("do-1e3-123"));
}

#[tokio::test]
async fn an_sso_cluster_answers_with_a_plugin_unless_a_token_is_asked_for() {
    let (world, id) = World::with_cluster(Cluster {
        sso: Some(Sso::default()),
        ..Cluster::default()
    });
    for query in ["", "expiry_seconds=60", "type=sso"] {
        let user = user(&kubeconfig_of(&world, &id, query).await);
        assert!(user.token.is_none());
        let exec = user.exec.expect("a plugin");
        assert_eq!(exec.command.as_deref(), Some("doctl"));
        let arguments = exec.args.expect("arguments");
        assert!(arguments.contains(&"--issuer-url=https://sso.example.com".to_owned()));
        assert!(arguments.contains(&id));
    }
    assert_eq!(world.simulator.mints(), []);
    let config = kubeconfig_of(&world, &id, "type=token").await;
    assert!(world.simulator.review(&token(&config)).is_some());
    let minted = world.mint(&id, "").await;
    assert!(world.simulator.review(&minted).is_some());
}

#[tokio::test]
async fn a_cluster_that_requires_sso_refuses_tokens() {
    let (world, id) = World::with_cluster(Cluster {
        sso: Some(Sso {
            required: true,
            ..Sso::default()
        }),
        ..Cluster::default()
    });
    for path in [credentials(&id), format!("{}?type=token", kubeconfig(&id))] {
        assert_eq!(world.get(&path).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(world.simulator.mints(), []);
    assert_eq!(world.get(&kubeconfig(&id)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_type_that_the_cluster_does_not_have_is_400() {
    let (world, id) = World::with_cluster(named("prod"));
    for kind in ["sso", "certificate", ""] {
        let reply = world.get(&format!("{}?type={kind}", kubeconfig(&id))).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{kind}");
    }
    assert_eq!(world.simulator.mints(), []);
}

#[tokio::test]
async fn the_document_does_not_depend_on_accept() {
    let (world, id) = World::with_cluster(named("prod"));
    for accept in ["application/json", "application/yaml", "*/*", "text/html"] {
        for (path, content_type) in [
            (kubeconfig(&id), "application/yaml"),
            (credentials(&id), "application/json; charset=utf-8"),
        ] {
            let request = Request::get(path)
                .header("authorization", format!("Bearer {TOKEN}"))
                .header("accept", accept);
            let body = axum::body::Body::empty();
            let reply = world.send(request.body(body).expect("a request")).await;
            assert_eq!(reply.status, StatusCode::OK);
            assert_eq!(reply.header("content-type"), Some(content_type));
        }
    }
}

/// Subject (organisation and common name) and notAfter of a client certificate, its signature checked.
fn client_certificate(pem: &str, authority: &str) -> (String, Timestamp) {
    let parse = |pem: &str| {
        let mut blocks = Pem::iter_from_buffer(pem.as_bytes());
        blocks.next().expect("a block").expect("PEM")
    };
    let (pem, authority) = (parse(pem), parse(authority));
    let certificate = pem.parse_x509().expect("a certificate");
    let authority = authority.parse_x509().expect("a certificate");
    certificate
        .verify_signature(Some(authority.public_key()))
        .expect("signed by the authority");
    let usage = certificate.extended_key_usage().expect("one of each");
    assert!(usage.expect("an extended key usage").value.client_auth);
    let not_after = certificate.validity().not_after.timestamp();
    let not_after = Timestamp::from_second(not_after).expect("a time");
    (certificate.subject().to_string(), not_after)
}

#[tokio::test]
async fn a_certificate_cluster_answers_with_a_client_certificate_of_its_own_lifetime() {
    let (world, id) = World::with_cluster(certificate_cluster(CertificateExpiry::Absent));
    let path = format!("{}?expiry_seconds=60", credentials(&id));
    let document = world.get(&path).await.json();
    assert_eq!(document.get("token"), None);
    assert_eq!(document.get("expires_at"), None);
    let authority = world.simulator.client_certificate_authority();
    let certificate = decoded(&document["client_certificate_data"]);
    let (subject, not_after) = client_certificate(&certificate, &authority);
    assert_eq!(subject, "O=k8saas:authenticated, CN=default@example.com");
    assert_eq!(not_after.to_string(), "2026-03-01T13:00:00Z");
    let key = rcgen::KeyPair::from_pem(&decoded(&document["client_key_data"]));
    let key = key.expect("a private key");
    let block = Pem::iter_from_buffer(certificate.as_bytes()).next();
    let block = block.expect("a block").expect("PEM");
    let parsed = block.parse_x509().expect("a certificate");
    let public_key = parsed.public_key().subject_public_key.data.to_vec();
    assert_eq!(public_key, key.public_key_raw());

    let user = user(&kubeconfig_of(&world, &id, "type=token").await);
    assert!(user.token.is_none());
    let certificate = Value::from(user.client_certificate_data.expect("a certificate"));
    client_certificate(&decoded(&certificate), &authority);
    assert!(user.client_key_data.is_some());

    let mints = world.simulator.mints();
    assert_eq!(mints.len(), 2);
    for mint in mints {
        assert_eq!(mint.kind, MintKind::Certificate);
        assert_eq!(mint.expires_at, not_after);
    }
}

#[tokio::test]
async fn expires_at_of_a_certificate_cluster_is_what_it_was_set_to() {
    for (setting, expected) in [
        (CertificateExpiry::Absent, None),
        (CertificateExpiry::Null, Some(Value::Null)),
        (
            CertificateExpiry::NotAfter,
            Some(json!("2026-03-01T13:00:00.000000000Z")),
        ),
    ] {
        let (world, id) = World::with_cluster(certificate_cluster(setting));
        let document = world.get(&credentials(&id)).await.json();
        assert_eq!(document.get("expires_at"), expected.as_ref());
    }
}

#[tokio::test]
async fn client_certificates_are_signed_by_the_authority_that_was_given() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let given = CertificateAndKey {
        certificate: parameters.self_signed(&key).expect("a certificate").pem(),
        key: key.serialize_pem(),
    };
    let world = World::with(Settings {
        client_authority: Some(given.clone()),
        ..Settings::default()
    });
    let id = world.add(certificate_cluster(CertificateExpiry::Absent));
    let document = world.get(&credentials(&id)).await.json();
    client_certificate(
        &decoded(&document["client_certificate_data"]),
        &given.certificate,
    );
    assert_eq!(
        world.simulator.client_certificate_authority(),
        given.certificate
    );
}

#[test]
fn an_authority_that_is_none_is_refused() {
    let refused = Simulator::new(Settings {
        client_authority: Some(CertificateAndKey {
            certificate: "no certificate".to_owned(),
            key: "no key".to_owned(),
        }),
        ..Settings::default()
    });
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_certificate_carries_the_user_of_the_account() {
    let world = World::new();
    let account = Account {
        user: User {
            username: "ada@example.org".to_owned(),
            groups: Vec::new(),
        },
        ..Account::new("ada")
    };
    world.simulator.add_account(account).expect("a new account");
    world
        .simulator
        .add_token("ada", "ada", Scope::Full)
        .expect("a known account");
    let id = world
        .simulator
        .add_cluster("ada", certificate_cluster(CertificateExpiry::Absent))
        .expect("a new cluster");
    let document = world.get_as("ada", &credentials(&id)).await.json();
    let certificate = decoded(&document["client_certificate_data"]);
    let authority = world.simulator.client_certificate_authority();
    assert_eq!(
        client_certificate(&certificate, &authority).0,
        "CN=ada@example.org"
    );
}

#[tokio::test]
async fn the_seed_decides_every_secret() {
    let answers = async |seed| {
        let world = World::with(Settings {
            seed,
            ..Settings::default()
        });
        let token = world.add(named("token"));
        let certificate = world.add(certificate_cluster(CertificateExpiry::Absent));
        [
            world.get(&credentials(&token)).await,
            world.get(&kubeconfig(&token)).await,
            world.get(&credentials(&certificate)).await,
        ]
    };
    let first = answers(1).await;
    assert_eq!(first, answers(1).await);
    let other = answers(2).await;
    assert_ne!(first[0].json()["token"], other[0].json()["token"]);
}
