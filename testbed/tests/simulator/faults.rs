//! Everything that can be made to go wrong.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use do_cluster_access_testbed::simulator::{
    Account, BrokenAuthority, ErrorBody, ExpiresAt, Fault, FaultKind, FaultMatch, KubeconfigDefect,
    Latency, LimitWindow, Limits, Moment, Operation, Scope, Settings,
};
use http::StatusCode;
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use crate::world::{LIST, Lost, Reply, World, cluster, credentials, kubeconfig, named};

/// A world with one cluster and one fault, which strikes once.
fn world_with(kind: FaultKind) -> (World, String) {
    let (world, id) = World::with_cluster(named("prod"));
    inject(&world, Fault::new(kind).times(1));
    (world, id)
}

fn inject(world: &World, fault: Fault) -> u64 {
    world.simulator.inject(fault).expect("a valid fault")
}

fn status(code: u16) -> FaultKind {
    FaultKind::Status {
        code,
        body: ErrorBody::Json,
        retry_after: None,
    }
}

async fn struck_credentials(kind: FaultKind) -> Reply {
    let (world, id) = world_with(kind);
    world.get(&credentials(&id)).await
}

#[tokio::test]
async fn any_status_can_be_answered_and_nothing_is_minted() {
    for code in [
        400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 503, 504, 200,
    ] {
        let (world, id) = world_with(status(code));
        let reply = world.get(&credentials(&id)).await;
        assert_eq!(reply.status.as_u16(), code);
        assert!(reply.json()["id"].is_string());
        assert_eq!(
            reply.json()["request_id"],
            reply.header("x-request-id").expect("an id")
        );
        assert_eq!(world.simulator.mints(), []);
        assert_eq!(world.get(&credentials(&id)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_503_comes_from_the_gateway_and_a_500_from_the_api() {
    let gateway = struck_credentials(status(503)).await;
    assert_eq!(gateway.header("x-gateway"), Some("Edge-Gateway"));
    assert_eq!(gateway.header("ratelimit-limit"), None);
    assert_eq!(gateway.json()["id"], "service_unavailable");
    let api = struck_credentials(status(500)).await;
    assert_eq!(api.header("x-gateway"), None);
    assert_eq!(api.header("ratelimit-limit"), Some("5000"));
}

#[tokio::test]
async fn an_error_may_be_a_page_of_html_or_empty() {
    let html = struck_credentials(FaultKind::Status {
        code: 503,
        body: ErrorBody::Html,
        retry_after: Some("Wed, 21 Oct 2026 07:28:00 GMT".to_owned()),
    })
    .await;
    assert_eq!(
        html.header("content-type"),
        Some("text/html; charset=UTF-8")
    );
    assert!(html.text().contains("<h1>503 Service Unavailable</h1>"));
    assert_eq!(
        html.header("retry-after"),
        Some("Wed, 21 Oct 2026 07:28:00 GMT")
    );
    let empty = struck_credentials(FaultKind::Status {
        code: 500,
        body: ErrorBody::Empty,
        retry_after: None,
    })
    .await;
    assert_eq!(empty.body, b"");
    assert_eq!(empty.header("content-type"), None);
    assert_eq!(empty.header("content-length"), Some("0"));
}

#[tokio::test]
async fn a_429_of_either_kind_can_be_injected_with_any_retry_after_and_reset() {
    let cases = [
        (LimitWindow::Minute, None, 29, Some("30")),
        (
            LimitWindow::Minute,
            Some("99999999999"),
            29,
            Some("99999999999"),
        ),
        (LimitWindow::Minute, Some("-5"), 29, Some("-5")),
        (LimitWindow::Hour, None, -1_500, None),
        (LimitWindow::Hour, Some("soon"), 1_800, Some("soon")),
    ];
    for (window, retry_after, reset_seconds, expected) in cases {
        let (world, id) = world_with(FaultKind::RateLimit {
            window,
            retry_after: retry_after.map(str::to_owned),
            reset_seconds,
        });
        let reply = world.get(&credentials(&id)).await;
        assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(reply.json()["id"], "too_many_requests");
        assert_eq!(reply.header("retry-after"), expected);
        assert_eq!(reply.header("ratelimit-remaining"), Some("0"));
        let reset = (world.now().as_second() + reset_seconds).to_string();
        assert_eq!(reply.header("ratelimit-reset"), Some(reset.as_str()));
        assert_eq!(world.simulator.mints(), []);
        assert_eq!(world.simulator.history()[0].rate_limited, None);
    }
}

#[tokio::test]
async fn a_redirect_leads_to_another_host() {
    let location = "https://elsewhere.example.com/v2/kubernetes/clusters";
    let reply = struck_credentials(FaultKind::Redirect {
        code: 307,
        location: location.to_owned(),
    })
    .await;
    assert_eq!(reply.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(reply.header("location"), Some(location));
}

#[tokio::test]
async fn a_reset_before_the_effect_mints_nothing_and_one_after_it_loses_the_credential() {
    let (world, id) = world_with(FaultKind::ConnectionReset(Moment::BeforeEffect));
    assert_eq!(world.try_get(&credentials(&id)).await, Err(Lost::Reset));
    assert_eq!(world.simulator.mints(), []);
    let entry = &world.simulator.history()[0];
    assert_eq!((entry.status, entry.minted.is_some()), (None, false));

    let (world, id) = world_with(FaultKind::ConnectionReset(Moment::AfterEffect));
    assert_eq!(world.try_get(&credentials(&id)).await, Err(Lost::Reset));
    assert_eq!(world.simulator.mints().len(), 1);
    let entry = &world.simulator.history()[0];
    assert_eq!((entry.status, entry.minted.is_some()), (None, true));
}

#[tokio::test]
async fn a_request_that_does_not_arrive_counts_towards_no_limit() {
    let world = World::with(Settings {
        limits: Limits {
            requests_per_minute: 1,
            requests_per_hour: 1,
        },
        ..Settings::default()
    });
    inject(
        &world,
        Fault::new(FaultKind::ConnectionReset(Moment::BeforeEffect)).times(3),
    );
    for _ in 0..3 {
        assert_eq!(world.try_get(LIST).await, Err(Lost::Reset));
    }
    assert_eq!(world.get(LIST).await.status, StatusCode::OK);
    assert_eq!(world.get(LIST).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_request_gets_no_answer_in_a_day() {
    for (moment, mints) in [(Moment::BeforeEffect, 0), (Moment::AfterEffect, 1)] {
        let (world, id) = world_with(FaultKind::Hang(moment));
        let path = credentials(&id);
        let answered = tokio::time::timeout(Duration::from_hours(24), world.get(&path)).await;
        assert!(answered.is_err());
        assert_eq!(world.simulator.mints().len(), mints);
        assert_eq!(world.simulator.history()[0].status, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_and_the_latency_pass_in_virtual_time() {
    let world = World::with(Settings {
        latency: Latency {
            least: Duration::from_secs(10),
            most: Duration::from_secs(20),
        },
        ..Settings::default()
    });
    let mut waits = Vec::new();
    for _ in 0..20 {
        let start = tokio::time::Instant::now();
        world.get(LIST).await;
        waits.push(start.elapsed());
    }
    let bounds = Duration::from_secs(10)..Duration::from_millis(20_002);
    assert!(waits.iter().all(|wait| bounds.contains(wait)), "{waits:?}");
    waits.dedup();
    assert!(waits.len() > 10, "it varies");
    inject(&world, Fault::new(FaultKind::Delay(3_600_000)));
    let start = tokio::time::Instant::now();
    assert_eq!(world.get(LIST).await.status, StatusCode::OK);
    assert!(start.elapsed() >= Duration::from_secs(3_610));
}

#[tokio::test]
async fn a_truncated_document_is_a_whole_response_with_half_the_json() {
    let (world, id) = world_with(FaultKind::TruncatedDocument);
    let half = world.get(&credentials(&id)).await;
    assert_eq!(half.status, StatusCode::OK);
    assert!(serde_json::from_slice::<Value>(&half.body).is_err());
    let length = half.body.len().to_string();
    assert_eq!(half.header("content-length"), Some(length.as_str()));
    assert_eq!(world.simulator.mints().len(), 1);
}

#[tokio::test]
async fn a_truncated_body_breaks_off() {
    let (world, id) = world_with(FaultKind::TruncatedBody);
    assert_eq!(world.try_get(&credentials(&id)).await, Err(Lost::BrokenOff));
    assert_eq!(world.simulator.mints().len(), 1);
    assert_eq!(world.simulator.history()[0].status, Some(200));
}

#[tokio::test]
async fn the_content_type_can_be_wrong() {
    let reply = struck_credentials(FaultKind::ContentType("text/plain".to_owned())).await;
    assert_eq!(reply.header("content-type"), Some("text/plain"));
    assert!(reply.json()["token"].is_string());
}

#[tokio::test]
async fn a_body_can_be_too_big_with_and_without_content_length() {
    for chunked in [false, true] {
        let kind = FaultKind::Oversize {
            bytes: 10 * 1024 * 1024,
            chunked,
        };
        let (world, id) = world_with(kind.clone());
        let reply = world.get(&credentials(&id)).await;
        assert_eq!(reply.body.len(), 10 * 1024 * 1024);
        assert_eq!(reply.header("content-length").is_none(), chunked);
        assert!(reply.json()["token"].is_string(), "it is well formed");

        let (world, id) = world_with(kind);
        let reply = world.get(&kubeconfig(&id)).await;
        assert_eq!(reply.body.len(), 10 * 1024 * 1024);
        assert!(
            reply
                .text()
                .lines()
                .rev()
                .skip(1)
                .take(1_000)
                .all(|line| line.starts_with('#'))
        );
    }
}

#[tokio::test]
async fn expires_at_can_be_anything_but_the_truth() {
    let cases = [
        (ExpiresAt::Null, Some(Value::Null)),
        (ExpiresAt::Absent, None),
        (ExpiresAt::YearOne, Some(json!("0001-01-01T00:00:00Z"))),
        (
            ExpiresAt::Past,
            Some(json!("2026-03-01T11:00:00.123456789Z")),
        ),
        (ExpiresAt::Unparsable, Some(json!("next Tuesday"))),
        (ExpiresAt::Empty, Some(json!(""))),
    ];
    for (value, expected) in cases {
        let (world, id) = world_with(FaultKind::ExpiresAt(value));
        let document = world.get(&credentials(&id)).await.json();
        assert_eq!(document.get("expires_at"), expected.as_ref());
        let token = document["token"].as_str().expect("a token");
        assert!(
            world.simulator.review(token).is_some(),
            "the token lives as asked for"
        );
    }
}

#[tokio::test]
async fn credentials_can_lack_every_credential() {
    let document = struck_credentials(FaultKind::NoCredential).await.json();
    for field in ["token", "client_certificate_data", "client_key_data"] {
        assert_eq!(document.get(field), None);
    }
    assert!(document["server"].is_string());
}

async fn server_and_authority(kind: &FaultKind) -> [(Option<String>, Option<String>); 2] {
    let (world, id) = world_with(kind.clone());
    let document = world.get(&credentials(&id)).await.json();
    let text = |field: &str| document[field].as_str().map(str::to_owned);
    let credentials = (text("server"), text("certificate_authority_data"));
    inject(&world, Fault::new(kind.clone()));
    let config = Kubeconfig::from_yaml(world.get(&kubeconfig(&id)).await.text());
    let cluster = config.expect("a kubeconfig").clusters[0].cluster.clone();
    let cluster = cluster.expect("a cluster");
    [
        credentials,
        (cluster.server, cluster.certificate_authority_data),
    ]
}

#[tokio::test]
async fn server_and_authority_can_be_wrong_in_both_documents() {
    let elsewhere = "https://elsewhere.example.com";
    for (server, _) in server_and_authority(&FaultKind::Server(elsewhere.to_owned())).await {
        assert_eq!(server.as_deref(), Some(elsewhere));
    }
    for (server, _) in server_and_authority(&FaultKind::PlainHttpServer).await {
        assert!(server.is_some_and(|server| server.starts_with("http://")));
    }
    let decoded = |text: Option<String>| text.map(|text| STANDARD.decode(text));
    let not_base64 = FaultKind::CertificateAuthority(BrokenAuthority::NotBase64);
    for (_, authority) in server_and_authority(&not_base64).await {
        assert!(decoded(authority).is_some_and(|bytes| bytes.is_err()));
    }
    let not_pem = FaultKind::CertificateAuthority(BrokenAuthority::NotPem);
    for (_, authority) in server_and_authority(&not_pem).await {
        assert_eq!(decoded(authority), Some(Ok(b"this is not PEM".to_vec())));
    }
    let absent = FaultKind::CertificateAuthority(BrokenAuthority::Absent);
    for (_, authority) in server_and_authority(&absent).await {
        assert_eq!(authority, None);
    }
}

async fn struck_kubeconfig(defect: KubeconfigDefect) -> String {
    let (world, id) = world_with(FaultKind::Kubeconfig(defect));
    let reply = world.get(&kubeconfig(&id)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(world.simulator.mints().len(), 1);
    reply.text().to_owned()
}

#[tokio::test]
async fn a_kubeconfig_can_hold_what_must_not_end_up_in_a_secret() {
    let cases = [
        (KubeconfigDefect::Exec, "exec:", false),
        (KubeconfigDefect::AuthProvider, "auth-provider:", false),
        (KubeconfigDefect::TokenFile, "tokenFile:", false),
        (
            KubeconfigDefect::ClientCertificateFile,
            "client-certificate:",
            false,
        ),
        (
            KubeconfigDefect::CertificateAuthorityFile,
            "certificate-authority:",
            true,
        ),
        (KubeconfigDefect::ProxyUrl, "proxy-url:", true),
        (
            KubeconfigDefect::InsecureSkipTlsVerify,
            "insecure-skip-tls-verify: true",
            true,
        ),
        (KubeconfigDefect::NoCredential, "user: {}", false),
    ];
    for (defect, expected, has_token) in cases {
        let document = struck_kubeconfig(defect).await;
        assert!(document.contains(expected), "{defect:?}: {document}");
        assert_eq!(
            document.contains("token: "),
            has_token,
            "{defect:?}: {document}"
        );
        Kubeconfig::from_yaml(&document).expect("still a kubeconfig");
    }
}

#[tokio::test]
async fn a_kubeconfig_can_hold_two_of_everything() {
    let cases = [
        (KubeconfigDefect::TwoClusters, [2, 1, 1]),
        (KubeconfigDefect::TwoContexts, [1, 2, 1]),
        (KubeconfigDefect::TwoUsers, [1, 1, 2]),
    ];
    for (defect, expected) in cases {
        let config = Kubeconfig::from_yaml(&struck_kubeconfig(defect).await);
        let config = config.expect("still a kubeconfig");
        let counts = [
            config.clusters.len(),
            config.contexts.len(),
            config.auth_infos.len(),
        ];
        assert_eq!(counts, expected);
    }
}

#[tokio::test]
async fn a_kubeconfig_can_be_none_at_all() {
    for defect in [KubeconfigDefect::NotYaml, KubeconfigDefect::NotAKubeconfig] {
        assert!(Kubeconfig::from_yaml(&struck_kubeconfig(defect).await).is_err());
    }
}

fn world_of(count: usize) -> World {
    let world = World::new();
    for number in 0..count {
        world.add(named(&format!("c{number}")));
    }
    world
}

#[tokio::test]
async fn the_next_link_can_lead_to_another_host() {
    let world = world_of(3);
    let elsewhere = "https://elsewhere.example.com";
    inject(
        &world,
        Fault::new(FaultKind::ForeignNextLink(elsewhere.to_owned())),
    );
    let list = world.get(&format!("{LIST}?per_page=1")).await.json();
    let next = format!("{elsewhere}{LIST}?page=2&per_page=1");
    assert_eq!(list["links"]["pages"]["next"], next);
}

#[tokio::test]
async fn one_page_of_the_list_can_fail() {
    let world = world_of(5);
    let fault = Fault {
        matches: FaultMatch {
            page: Some(2),
            ..FaultMatch::default()
        },
        ..Fault::new(status(500))
    };
    inject(&world, fault);
    for (page, expected) in [(1, 200), (2, 500), (3, 200)] {
        let reply = world.get(&format!("{LIST}?per_page=2&page={page}")).await;
        assert_eq!(reply.status.as_u16(), expected);
    }
}

#[tokio::test]
async fn a_page_can_be_shorter_than_it_says() {
    let world = world_of(5);
    inject(&world, Fault::new(FaultKind::ShortPage(2)));
    let short = async |page| {
        let list = world
            .get(&format!("{LIST}?per_page=3&page={page}"))
            .await
            .json();
        assert_eq!(list["meta"]["total"], 5);
        list["kubernetes_clusters"].as_array().map(Vec::len)
    };
    assert_eq!(short(1).await, Some(1));
    assert_eq!(short(2).await, Some(0));
}

#[tokio::test]
async fn the_date_can_be_off() {
    let reply = struck_credentials(FaultKind::DateSkew(-86_400)).await;
    assert_eq!(reply.header("date"), Some("Sat, 28 Feb 2026 12:00:00 GMT"));
}

#[tokio::test]
async fn a_fault_strikes_as_often_as_it_was_told_and_only_where_it_changes_something() {
    let (world, id) = World::with_cluster(named("prod"));
    let fault = inject(
        &world,
        Fault::new(FaultKind::ExpiresAt(ExpiresAt::Null)).times(2),
    );
    let expiry = async || world.get(&credentials(&id)).await.json()["expires_at"].clone();
    world.get(LIST).await;
    world.get(&kubeconfig(&id)).await;
    assert_eq!(
        world.get(&credentials("gone")).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(world.simulator.faults()[0].fault.times, Some(2));
    assert_eq!(expiry().await, Value::Null);
    assert_eq!(world.simulator.faults()[0].fault.times, Some(1));
    assert_eq!(expiry().await, Value::Null);
    assert_eq!(world.simulator.faults(), []);
    assert!(expiry().await.is_string());
    let struck: Vec<Vec<u64>> = world
        .simulator
        .history()
        .into_iter()
        .map(|entry| entry.faults)
        .collect();
    let none = Vec::new;
    assert_eq!(
        struck,
        [none(), none(), none(), vec![fault], vec![fault], none()]
    );
}

#[tokio::test]
async fn faults_of_one_stage_strike_in_their_order_and_those_of_different_stages_together() {
    let (world, id) = World::with_cluster(named("prod"));
    let first = inject(&world, Fault::new(status(500)).times(1));
    let second = inject(&world, Fault::new(status(502)).times(1));
    let skew = inject(&world, Fault::new(FaultKind::DateSkew(60)).times(1));
    assert_eq!(world.get(&credentials(&id)).await.status.as_u16(), 500);
    assert_eq!(world.get(&credentials(&id)).await.status.as_u16(), 502);
    assert_eq!(world.get(&credentials(&id)).await.status.as_u16(), 200);
    let history = world.simulator.history();
    assert_eq!(history[0].faults, [first, skew]);
    assert_eq!(history[1].faults, [second]);
}

#[tokio::test]
async fn a_fault_concerns_only_what_it_matches() {
    let (world, id) = World::with_cluster(named("prod"));
    let other = world.add(named("staging"));
    world
        .simulator
        .add_account(Account::new("other"))
        .expect("a new account");
    world
        .simulator
        .add_token("other", "other", Scope::Full)
        .expect("a known account");
    let fault = Fault::new(status(500))
        .on(Operation::GetCredentials)
        .of_cluster(&id);
    inject(&world, fault);
    assert_eq!(world.get(&credentials(&id)).await.status.as_u16(), 500);
    assert_eq!(world.get(&credentials(&other)).await.status.as_u16(), 200);
    assert_eq!(world.get(&kubeconfig(&id)).await.status.as_u16(), 200);
    assert_eq!(world.get(&cluster(&id)).await.status.as_u16(), 200);
    world.simulator.clear_faults();
    let fault = Fault {
        matches: FaultMatch {
            account: Some("other".to_owned()),
            ..FaultMatch::default()
        },
        ..Fault::new(status(500))
    };
    inject(&world, fault);
    assert_eq!(world.get(LIST).await.status.as_u16(), 200);
    assert_eq!(world.get_as("other", LIST).await.status.as_u16(), 500);
    assert_eq!(world.get_as("unknown", LIST).await.status.as_u16(), 401);
}

#[tokio::test]
async fn a_fault_of_some_probability_strikes_as_often_and_the_same_requests_each_time() {
    let strikes = async || {
        let world = World::new();
        let fault = Fault {
            probability: 0.25,
            ..Fault::new(status(500))
        };
        inject(&world, fault);
        let mut strikes = Vec::new();
        for _ in 0..200 {
            strikes.push(world.get(LIST).await.status.as_u16() == 500);
        }
        strikes
    };
    let first = strikes().await;
    let count = first.iter().filter(|&&struck| struck).count();
    assert!((25..=75).contains(&count), "{count} of 200");
    assert_eq!(first, strikes().await);
}

#[tokio::test]
async fn a_fault_ends_when_it_is_cleared() {
    let world = World::new();
    let first = inject(&world, Fault::new(status(500)));
    let second = inject(&world, Fault::new(status(502)));
    assert_eq!(world.get(LIST).await.status.as_u16(), 500);
    world.simulator.clear_fault(first).expect("in force");
    assert_eq!(world.get(LIST).await.status.as_u16(), 502);
    assert!(world.simulator.clear_fault(first).is_err());
    world.simulator.clear_faults();
    assert!(world.simulator.clear_fault(second).is_err());
    assert_eq!(world.get(LIST).await.status.as_u16(), 200);
}

#[test]
fn a_fault_that_cannot_be_sent_is_refused() {
    let world = World::new();
    let impossible = [
        Fault::new(status(99)),
        Fault::new(status(100)),
        Fault::new(status(600)),
        Fault::new(FaultKind::ContentType("a\nb".to_owned())),
        Fault::new(FaultKind::Redirect {
            code: 302,
            location: "\u{0}".to_owned(),
        }),
        Fault {
            probability: 1.5,
            ..Fault::new(status(500))
        },
        Fault {
            probability: f64::NAN,
            ..Fault::new(status(500))
        },
    ];
    for fault in impossible {
        assert!(world.simulator.inject(fault.clone()).is_err(), "{fault:?}");
    }
    let never = Fault::new(status(500)).times(0);
    assert!(world.simulator.inject(never).is_ok());
}

#[tokio::test]
async fn a_fault_of_zero_times_never_strikes() {
    let world = World::new();
    inject(&world, Fault::new(status(500)).times(0));
    assert_eq!(world.get(LIST).await.status, StatusCode::OK);
}
