use std::sync::{Arc, Mutex};

use futures::stream;
use http::header::HeaderMap;
use http_body::Frame;
use http_body_util::StreamBody;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tower::service_fn;

use super::*;
use crate::credential::fixtures::{AUTHORITY, SERVER, TOKEN, capture_log, token_credential};
use crate::credential::to_base64;
use crate::digitalocean::loopback::Loopback;
use crate::digitalocean::{boxed_service, production_service};

const ID: &str = "bd5f5959-5e1e-4205-a714-a914373942af";

type Seen = Arc<Mutex<Vec<(String, HeaderMap)>>>;

fn token() -> ApiToken {
    ApiToken::parse(TOKEN.as_bytes()).unwrap()
}

/// A client of an API that lives in this process, and what it was asked.
fn api<F, B>(respond: F) -> (Client, Seen)
where
    F: Fn(&Request<Full<Bytes>>) -> Response<B> + Clone + Send + Sync + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        assert_eq!(request.method(), http::Method::GET);
        let headers = request.headers().clone();
        log.lock()
            .unwrap()
            .push((request.uri().to_string(), headers));
        let response = respond(&request);
        async move { Ok::<_, BoxError>(response) }
    });
    let base_url = "https://api.test/prefix/".parse().unwrap();
    (Client::new(boxed_service(service), base_url), seen)
}

fn answer(status: u16, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .body(Full::new(body.into()))
        .unwrap()
}

fn always(status: u16, body: &'static str) -> Client {
    api(move |_| answer(status, body)).0
}

/// A client of the API at a real address.
fn at(server: &Loopback) -> Client {
    let base_url: BaseUrl = format!("http://{}", server.address).parse().unwrap();
    Client::new(production_service(&base_url).unwrap(), base_url)
}

fn credentials_json() -> String {
    json!({
        "server": SERVER,
        "certificate_authority_data": to_base64(&AUTHORITY.pem()),
        "token": TOKEN,
        "expires_at": "2026-11-29T11:50:28.889080521Z",
    })
    .to_string()
}

#[tokio::test]
async fn of_a_success_that_is_no_200_the_log_says_nothing() {
    let (client, _) = api(|_| answer(203, format!(r#"{{"token":"c4n4ry","server":"{SERVER}"}}"#)));
    let (log, guard) = capture_log();
    let error = client.get_credentials(&token(), ID, 60).await.unwrap_err();
    drop(guard);
    assert_eq!(
        error.kind,
        ErrorKind::Unexpected(StatusCode::NON_AUTHORITATIVE_INFORMATION)
    );
    assert!(log.text().contains("203"), "{}", log.text());
    assert!(!log.text().contains("c4n4ry"), "{}", log.text());
}

#[tokio::test]
async fn get_cluster_asks_for_the_cluster_and_nothing_else() {
    let (client, seen) = api(|_| {
        answer(
            200,
            json!({"kubernetes_cluster": {"id": ID, "name": "prod"}}).to_string(),
        )
    });
    let cluster = client.get_cluster(&token(), ID).await.unwrap();
    assert_eq!(cluster.value.name, "prod");
    assert_eq!(cluster.meta.requests, 1);
    let (uri, headers) = seen.lock().unwrap().pop().unwrap();
    assert_eq!(
        uri,
        format!("https://api.test/prefix/v2/kubernetes/clusters/{ID}")
    );
    assert_eq!(headers["authorization"], format!("Bearer {TOKEN}"));
    assert!(headers["authorization"].is_sensitive());
    assert_eq!(headers["accept"], "application/json");
    assert_eq!(headers["user-agent"], crate::digitalocean::USER_AGENT);
    assert!(crate::digitalocean::USER_AGENT.starts_with("do-cluster-access/0."));
}

#[tokio::test]
async fn get_credentials_sends_the_lifetime_and_gives_a_checked_credential() {
    let (client, seen) = api(|_| answer(200, credentials_json()));
    let issued = client
        .get_credentials(&token(), ID, 3600)
        .await
        .unwrap()
        .value;
    assert_eq!(issued.credential, token_credential());
    assert_eq!(
        issued.expires_at.unwrap().to_string(),
        "2026-11-29T11:50:28.889080521Z"
    );
    let (uri, headers) = seen.lock().unwrap().pop().unwrap();
    assert!(uri.ends_with(&format!(
        "/v2/kubernetes/clusters/{ID}/credentials?expiry_seconds=3600"
    )));
    assert_eq!(headers["accept"], "application/json");
}

#[tokio::test]
async fn get_kubeconfig_always_asks_for_a_token_and_for_yaml_first() {
    let (client, seen) = api(|_| answer(200, "---\nkind: Config\n"));
    let text = client.get_kubeconfig(&token(), ID, 60).await.unwrap().value;
    assert_eq!(text.expose_secret(), "---\nkind: Config\n");
    let (uri, headers) = seen.lock().unwrap().pop().unwrap();
    assert!(uri.ends_with(&format!(
        "/v2/kubernetes/clusters/{ID}/kubeconfig?expiry_seconds=60&type=token"
    )));
    assert_eq!(headers["accept"], "application/yaml, */*;q=0.1");
}

#[tokio::test]
async fn every_request_says_which_operation_it_is() {
    for operation in [
        Operation::ListClusters,
        Operation::GetCluster,
        Operation::GetKubeconfig,
        Operation::GetCredentials,
    ] {
        let (client, seen) = api(move |request| {
            assert_eq!(request.extensions().get(), Some(&operation));
            answer(500, "")
        });
        fail(&client, operation).await;
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
}

/// The error of that call.
async fn fail(client: &Client, operation: Operation) -> Error {
    let token = token();
    match operation {
        Operation::ListClusters => client.list_clusters(&token).await.map(drop),
        Operation::GetCluster => client.get_cluster(&token, ID).await.map(drop),
        Operation::GetKubeconfig => client.get_kubeconfig(&token, ID, 60).await.map(drop),
        Operation::GetCredentials => client.get_credentials(&token, ID, 60).await.map(drop),
    }
    .expect_err("the call fails")
}

#[tokio::test]
async fn the_status_alone_decides_whatever_the_body_says() {
    let status = |status| StatusCode::from_u16(status).unwrap();
    for (code, kind) in [
        (401, ErrorKind::Unauthorized),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (429, ErrorKind::RateLimited { retry_after: None }),
        (500, ErrorKind::ServerError(status(500))),
        (503, ErrorKind::ServerError(status(503))),
        (301, ErrorKind::Redirected(status(301))),
        (307, ErrorKind::Redirected(status(307))),
        (400, ErrorKind::Unexpected(status(400))),
        (204, ErrorKind::Unexpected(status(204))),
        (206, ErrorKind::Unexpected(status(206))),
    ] {
        for body in [
            "",
            "<html>Cloudflare</html>",
            r#"{"id":"not_found","message":"The resource you requested could not be found."}"#,
            r#"{"id":"#,
        ] {
            let error = fail(&always(code, body), Operation::GetCredentials).await;
            assert_eq!(error.kind, kind, "{code} {body}");
            assert_eq!(error.status(), Some(status(code)));
            assert_eq!(error.operation, Operation::GetCredentials);
        }
    }
}

#[tokio::test]
async fn errors_of_the_token_are_told_from_errors_of_a_cluster() {
    for (code, on_list, on_cluster) in [
        (401, true, true),
        (403, true, false),
        (404, false, false),
        (429, true, true),
        (500, true, true),
        (503, true, true),
        (301, false, false),
        (400, false, false),
    ] {
        let client = always(code, "");
        let error = fail(&client, Operation::ListClusters).await;
        assert_eq!(error.is_token_level(), on_list, "{error}");
        for operation in [
            Operation::GetCluster,
            Operation::GetKubeconfig,
            Operation::GetCredentials,
        ] {
            let error = fail(&client, operation).await;
            assert_eq!(error.is_token_level(), on_cluster, "{error}");
        }
    }
}

#[tokio::test]
async fn only_a_lost_or_unreadable_answer_of_a_minting_call_may_have_minted() {
    for (code, minted) in [
        (200, true),
        (204, true),
        (500, false),
        (504, true),
        (401, false),
        (404, false),
        (429, false),
        (302, false),
    ] {
        let client = always(code, "nonsense");
        let error = fail(&client, Operation::GetCredentials).await;
        assert_eq!(error.may_have_minted(), minted, "{error}");
        assert!(!fail(&client, Operation::GetCluster).await.may_have_minted());
    }
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let client = always(403, "");
    assert_eq!(
        fail(&client, Operation::GetKubeconfig).await.to_string(),
        "the API token lacks permission to fetch the cluster's kubeconfig (403): give it the \
         scope kubernetes:access_cluster"
    );
    assert_eq!(
        fail(&client, Operation::ListClusters).await.to_string(),
        "the API token lacks permission to list clusters (403): give it the scope kubernetes:read"
    );
}

#[tokio::test]
async fn both_rate_limits_are_told_with_what_the_headers_say() {
    let (client, _) = api(|_| {
        let mut response = answer(429, r#"{"id":"too_many_requests","message":"x"}"#);
        let headers = response.headers_mut();
        headers.insert("retry-after", "29".parse().unwrap());
        headers.insert("ratelimit-limit", "5000".parse().unwrap());
        headers.insert("ratelimit-remaining", "0".parse().unwrap());
        headers.insert("x-request-id", "515850a0".parse().unwrap());
        response
    });
    let error = fail(&client, Operation::ListClusters).await;
    let wait = Some(Duration::from_secs(29));
    assert_eq!(error.kind, ErrorKind::RateLimited { retry_after: wait });
    assert_eq!(error.retry_after(), wait);
    assert_eq!(error.meta.rate_limit.remaining, Some(0));
    assert_eq!(error.meta.request_id.as_deref(), Some("515850a0"));
    assert_eq!(
        error.to_string(),
        "the API token's rate limit is used up (429)"
    );
}

#[tokio::test]
async fn the_request_id_is_taken_from_the_body_when_no_header_has_it() {
    let client = always(
        500,
        r#"{"id":"server_error","message":"m","request_id":"4d9d8375"}"#,
    );
    let error = fail(&client, Operation::GetCluster).await;
    assert_eq!(error.meta.request_id.as_deref(), Some("4d9d8375"));
}

#[tokio::test]
async fn a_success_with_another_body_than_documented_is_malformed() {
    let truncated: &'static str = Box::leak(credentials_json()[..200].to_owned().into_boxed_str());
    for body in [
        "",
        "<html></html>",
        "null",
        "[]",
        truncated,
        r#"{"token": 5}"#,
    ] {
        let client = always(200, body);
        for operation in [
            Operation::ListClusters,
            Operation::GetCluster,
            Operation::GetCredentials,
        ] {
            let error = fail(&client, operation).await;
            let ErrorKind::Malformed(why) = error.kind else {
                panic!("{error}: {body}")
            };
            assert!(matches!(
                why,
                Malformed::NotTheDocumentedJson | Malformed::Credential(_)
            ));
            assert!(!format!("{error} {error:?}").contains(TOKEN));
        }
    }
    let (client, _) = api(|_| answer(200, Bytes::from_static(&[0xff, 0xfe])));
    let error = fail(&client, Operation::GetKubeconfig).await;
    assert_eq!(error.kind, ErrorKind::Malformed(Malformed::NotText));
}

#[tokio::test]
async fn a_wrong_content_type_changes_nothing() {
    let (client, _) = api(|_| {
        let mut response = answer(200, credentials_json());
        response
            .headers_mut()
            .insert("content-type", "text/html".parse().unwrap());
        response
    });
    client
        .get_credentials(&token(), ID, 60)
        .await
        .expect("what counts is the body");
}

#[tokio::test]
async fn an_id_that_would_leave_its_place_in_the_path_is_not_sent() {
    let (client, seen) = api(|_| answer(200, ""));
    for id in ["", "..", "a/b", "a?b", "a b", "%2e", &"a".repeat(65), "ä"] {
        let error = client.get_credentials(&token(), id, 60).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidClusterId, "{id}");
        assert_eq!(error.meta.requests, 0);
    }
    assert!(seen.lock().unwrap().is_empty());
}

/// A body without announced length that counts how much of it is taken.
fn endless(taken: &Arc<Mutex<usize>>) -> impl Body<Data = Bytes, Error = BoxError> + Send + use<> {
    let taken = Arc::clone(taken);
    let chunk = Bytes::from(vec![b' '; 16 * 1024]);
    StreamBody::new(stream::repeat_with(move || {
        *taken.lock().unwrap() += chunk.len();
        Ok(Frame::data(chunk.clone()))
    }))
}

/// A body that never says a word.
fn silent() -> impl Body<Data = Bytes, Error = BoxError> + Send + use<> {
    StreamBody::new(stream::pending::<Result<Frame<Bytes>, BoxError>>())
}

#[tokio::test]
async fn reading_stops_at_the_limit() {
    for (operation, limit) in [
        (Operation::GetCredentials, 64 * 1024),
        (Operation::GetKubeconfig, 256 * 1024),
        (Operation::GetCluster, 256 * 1024),
    ] {
        let taken = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&taken);
        let (client, _) = api(move |_| Response::new(endless(&counter)));
        let error = fail(&client, operation).await;
        assert_eq!(error.kind, ErrorKind::BodyTooLarge { limit });
        let taken = *taken.lock().unwrap();
        assert!((limit..limit + 64 * 1024).contains(&taken), "{taken}");
    }
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_not_read_at_all() {
    let server = Loopback::answering("HTTP/1.1 200 OK\r\ncontent-length: 10485760\r\n\r\n{").await;
    let error = fail(&at(&server), Operation::GetCredentials).await;
    assert_eq!(error.kind, ErrorKind::BodyTooLarge { limit: 64 * 1024 });
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_answers_is_given_up_at_the_deadline() {
    let service = service_fn(|_: Request<Full<Bytes>>| {
        std::future::pending::<Result<Response<Full<Bytes>>, BoxError>>()
    });
    let client = Client::new(boxed_service(service), BaseUrl::DEFAULT.parse().unwrap());
    let start = Instant::now();
    let error = fail(&client, Operation::GetCredentials).await;
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(error.is_token_level() && error.may_have_minted());
    assert_eq!(error.meta.requests, 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up_at_the_deadline_with_what_is_known() {
    let (client, _) = api(|_| {
        Response::builder()
            .header("x-request-id", "a1")
            .body(silent())
            .unwrap()
    });
    let client = client.with_deadline(Duration::from_secs(3));
    let start = Instant::now();
    let error = fail(&client, Operation::GetKubeconfig).await;
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert_eq!(error.meta.request_id.as_deref(), Some("a1"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_whose_body_never_ends_is_still_that_refusal() {
    let (client, _) = api(|_| Response::builder().status(401).body(silent()).unwrap());
    let start = Instant::now();
    let error = fail(&client, Operation::GetCluster).await;
    assert_eq!(error.kind, ErrorKind::Unauthorized);
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

#[tokio::test]
async fn nothing_listening_is_a_connect_error_that_minted_nothing() {
    let server = Loopback::answering("").await;
    let client = at(&server);
    let address = server.address;
    drop(server);
    // The listener is gone once its task is, which a new one on the same port proves.
    while tokio::net::TcpListener::bind(address).await.is_err() {
        tokio::task::yield_now().await;
    }
    let error = fail(&client, Operation::GetCredentials).await;
    assert_eq!(error.kind, ErrorKind::Connect);
    assert!(error.is_token_level() && !error.may_have_minted());
}

#[tokio::test]
async fn a_connection_that_breaks_may_have_minted() {
    for response in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"server\":",
    ] {
        let server = Loopback::answering(response).await;
        let error = fail(&at(&server), Operation::GetCredentials).await;
        assert_eq!(error.kind, ErrorKind::Transport, "{response}");
        assert!(error.is_token_level() && error.may_have_minted());
        assert_eq!(server.requests().len(), 1, "never repeated");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_anywhere() {
    let other = Loopback::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for location in [
        format!("http://{}/v2", other.address),
        "/elsewhere".to_owned(),
    ] {
        let server = Loopback::answering(format!(
            "HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
        let error = fail(&at(&server), Operation::GetCredentials).await;
        assert_eq!(error.kind, ErrorKind::Redirected(StatusCode::FOUND));
        assert_eq!(server.requests().len(), 1);
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn on_the_wire_is_what_is_needed_and_no_more() {
    let body = credentials_json();
    let server = Loopback::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    at(&server)
        .get_credentials(&token(), ID, 60)
        .await
        .expect("a credential");
    let request = server.requests().pop().unwrap().to_ascii_lowercase();
    let mut lines: Vec<_> = request.trim_end().lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            &format!("get /v2/kubernetes/clusters/{ID}/credentials?expiry_seconds=60 http/1.1"),
            "accept: application/json",
            &format!("authorization: bearer {TOKEN}"),
            &format!("host: {}", server.address),
            &format!("user-agent: {}", crate::digitalocean::USER_AGENT),
        ]
    );
}

/// An account's clusters behind the list call: the newest first, pages of at most `largest`.
#[derive(Clone)]
struct Account {
    names: Arc<Mutex<Vec<String>>>,
    largest: usize,
}

impl Account {
    fn of(count: usize) -> Self {
        let names = (0..count)
            .map(|number| format!("cluster-{number:03}"))
            .collect();
        Self {
            names: Arc::new(Mutex::new(names)),
            largest: 200,
        }
    }

    fn page(&self, uri: &http::Uri) -> Value {
        let number = |name: &str| -> usize {
            let pairs = uri
                .query()
                .unwrap()
                .split('&')
                .filter_map(|pair| pair.split_once('='));
            pairs
                .into_iter()
                .find(|(key, _)| *key == name)
                .unwrap()
                .1
                .parse()
                .unwrap()
        };
        let size = number("per_page").min(self.largest);
        let names = self.names.lock().unwrap();
        let clusters: Vec<_> = names
            .iter()
            .skip((number("page") - 1) * size)
            .take(size)
            .map(|name| json!({"id": format!("id-{name}"), "name": name}))
            .collect();
        let mut page = json!({"kubernetes_clusters": clusters, "meta": {"total": names.len()}});
        if number("page") * size < names.len() {
            page["links"] = json!({"pages": {"next": "https://evil.test/v2?page=99"}});
        }
        page
    }

    fn client(&self) -> (Client, Seen) {
        let account = self.clone();
        api(move |request| answer(200, account.page(request.uri()).to_string()))
    }
}

fn pages(seen: &Seen) -> Vec<String> {
    let seen = seen.lock().unwrap();
    seen.iter()
        .map(|(uri, _)| uri.split_once('?').unwrap().1.to_owned())
        .collect()
}

#[tokio::test]
async fn the_list_is_read_to_its_last_page_by_number_alone() {
    for (count, requests) in [(0, 1), (1, 1), (200, 1), (201, 2), (450, 3)] {
        let (client, seen) = Account::of(count).client();
        let list = client.list_clusters(&token()).await.unwrap();
        assert_eq!(list.value.len(), count);
        assert_eq!(list.meta.requests, requests);
        let expected: Vec<_> = (1..=requests)
            .map(|p| format!("per_page=200&page={p}"))
            .collect();
        assert_eq!(pages(&seen), expected);
        let seen = seen.lock().unwrap();
        assert!(
            seen.iter()
                .all(|(uri, _)| uri.starts_with("https://api.test/prefix/v2/"))
        );
    }
}

#[tokio::test]
async fn a_server_with_smaller_pages_than_asked_for_is_read_to_the_end() {
    let account = Account {
        largest: 25,
        ..Account::of(110)
    };
    let (client, _) = account.client();
    let list = client.list_clusters(&token()).await.unwrap();
    assert_eq!((list.value.len(), list.meta.requests), (110, 5));
}

#[tokio::test]
async fn a_page_that_is_too_long_is_asked_for_in_smaller_ones() {
    let account = Account::of(450);
    let (client, seen) = api(move |request| {
        let page = account.page(request.uri());
        let clusters = page["kubernetes_clusters"].as_array().unwrap();
        // From the 300th on they take 60 kB each: 69 of them fit.
        let fat = clusters
            .iter()
            .filter(|c| c["name"].as_str() >= Some("cluster-300"))
            .count();
        answer(200, format!("{page}{}", " ".repeat(fat * 60_000)))
    });
    let list = client.list_clusters(&token()).await.unwrap();
    let names: std::collections::HashSet<_> = list.value.iter().map(|c| &c.name).collect();
    assert_eq!(names.len(), 450);
    let expected = [
        "200&page=1",
        "200&page=2",
        "100&page=3",
        "100&page=4",
        "50&page=7",
        "50&page=8",
        "50&page=9",
    ];
    assert_eq!(
        pages(&seen),
        expected.map(|page| format!("per_page={page}"))
    );
    assert_eq!(list.meta.requests, 7);
}

#[tokio::test]
async fn a_single_cluster_that_is_too_long_is_an_error() {
    let (client, seen) = api(|_| answer(200, " ".repeat(4 * 1024 * 1024 + 1)));
    let error = fail(&client, Operation::ListClusters).await;
    assert_eq!(
        error.kind,
        ErrorKind::BodyTooLarge {
            limit: 4 * 1024 * 1024
        }
    );
    assert_eq!(error.meta.requests, 6);
    assert_eq!(pages(&seen).last().unwrap(), "per_page=1&page=1");
}

/// The list of an account that changes after its first page was read.
async fn changed(change: fn(&mut Vec<String>)) -> Result<usize, ErrorKind> {
    let account = Account {
        largest: 25,
        ..Account::of(60)
    };
    let (client, _) = account.client();
    let mut listing = Listing::new();
    client.list_step(&token(), &mut listing).await.unwrap();
    change(&mut account.names.lock().unwrap());
    loop {
        match client
            .list_step(&token(), &mut listing)
            .await
            .map_err(|error| error.kind)?
        {
            Progress::More => {}
            Progress::Complete(list) => return Ok(list.value.len()),
        }
    }
}

#[tokio::test]
async fn a_list_that_may_miss_a_cluster_is_an_error() {
    // Moves one that was not read yet onto a page that was.
    assert_eq!(
        changed(|names| drop(names.remove(0))).await,
        Err(ErrorKind::Incomplete)
    );
    assert_eq!(
        changed(|names| names.truncate(20)).await,
        Err(ErrorKind::Incomplete)
    );
    // The new one is on the page that was read, and one comes twice.
    assert_eq!(
        changed(|names| names.insert(0, "new".into())).await,
        Err(ErrorKind::Incomplete)
    );
    // Nothing is missed.
    assert_eq!(changed(|names| names.push("new".into())).await, Ok(61));
    assert_eq!(changed(|_| ()).await, Ok(60));
}

#[tokio::test]
async fn a_cluster_that_comes_twice_is_listed_once() {
    let (client, _) = api(|_| {
        let cluster = json!({"id": "a", "name": "a"});
        let page = json!({"kubernetes_clusters": [cluster, cluster], "meta": {"total": 1}});
        answer(200, page.to_string())
    });
    assert_eq!(client.list_clusters(&token()).await.unwrap().value.len(), 1);
}

#[tokio::test]
async fn a_list_that_is_shorter_than_it_says_or_says_nothing_is_an_error() {
    for (page, kind) in [
        (
            json!({"kubernetes_clusters": [], "meta": {"total": 3}}),
            ErrorKind::Incomplete,
        ),
        (
            json!({"kubernetes_clusters": null, "meta": {"total": 3}}),
            ErrorKind::Incomplete,
        ),
        (json!({"meta": {"total": 1}}), ErrorKind::Incomplete),
        (
            json!({"kubernetes_clusters": [{"name": "x"}], "meta": {"total": 1}}),
            ErrorKind::Malformed(Malformed::WrongCluster),
        ),
        (
            json!({"kubernetes_clusters": []}),
            ErrorKind::Malformed(Malformed::NotTheDocumentedJson),
        ),
        (
            json!({}),
            ErrorKind::Malformed(Malformed::NotTheDocumentedJson),
        ),
    ] {
        let (client, seen) = api(move |_| answer(200, page.to_string()));
        assert_eq!(fail(&client, Operation::ListClusters).await.kind, kind);
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
    let empty = json!({"kubernetes_clusters": null, "links": {}, "meta": {"total": 0}});
    let (client, _) = api(move |_| answer(200, empty.to_string()));
    assert!(
        client
            .list_clusters(&token())
            .await
            .unwrap()
            .value
            .is_empty()
    );
}

#[tokio::test]
async fn a_list_that_never_ends_is_given_up() {
    let (client, seen) = api(|request| {
        let id = request.uri().query().unwrap();
        let page = json!({
            "kubernetes_clusters": [{"id": id, "name": "x"}],
            "links": {"pages": {"next": "https://api.test"}},
            "meta": {"total": 1},
        });
        answer(200, page.to_string())
    });
    assert_eq!(
        fail(&client, Operation::ListClusters).await.kind,
        ErrorKind::Incomplete
    );
    assert_eq!(seen.lock().unwrap().len(), 200);
}

#[tokio::test]
async fn no_secret_reaches_the_log() {
    let echo = format!("HTTP/1.1 400 Bad\r\n\r\nauthorization: Bearer {TOKEN}\nforged: line");
    let body = credentials_json();
    let sound = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let unsound = body.replace(&format!("\"{TOKEN}\""), &format!("{{\"{TOKEN}\":1}}"));
    let unsound = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{unsound}",
        unsound.len()
    );
    for (response, expected) in [
        (echo.as_str(), "Bearer [REDACTED] forged: line"),
        (unsound.as_str(), "not the documented JSON"),
        (sound.as_str(), ""),
        ("", "no complete response"),
    ] {
        let server = Loopback::answering(response).await;
        let client = at(&server);
        let (log, guard) = capture_log();
        let _ = client.get_credentials(&token(), ID, 60).await;
        let _ = client.get_kubeconfig(&token(), ID, 60).await;
        drop(guard);
        let log = log.text();
        assert!(log.contains(expected), "{log}");
        assert!(!log.contains(TOKEN), "{log}");
        assert!(!log.contains(&to_base64(&AUTHORITY.pem())), "{log}");
    }
}

#[test]
fn debug_output_of_the_client_is_its_address() {
    let shown = format!("{:?}", always(200, ""));
    assert_eq!(
        shown,
        "Client { base_url: \"https://api.test/prefix\", deadline: 10s, .. }"
    );
}

#[test]
fn every_call_can_run_on_any_thread() {
    fn assert_send<T: Send>(_: T) {}
    let (client, token) = (always(200, ""), token());
    assert_send(client.list_clusters(&token));
    assert_send(client.list_step(&token, &mut Listing::new()));
    assert_send(client.get_cluster(&token, ID));
    assert_send(client.get_kubeconfig(&token, ID, 60));
    assert_send(client.get_credentials(&token, ID, 60));
}
