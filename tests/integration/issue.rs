//! The first issue: what is there afterwards.

use std::collections::BTreeMap;

use do_cluster_access::api::DOClusterAccess;
use do_cluster_access_testbed::simulator::{MintKind, Operation};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::harness::{
    Access, Operator, Stage, World, annotation, condition, eventually, text, token_in, unavailable,
    whoami, whoami_by_token,
};

/// Seconds since 1970 of an RFC 3339 time.
fn seconds(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().unwrap().as_second()
}

fn keys(secret: &Secret) -> Vec<&str> {
    secret
        .data
        .as_ref()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn operations(stage: &Stage) -> Vec<Operation> {
    let mut operations: Vec<_> = stage.mints().iter().map(|mint| mint.operation).collect();
    operations.sort();
    operations
}

#[tokio::test]
async fn an_access_by_name_gets_everything_in_its_secret_for_two_mints() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    let id = stage.add_cluster(stage.cluster("prod"));
    stage.add_cluster(stage.cluster("other"));
    let spec = json!({"cluster": {"name": "prod"}, "expirySeconds": 3600});
    let access = stage.create_access("team-prod", spec).await;
    let uid = access.ready().await.metadata.uid.unwrap();
    let secret = access.secret().await;

    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
    assert_eq!(
        keys(&secret),
        ["ca.crt", "expires-at", "kubeconfig", "server", "token"]
    );
    assert_eq!(text(&secret, "server"), stage.server);
    assert_eq!(
        text(&secret, "ca.crt").trim(),
        stage.certificate_authority.trim()
    );
    assert_eq!(
        text(&secret, "expires-at"),
        annotation(&secret, "expires-at")
    );

    let labels = secret.metadata.labels.clone().unwrap();
    let expected = [
        ("app.kubernetes.io/managed-by", "do-cluster-access"),
        ("doclusteraccess.dev/access", "team-prod"),
    ];
    assert_eq!(
        labels,
        expected
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    );

    let annotations = secret.metadata.annotations.clone().unwrap();
    let names: Vec<_> = annotations.keys().map(String::as_str).collect();
    let expected = [
        "access-uid",
        "cluster-id",
        "content-hash",
        "expires-at",
        "form",
        "issue-hash",
        "issued-at",
    ];
    assert_eq!(
        names,
        expected.map(|name| format!("doclusteraccess.dev/{name}"))
    );
    assert_eq!(annotation(&secret, "access-uid"), uid);
    assert_eq!(annotation(&secret, "cluster-id"), id);
    let lifetime =
        seconds(&annotation(&secret, "expires-at")) - seconds(&annotation(&secret, "issued-at"));
    assert!((3598..=3600).contains(&lifetime), "{lifetime}");

    let owners = secret.metadata.owner_references.clone().unwrap();
    assert_eq!(owners.len(), 1);
    assert_eq!(
        (owners[0].kind.as_str(), owners[0].name.as_str()),
        ("DOClusterAccess", "team-prod")
    );
    assert_eq!(
        (owners[0].uid.as_str(), owners[0].controller),
        (uid.as_str(), Some(true))
    );

    assert_eq!(
        operations(&stage),
        [Operation::GetKubeconfig, Operation::GetCredentials]
    );
    assert!(stage.mints().iter().all(|mint| mint.cluster == id));
}

#[tokio::test]
async fn the_kubeconfig_and_the_token_both_work_and_are_two_credentials() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    let secret = access.secret().await;
    let (kubeconfig, token) = (text(&secret, "kubeconfig"), text(&secret, "token"));
    let user = format!("{}@example.com", stage.namespace);
    assert_eq!(whoami(&kubeconfig).await, Ok(user.clone()));
    assert_eq!(whoami_by_token(&stage, &token).await, Ok(user));
    assert_ne!(token_in(&kubeconfig), token);
}

#[tokio::test]
async fn the_kubeconfig_has_one_cluster_user_and_context_with_telling_names_and_inline_data() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    let kubeconfig = text(&access.secret().await, "kubeconfig");
    let document: Value = serde_saphyr::from_str(&kubeconfig).unwrap();
    let names = |kind: &str| -> Vec<String> {
        let items = document[kind].as_array().unwrap();
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("clusters"), ["do-nyc1-prod"]);
    assert_eq!(names("contexts"), ["do-nyc1-prod"]);
    assert_eq!(names("users"), ["do-nyc1-prod-admin"]);
    assert_eq!(document["current-context"], "do-nyc1-prod");
    let fields =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let cluster = &document["clusters"][0]["cluster"];
    assert_eq!(fields(cluster), ["certificate-authority-data", "server"]);
    assert_eq!(fields(&document["users"][0]["user"]), ["token"]);
}

#[tokio::test]
async fn an_access_by_id_with_a_rendered_kubeconfig_costs_one_mint() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    let id = stage.add_cluster(stage.cluster("prod"));
    stage.add_cluster(stage.cluster("prod"));
    let spec = json!({"cluster": {"id": id.to_uppercase()}, "kubeconfigSource": "Rendered"});
    let access = stage.create_access("prod", spec).await;
    access.ready().await;
    let secret = access.secret().await;
    assert_eq!(operations(&stage), [Operation::GetCredentials]);
    assert_eq!(
        token_in(&text(&secret, "kubeconfig")),
        text(&secret, "token")
    );
    assert_eq!(annotation(&secret, "cluster-id"), id);
    assert!(whoami(&text(&secret, "kubeconfig")).await.is_ok());
}

#[tokio::test]
async fn a_certificate_cluster_gives_certificate_and_key_which_expire_with_the_certificate() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.certificate_cluster("legacy", 7200));
    for (name, source, mints) in [("fetched", "DigitalOcean", 2), ("rendered", "Rendered", 1)] {
        let before = stage.mints().len();
        // The lifetime that is asked for has no effect on a certificate; another one shares no issue.
        let spec = json!({
            "cluster": {"name": "legacy"},
            "kubeconfigSource": source,
            "expirySeconds": 60 + mints,
        });
        let access = stage.create_access(name, spec).await;
        access.ready().await;
        let secret = access.secret().await;
        let minted = stage.mints().split_off(before);
        assert_eq!(minted.len(), mints);
        assert!(minted.iter().all(|mint| mint.kind == MintKind::Certificate));
        let expected = [
            "ca.crt",
            "client.crt",
            "client.key",
            "expires-at",
            "kubeconfig",
            "server",
        ];
        assert_eq!(keys(&secret), expected);
        let earliest = minted
            .iter()
            .map(|mint| mint.expires_at.as_second())
            .min()
            .unwrap();
        let difference = seconds(&text(&secret, "expires-at")) - earliest;
        assert!(
            difference.abs() <= 2,
            "{difference} s from the certificate's end"
        );
        let user = format!("{}@example.com", stage.namespace);
        assert_eq!(whoami(&text(&secret, "kubeconfig")).await, Ok(user));
    }
}

#[tokio::test]
async fn status_tells_all_about_a_published_credential() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    let id = stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let ready = access.ready().await;
    let secret = access.secret().await;
    let status = serde_json::to_value(ready.status.as_ref().unwrap()).unwrap();
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(
        status["cluster"],
        json!({
            "id": id,
            "name": "prod",
            "region": "nyc1",
            "version": "1.36.3-do.0",
            "state": "running",
            "endpoint": stage.server,
        })
    );
    let credential = &status["credential"];
    for (field, mark) in [("issuedAt", "issued-at"), ("expiresAt", "expires-at")] {
        assert_eq!(credential[field], json!(annotation(&secret, mark)));
    }
    let instant = |field: &str| seconds(credential[field].as_str().unwrap());
    let (issued, renew, expires) = (
        instant("issuedAt"),
        instant("renewAt"),
        instant("expiresAt"),
    );
    let lifetime = expires - issued;
    assert!((604_798..=604_800).contains(&lifetime), "{lifetime}");
    let margin = expires - renew;
    assert!(
        (lifetime / 3..=lifetime / 3 + lifetime / 10).contains(&margin),
        "{margin}"
    );
    assert!(instant("verifiedAt") - issued <= 30);
    assert_eq!(
        credential["username"],
        format!("{}@example.com", stage.namespace)
    );
    let groups = credential["groups"].as_array().unwrap();
    assert!(
        groups.contains(&json!("k8saas:authenticated")),
        "{groups:?}"
    );
    let hash = annotation(&secret, "content-hash");
    let outputs = json!([{"secretName": "prod-kubeconfig", "contentHash": hash}]);
    assert_eq!(status["outputs"], outputs);
    assert_eq!(
        conditions(&ready),
        [
            ("Ready", "True", "Published"),
            ("Synced", "True", "UpToDate"),
            ("Verified", "True", "Accepted"),
        ]
    );
    assert!(
        status["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .all(|condition| {
                condition["observedGeneration"] == 1
                    && !condition["message"].as_str().unwrap().is_empty()
            })
    );
}

fn conditions(access: &DOClusterAccess) -> Vec<(&str, &str, &str)> {
    let conditions = &access.status.as_ref().unwrap().conditions;
    conditions
        .iter()
        .map(|condition| {
            (
                condition.type_.as_str(),
                condition.status.as_str(),
                condition.reason.as_str(),
            )
        })
        .collect()
}

#[tokio::test]
async fn an_access_that_nobody_serves_is_not_healthy() {
    let stage = stage!();
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await
        .get()
        .await;
    assert_eq!(
        access.status.as_ref().unwrap().observed_generation,
        Some(-1)
    );
    assert!(condition(&access, "Ready").is_none());
}

#[tokio::test]
async fn one_event_announces_the_issue() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    eventually("there is an event", async || {
        !access.events().await.is_empty()
    })
    .await;
    let events = access.events().await;
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0].type_.as_deref(), Some("Normal"));
    assert_eq!(events[0].reason.as_deref(), Some("Issued"));
    assert!(events[0].note.as_deref().unwrap().contains("cluster prod"));
}

#[tokio::test]
async fn kubectl_works_with_the_published_kubeconfig() {
    if unavailable() {
        return;
    }
    let world = World::shared().await;
    let stage = Stage::on(&world).await;
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    let file = std::env::temp_dir().join(format!(
        "{}-{}.kubeconfig",
        stage.namespace,
        std::process::id()
    ));
    std::fs::write(&file, text(&access.secret().await, "kubeconfig")).unwrap();
    let mut kubectl = world.control_plane.kubectl_with(&file);
    let command = [
        "get",
        "secret",
        "prod-kubeconfig",
        "--namespace",
        &stage.namespace,
        "--output=name",
    ];
    let output = kubectl.args(command).output().await.unwrap();
    std::fs::remove_file(&file).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "secret/prod-kubeconfig"
    );
}

#[tokio::test]
async fn kubectl_get_shows_what_matters() {
    if unavailable() {
        return;
    }
    let world = World::shared().await;
    let stage = Stage::on(&world).await;
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("cluster-of-prod"));
    let spec = json!({"cluster": {"name": "cluster-of-prod"}});
    let credential = stage.create_access("prod", spec).await.ready().await;
    let credential = credential.status.unwrap().credential.unwrap();
    let mut kubectl = world.control_plane.kubectl();
    let command = [
        "get",
        "doca",
        "--output=wide",
        "--namespace",
        &stage.namespace,
    ];
    let output = kubectl.args(command).output().await.unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Vec<_>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let columns = [
        "NAME", "READY", "REASON", "CLUSTER", "EXPIRES", "RENEWS", "AGE", "VERIFIED", "ACCOUNT",
    ];
    assert_eq!(lines[0], columns);
    let time = |time: Option<Time>| time.unwrap().0.to_string();
    let (expires, renews) = (time(credential.expires_at), time(credential.renew_at));
    let expected = [
        "prod",
        "True",
        "UpToDate",
        "cluster-of-prod",
        &expires,
        &renews,
    ];
    assert_eq!(lines[1][..6], expected);
    assert_eq!(
        lines[1][7..],
        ["Accepted"],
        "the age is before it, and no account behind"
    );
}

#[tokio::test]
async fn one_issue_feeds_every_output_with_labels_and_annotations_of_its_own() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let spec = json!({
        "cluster": {"name": "prod"},
        "outputs": [
            {"secretName": "one", "labels": {"team": "payments"}},
            {"secretName": "two", "annotations": {"example.com/contact": "payments@example.com"}},
        ],
    });
    let access = stage.create_access("prod", spec).await;
    let status = access.ready().await.status.unwrap();
    let one = stage.secrets().get("one").await.unwrap();
    let two = stage.secrets().get("two").await.unwrap();
    assert!(one.data == two.data);
    assert_eq!(one.metadata.labels.as_ref().unwrap()["team"], "payments");
    let contact = &two.metadata.annotations.as_ref().unwrap()["example.com/contact"];
    assert_eq!(contact, "payments@example.com");
    assert!(!two.metadata.labels.as_ref().unwrap().contains_key("team"));
    let written: BTreeMap<_, _> = status
        .outputs
        .iter()
        .map(|output| (output.secret_name.as_str(), &output.content_hash))
        .collect();
    assert_eq!(written["one"], &annotation(&one, "content-hash"));
    assert_eq!(written["two"], &annotation(&two, "content-hash"));
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn accesses_do_not_wait_for_one_that_cannot_be_served() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let bad: Vec<Access> = vec![
        stage
            .create_access("no-cluster", json!({"cluster": {"name": "absent"}}))
            .await,
        stage
            .create_access(
                "no-token",
                json!({
                    "cluster": {"name": "prod"},
                    "tokenSecretRef": {"name": "absent"},
                }),
            )
            .await,
    ];
    let good = stage
        .create_access("good", json!({"cluster": {"name": "prod"}}))
        .await;
    good.ready().await;
    bad[0].synced("ClusterNotFound").await;
    bad[1].synced("TokenSecretNotFound").await;
    assert_eq!(stage.mints().len(), 2);
}
