//! Authentication, errors, the list, and what GET cluster shows.

use axum::body::Body;
use do_cluster_access_testbed::simulator::{Account, Cluster, Error, Scope};
use http::{Request, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::world::{LIST, TOKEN, World, cluster, credentials, kubeconfig, named};

fn names(list: &Value) -> Vec<&str> {
    let clusters = list["kubernetes_clusters"].as_array().expect("a list");
    let name = |cluster: &'_ Value| cluster["name"].as_str().map(str::len).is_some();
    assert!(clusters.iter().all(name), "every cluster has a name");
    clusters
        .iter()
        .filter_map(|cluster| cluster["name"].as_str())
        .collect()
}

/// Clusters `c0` to `c<count - 1>`, each a minute younger than the one before.
fn world_of(count: usize) -> World {
    let world = World::new();
    for number in 0..count {
        world.add(named(&format!("c{number}")));
        world.pass(SignedDuration::from_mins(1));
    }
    world
}

#[tokio::test]
async fn an_unknown_or_missing_api_token_is_answered_with_401() {
    let world = world_of(1);
    let unknown = world.get_as("dop_v1_other", LIST).await;
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED);
    assert_eq!(unknown.json()["id"], "unauthorized");
    let requests = [
        Request::get(LIST),
        Request::get(LIST).header("authorization", format!("Basic {TOKEN}")),
        Request::get(LIST).header("authorization", "Bearer "),
    ];
    for request in requests {
        let reply = world
            .send(request.body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    let accounts: Vec<_> = world.simulator.history();
    assert!(accounts.iter().all(|entry| entry.account.is_none()));
}

#[tokio::test]
async fn a_revoked_api_token_is_answered_with_401_until_it_is_added_again() {
    let (world, id) = World::with_cluster(named("prod"));
    let minted = world.mint(&id, "").await;
    world.simulator.revoke_token(TOKEN).expect("a known token");
    assert_eq!(world.get(LIST).await.status, StatusCode::UNAUTHORIZED);
    assert!(
        world.simulator.review(&minted).is_some(),
        "what it minted lives on"
    );
    world
        .simulator
        .add_token("default", TOKEN, Scope::Full)
        .expect("a known account");
    assert_eq!(world.get(LIST).await.status, StatusCode::OK);
    assert!(matches!(
        world.simulator.revoke_token("never seen"),
        Err(Error::UnknownToken)
    ));
}

#[tokio::test]
async fn a_read_only_token_sees_clusters_and_mints_nothing() {
    let (world, id) = World::with_cluster(named("prod"));
    world
        .simulator
        .add_token("default", "reader", Scope::ReadOnly)
        .expect("a known account");
    assert_eq!(world.get_as("reader", LIST).await.status, StatusCode::OK);
    assert_eq!(
        world.get_as("reader", &cluster(&id)).await.status,
        StatusCode::OK
    );
    for path in [credentials(&id), kubeconfig(&id)] {
        let reply = world.get_as("reader", &path).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert_eq!(reply.json()["id"], "forbidden");
    }
    assert_eq!(world.simulator.mints(), []);
}

#[tokio::test]
async fn a_token_without_scopes_is_answered_with_403_everywhere() {
    let (world, id) = World::with_cluster(named("prod"));
    world
        .simulator
        .add_token("default", "nothing", Scope::None)
        .expect("a known account");
    for path in [
        LIST.to_owned(),
        cluster(&id),
        credentials(&id),
        kubeconfig(&id),
    ] {
        assert_eq!(
            world.get_as("nothing", &path).await.status,
            StatusCode::FORBIDDEN
        );
    }
}

#[tokio::test]
async fn every_answer_tells_the_rate_limit_its_request_id_and_the_simulated_date() {
    let (world, id) = World::with_cluster(named("prod"));
    let paths = [
        LIST.to_owned(),
        credentials(&id),
        kubeconfig(&id),
        cluster("gone"),
    ];
    for (number, path) in paths.iter().enumerate() {
        let reply = world.get(path).await;
        assert_eq!(reply.header("ratelimit-limit"), Some("5000"));
        let remaining = (4_999 - number).to_string();
        assert_eq!(
            reply.header("ratelimit-remaining"),
            Some(remaining.as_str())
        );
        let reset = (world.now().as_second() + 3_600).to_string();
        assert_eq!(reply.header("ratelimit-reset"), Some(reset.as_str()));
        assert_eq!(reply.header("date"), Some("Sun, 01 Mar 2026 12:00:00 GMT"));
        let id = reply.header("x-request-id").expect("a request id");
        assert_eq!(id.len(), 36);
        assert_eq!(world.simulator.history()[number].request_id, id);
    }
}

#[tokio::test]
async fn an_error_holds_id_message_and_the_request_id_of_the_header() {
    let world = World::new();
    let reply = world
        .get(&cluster("0a32ba10-176a-46eb-9a8d-b61c97905db0"))
        .await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    let request_id = reply.header("x-request-id").expect("a request id");
    let expected = json!({
        "id": "not_found",
        "message": "The resource you requested could not be found.",
        "request_id": request_id,
    });
    assert_eq!(reply.json(), expected);
}

#[tokio::test]
async fn other_paths_are_404_and_other_methods_405() {
    let world = World::new();
    let strangers = [
        "/v2/account",
        "/v2/kubernetes/clustersX",
        "/v2/kubernetes/clusters/",
        "/v2/kubernetes/clusters/a/b",
        "/v2/kubernetes/clusters/a/credentials/b",
    ];
    for path in strangers {
        assert_eq!(
            world.get(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let post = Request::post(LIST)
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Body::empty())
        .expect("a request");
    let reply = world.send(post).await;
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(reply.header("allow"), Some("GET"));
}

#[tokio::test]
async fn the_list_shows_25_clusters_newest_first_by_default() {
    let world = world_of(27);
    let list = world.get(LIST).await.json();
    let expected: Vec<String> = (2..27).rev().map(|number| format!("c{number}")).collect();
    assert_eq!(names(&list), expected);
    assert_eq!(list["meta"], json!({ "total": 27 }));
    let links = json!({ "pages": {
        "next": "http://do.example:8080/v2/kubernetes/clusters?page=2",
        "last": "http://do.example:8080/v2/kubernetes/clusters?page=2",
    }});
    assert_eq!(list["links"], links);
}

#[tokio::test]
async fn the_pages_hold_every_cluster_once() {
    let world = world_of(11);
    let mut seen = Vec::new();
    for page in 1..=4 {
        let path = format!("{LIST}?per_page=3&page={page}");
        let list = world.get(&path).await.json();
        seen.extend(names(&list).iter().map(|&name| name.to_owned()));
    }
    let expected: Vec<String> = (0..11).rev().map(|number| format!("c{number}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn links_lead_to_the_neighbours_on_the_host_that_was_asked() {
    let world = world_of(5);
    let request = Request::get("https://api.example.com/v2/kubernetes/clusters?per_page=1&page=3")
        .header("authorization", format!("Bearer {TOKEN}"));
    let reply = world
        .send(request.body(Body::empty()).expect("a request"))
        .await;
    let link = |page| format!("https://api.example.com{LIST}?page={page}&per_page=1");
    let pages = json!({ "first": link(1), "prev": link(2), "next": link(4), "last": link(5) });
    assert_eq!(reply.json()["links"]["pages"], pages);
}

#[tokio::test]
async fn a_list_of_one_page_has_no_links() {
    let world = world_of(2);
    let list = world.get(&format!("{LIST}?per_page=2")).await.json();
    assert_eq!(list.get("links"), None);
    let empty = World::new().get(LIST).await.json();
    assert_eq!(
        empty,
        json!({ "kubernetes_clusters": [], "meta": { "total": 0 } })
    );
}

#[tokio::test]
async fn a_page_beyond_the_last_is_empty() {
    let world = world_of(3);
    for page in ["2", "18446744073709551615", "99999999999999999999999"] {
        let list = world.get(&format!("{LIST}?page={page}")).await.json();
        assert_eq!(list["kubernetes_clusters"], json!([]));
        let previous = format!("http://do.example:8080{LIST}?page=1");
        assert_eq!(list["links"]["pages"]["prev"], previous);
        assert_eq!(list["meta"]["total"], 3);
    }
}

#[tokio::test]
async fn paging_out_of_range_is_400() {
    let world = world_of(1);
    for query in [
        "per_page=0",
        "per_page=201",
        "per_page=x",
        "page=0",
        "page=-1",
        "page=",
    ] {
        let reply = world.get(&format!("{LIST}?{query}")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(reply.json()["id"], "bad_request");
    }
    for query in ["per_page=1", "per_page=200", "page=1"] {
        let reply = world.get(&format!("{LIST}?{query}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{query}");
    }
}

#[tokio::test]
async fn an_account_sees_its_own_clusters_alone() {
    let (world, id) = World::with_cluster(named("prod"));
    world
        .simulator
        .add_account(Account::new("other"))
        .expect("a new account");
    world
        .simulator
        .add_token("other", "other", Scope::Full)
        .expect("a known account");
    assert_eq!(names(&world.get_as("other", LIST).await.json()), [""; 0]);
    for path in [cluster(&id), credentials(&id), kubeconfig(&id)] {
        assert_eq!(
            world.get_as("other", &path).await.status,
            StatusCode::NOT_FOUND
        );
    }
    assert_eq!(world.simulator.mints(), []);
}

#[tokio::test]
async fn a_cluster_shows_what_it_was_given() {
    let world = World::new();
    let id = "bd5f5959-5e1e-4205-a714-a914373942af";
    let given = world.add(Cluster {
        id: id.to_owned(),
        name: "prod-cluster-01".to_owned(),
        region: "ams3".to_owned(),
        version: "1.35.1-do.2".to_owned(),
        state: "degraded".to_owned(),
        message: Some("one node is missing".to_owned()),
        tags: vec!["env:prod".to_owned()],
        firewall: Some(vec!["192.0.2.0/24".to_owned()]),
        ..Cluster::default()
    });
    assert_eq!(given, id);
    let document = world.get(&cluster(id)).await.json()["kubernetes_cluster"].clone();
    assert_eq!(document["id"], id);
    assert_eq!(document["name"], "prod-cluster-01");
    assert_eq!(document["region"], "ams3");
    assert_eq!(document["version"], "1.35.1-do.2");
    let status = json!({ "state": "degraded", "message": "one node is missing" });
    assert_eq!(document["status"], status);
    assert_eq!(
        document["tags"],
        json!(["env:prod", "k8s", format!("k8s:{id}")])
    );
    assert_eq!(
        document["endpoint"],
        format!("https://{id}.k8s.ondigitalocean.com")
    );
    assert_eq!(document["created_at"], "2026-03-01T12:00:00Z");
    let firewall = json!({ "enabled": true, "allowed_addresses": ["192.0.2.0/24"] });
    assert_eq!(document["control_plane_firewall"], firewall);
    assert_eq!(
        world.get(LIST).await.json()["kubernetes_clusters"],
        json!([document])
    );
}

#[tokio::test]
async fn a_cluster_can_be_changed_but_not_its_id() {
    let (world, id) = World::with_cluster(named("prod"));
    world
        .simulator
        .update_cluster(&id, |cluster| "renamed".clone_into(&mut cluster.name))
        .expect("a known cluster");
    let document = world.get(&cluster(&id)).await.json();
    assert_eq!(document["kubernetes_cluster"]["name"], "renamed");
    let moved = world
        .simulator
        .update_cluster(&id, |cluster| cluster.id.push('0'));
    assert!(matches!(moved, Err(Error::ClusterIdChanged(_))));
    let unknown = world.simulator.update_cluster("unknown", |_| {});
    assert!(matches!(unknown, Err(Error::UnknownCluster(_))));
}

#[tokio::test]
async fn an_id_belongs_to_one_cluster_of_all_accounts() {
    let (world, id) = World::with_cluster(named("prod"));
    world
        .simulator
        .add_account(Account::new("other"))
        .expect("a new account");
    let twin = Cluster {
        id,
        ..named("twin")
    };
    assert!(matches!(
        world.simulator.add_cluster("other", twin),
        Err(Error::ClusterExists(_))
    ));
    assert!(matches!(
        world.simulator.add_cluster("nobody", named("x")),
        Err(Error::UnknownAccount(_))
    ));
}

#[tokio::test]
async fn a_removed_cluster_is_404_and_gone_from_the_list() {
    let (world, id) = World::with_cluster(named("prod"));
    world
        .simulator
        .remove_cluster(&id)
        .expect("a known cluster");
    for path in [cluster(&id), credentials(&id), kubeconfig(&id)] {
        assert_eq!(world.get(&path).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(world.get(LIST).await.json()["meta"]["total"], 0);
    assert!(matches!(
        world.simulator.remove_cluster(&id),
        Err(Error::UnknownCluster(_))
    ));
}

#[tokio::test]
async fn only_a_cluster_that_works_hands_out_credentials() {
    let (world, id) = World::with_cluster(named("prod"));
    let states = [
        ("running", StatusCode::OK),
        ("degraded", StatusCode::OK),
        ("upgrading", StatusCode::OK),
        ("deleting", StatusCode::OK),
        ("something new", StatusCode::OK),
        ("provisioning", StatusCode::NOT_FOUND),
        ("Provisioning", StatusCode::NOT_FOUND),
        ("error", StatusCode::NOT_FOUND),
        ("deleted", StatusCode::NOT_FOUND),
        ("invalid", StatusCode::NOT_FOUND),
        ("", StatusCode::NOT_FOUND),
    ];
    for (state, expected) in states {
        world
            .simulator
            .update_cluster(&id, |cluster| state.clone_into(&mut cluster.state))
            .expect("a known cluster");
        assert_eq!(
            world.get(&credentials(&id)).await.status,
            expected,
            "{state}"
        );
        assert_eq!(
            world.get(&kubeconfig(&id)).await.status,
            expected,
            "{state}"
        );
        let document = world.get(&cluster(&id)).await.json();
        assert_eq!(document["kubernetes_cluster"]["status"]["state"], state);
    }
}

#[tokio::test]
async fn a_provisioning_cluster_runs_in_time_and_its_credentials_may_come_later() {
    let (world, id) = World::with_cluster(Cluster {
        state: "provisioning".to_owned(),
        running_after_seconds: Some(60),
        credentials_after_seconds: Some(90),
        ..Cluster::default()
    });
    let observed = async |seconds| {
        world.pass(SignedDuration::from_secs(seconds));
        let document = world.get(&cluster(&id)).await.json();
        let state = document["kubernetes_cluster"]["status"]["state"].clone();
        (state, world.get(&credentials(&id)).await.status)
    };
    assert_eq!(
        observed(59).await,
        (json!("provisioning"), StatusCode::NOT_FOUND)
    );
    assert_eq!(observed(1).await, (json!("running"), StatusCode::NOT_FOUND));
    assert_eq!(
        observed(29).await,
        (json!("running"), StatusCode::NOT_FOUND)
    );
    assert_eq!(observed(1).await, (json!("running"), StatusCode::OK));
}

#[tokio::test]
async fn the_history_holds_every_request_and_no_secret() {
    let (world, id) = World::with_cluster(named("prod"));
    let token = world.mint(&id, "expiry_seconds=60").await;
    world.get_as("dop_v1_stranger", LIST).await;
    let history = world.simulator.history();
    assert_eq!(history.len(), 2);
    assert_eq!(history[0].account.as_deref(), Some("default"));
    assert_eq!(history[0].cluster.as_deref(), Some(id.as_str()));
    assert_eq!(history[0].query, "expiry_seconds=60");
    assert_eq!(history[0].status, Some(200));
    let minted = history[0].minted.as_ref().expect("a mint");
    assert_eq!(
        minted.expires_at,
        world.now() + SignedDuration::from_secs(60)
    );
    assert_eq!(minted.fingerprint, world.simulator.mints()[0].fingerprint);
    assert_eq!(history[1].status, Some(401));
    let mints = serde_json::to_string(&world.simulator.mints()).expect("JSON");
    let written = serde_json::to_string(&history).expect("JSON") + &mints;
    for secret in [TOKEN, "dop_v1_stranger", &token] {
        assert!(!written.contains(secret));
    }
    assert_eq!(world.simulator.take_history(), history);
    assert_eq!(world.simulator.history(), []);
}
