//! Every format: what exactly is in its Secret, and when it is not available.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use do_cluster_access_testbed::simulator::{Cluster, MintKind, Operation};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::harness::{
    Feed, SIX, Stage, Tags, annotation, assert_condition, condition, keys, labels, six, text,
    token_in, uids, whoami, whoami_by_token,
};

/// The labels that every Secret of the access `prod` has.
fn common_labels() -> BTreeMap<String, String> {
    owned(&[
        ("app.kubernetes.io/managed-by", "do-cluster-access"),
        ("doclusteraccess.dev/access", "prod"),
    ])
}

fn owned(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    let entries = entries.iter();
    entries
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// The common labels and these.
fn labels_with(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut labels = common_labels();
    labels.extend(owned(more));
    labels
}

fn config(secret: &Secret) -> Value {
    serde_json::from_str(&text(secret, "config")).unwrap()
}

fn base64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

#[tokio::test]
async fn one_issue_feeds_all_six_formats_and_each_secret_holds_exactly_what_its_consumer_reads() {
    let feed = Feed::set(stage!(), six()).await;
    let stage = &feed.stage;
    let mut operations: Vec<_> = feed.mints().iter().map(|mint| mint.operation).collect();
    operations.sort();
    let both = [Operation::GetKubeconfig, Operation::GetCredentials];
    assert_eq!(operations, both, "one issue, and nothing else");
    let secrets = feed.secrets(&SIX).await;

    let (people, argo, karmada) = (&secrets["people"], &secrets["argo"], &secrets["karmada"]);
    let (flux, custom, capi) = (
        &secrets["flux"],
        &secrets["custom"],
        &secrets["capi-kubeconfig"],
    );
    let (token, authority) = (text(people, "token"), text(people, "ca.crt"));
    let kubeconfig = text(people, "kubeconfig");
    assert_eq!(authority.trim(), stage.certificate_authority.trim());
    let user = format!("{}@example.com", stage.namespace);
    assert_eq!(whoami(&kubeconfig).await, Ok(user.clone()));
    assert_eq!(whoami_by_token(stage, &token).await, Ok(user));

    for (secret, expected) in [
        (flux, vec![("value", kubeconfig.clone())]),
        (capi, vec![("value", kubeconfig.clone())]),
        (
            karmada,
            vec![("caBundle", authority.clone()), ("token", token.clone())],
        ),
        (
            custom,
            vec![
                ("my.CertificateAuthority", authority.clone()),
                ("my.CertificateAuthorityBase64", base64(&authority)),
                ("my.ClusterId", feed.cluster.clone()),
                ("my.ClusterName", "prod".to_owned()),
                ("my.ExpiresAt", annotation(custom, "expires-at")),
                ("my.Kubeconfig", kubeconfig.clone()),
                ("my.Region", "nyc1".to_owned()),
                ("my.Server", stage.server.clone()),
                ("my.Token", token.clone()),
                ("my.Version", "1.36.3-do.0".to_owned()),
            ],
        ),
    ] {
        let held: Vec<_> = keys(secret)
            .into_iter()
            .map(|key| (key, text(secret, key)))
            .collect();
        assert_eq!(held, expected);
    }
    assert_eq!(keys(argo), ["config", "name", "server"]);
    assert_eq!(text(argo, "name"), "prod");
    assert_eq!(text(argo, "server"), stage.server);
    let expected = json!({
        "bearerToken": token,
        "tlsClientConfig": {"insecure": false, "caData": base64(&authority)},
    });
    assert_eq!(config(argo), expected);

    let facts = [
        ("argocd.argoproj.io/secret-type", "cluster"),
        ("doclusteraccess.dev/cluster-id", feed.cluster.as_str()),
        ("doclusteraccess.dev/cluster-name", "prod"),
        ("doclusteraccess.dev/region", "nyc1"),
        ("doclusteraccess.dev/version", "1.36.3-do.0"),
    ];
    let api_cluster = [("cluster.x-k8s.io/cluster-name", "capi")];
    for (secret, kind, expected) in [
        (people, "Opaque", common_labels()),
        (karmada, "Opaque", common_labels()),
        (custom, "Opaque", common_labels()),
        (argo, "Opaque", labels_with(&facts)),
        (
            flux,
            "Opaque",
            labels_with(&[("reconcile.fluxcd.io/watch", "Enabled")]),
        ),
        (capi, "cluster.x-k8s.io/secret", labels_with(&api_cluster)),
    ] {
        assert_eq!(secret.type_.as_deref(), Some(kind));
        assert_eq!(labels(secret), expected);
    }
}

#[tokio::test]
async fn the_secrets_of_one_issue_bear_the_same_marks_and_status_lists_them_in_order() {
    let feed = Feed::set(stage!(), six()).await;
    let access = feed.access.get().await;
    let secrets = feed.secrets(&SIX).await;
    let uid = access.metadata.uid.clone().unwrap();
    let first = &secrets["argo"];
    let names = [
        "access-uid",
        "cluster-id",
        "content-hash",
        "expires-at",
        "form",
        "issue-hash",
        "issued-at",
    ];
    for (name, secret) in &secrets {
        let annotations = secret.metadata.annotations.as_ref().unwrap();
        let found: Vec<_> = annotations.keys().cloned().collect();
        assert_eq!(
            found,
            names.map(|name| format!("doclusteraccess.dev/{name}"))
        );
        for mark in ["cluster-id", "expires-at", "issue-hash", "issued-at"] {
            assert_eq!(annotation(secret, mark), annotation(first, mark), "{name}");
        }
        assert_eq!(annotation(secret, "access-uid"), uid);
        assert_eq!(annotation(secret, "cluster-id"), feed.cluster);
        let owners = secret.metadata.owner_references.as_ref().unwrap();
        let owners: Vec<_> = owners.iter().map(|owner| owner.uid.as_str()).collect();
        assert_eq!(owners, [uid.as_str()], "{name}");
    }
    let told: Vec<_> = access
        .status
        .unwrap()
        .outputs
        .into_iter()
        .map(|output| (output.secret_name, output.content_hash))
        .collect();
    let hash = |name: &str| (name.to_owned(), annotation(&secrets[name], "content-hash"));
    assert_eq!(told, SIX.map(hash));
}

#[tokio::test]
async fn with_a_rendered_kubeconfig_one_mint_feeds_all_six_formats() {
    let stage = stage!();
    let cluster = stage.cluster("prod");
    let spec =
        json!({"kubeconfigSource": "Rendered", "deletionPolicy": "Delete", "outputs": six()});
    let feed = Feed::with(stage, cluster, spec).await;
    feed.access.ready().await;
    let operations: Vec<_> = feed.mints().iter().map(|mint| mint.operation).collect();
    assert_eq!(operations, [Operation::GetCredentials]);
    let secrets = feed.secrets(&SIX).await;
    let token = text(&secrets["karmada"], "token");
    for (name, key) in [
        ("people", "kubeconfig"),
        ("flux", "value"),
        ("capi-kubeconfig", "value"),
        ("custom", "my.Kubeconfig"),
    ] {
        assert_eq!(token_in(&text(&secrets[name], key)), token, "{name}");
    }
    assert_eq!(config(&secrets["argo"])["bearerToken"], token);
}

#[tokio::test]
async fn outputs_without_a_kubeconfig_cost_one_mint_and_one_that_needs_it_one_issue() {
    let without = json!([
        {"secretName": "argo", "format": "ArgoCD"},
        {"secretName": "karmada", "format": "Karmada"},
        {"secretName": "custom", "format": "Custom", "keys": [{"key": "t", "field": "Token"}]},
    ]);
    let feed = Feed::set(stage!(), without).await;
    let operations: Vec<_> = feed.mints().iter().map(|mint| mint.operation).collect();
    assert_eq!(operations, [Operation::GetCredentials]);

    // A kubeconfig can be rendered from what is there, and is fetched with the next issue.
    feed.put_outputs(six()).await;
    feed.access.ready().await;
    let people = feed.secret("people").await;
    assert_eq!(
        token_in(&text(&people, "kubeconfig")),
        text(&people, "token")
    );
    assert_eq!(feed.mints().len(), 1);
    feed.rotated("1").await;
    let people = feed.secret("people").await;
    assert_ne!(
        token_in(&text(&people, "kubeconfig")),
        text(&people, "token")
    );
    assert_eq!(feed.mints().len(), 3);
}

// ---- certificate clusters --------------------------------------------------------------------------------

/// What a certificate cluster can feed, and, between that, what it cannot.
fn for_certificates() -> Value {
    json!([
        {"secretName": "people", "format": "Kubeconfig"},
        {"secretName": "karmada", "format": "Karmada"},
        {"secretName": "argo", "format": "ArgoCD"},
        {"secretName": "token", "format": "Custom", "keys": [{"key": "t", "field": "Token"}]},
        {"secretName": "custom", "format": "Custom", "keys": [
            {"key": "certificate", "field": "ClientCertificate"},
            {"key": "key", "field": "ClientKey"},
        ]},
        {"secretName": "flux", "format": "Flux"},
        {"secretName": "capi-kubeconfig", "format": "ClusterAPI"},
    ])
}

/// Whether status says that an output has a format which is not available, and which.
fn says_unsupported(access: &do_cluster_access::api::DOClusterAccess, output: &str) -> bool {
    condition(access, "Synced").is_some_and(|synced| {
        synced.reason == "FormatNotSupported" && synced.message.contains(output)
    })
}

#[tokio::test]
async fn on_a_certificate_cluster_all_is_written_but_what_takes_a_token_and_that_mints_nothing_ever()
 {
    let stage = stage!();
    let cluster = stage.certificate_cluster("prod", 7 * 24 * 3600);
    let spec = json!({"deletionPolicy": "Delete", "outputs": for_certificates()});
    let mut feed = Feed::with(stage, cluster, spec).await;
    let refused = feed.access.synced("FormatNotSupported").await;
    assert!(
        says_unsupported(&refused, "karmada"),
        "the first that failed"
    );
    assert_condition(&refused, "Ready", "False", "OutputMissing");
    assert!(
        feed.mints()
            .iter()
            .all(|mint| mint.kind == MintKind::Certificate)
    );
    assert_eq!(feed.mints().len(), 2);

    let names = ["people", "argo", "custom", "flux", "capi-kubeconfig"];
    let secrets = feed.secrets(&names).await;
    let people = &secrets["people"];
    let (certificate, key) = (text(people, "client.crt"), text(people, "client.key"));
    let expected = json!({"tlsClientConfig": {
        "insecure": false,
        "caData": base64(&text(people, "ca.crt")),
        "certData": base64(&certificate),
        "keyData": base64(&key),
    }});
    assert_eq!(config(&secrets["argo"]), expected);
    assert_eq!(text(&secrets["custom"], "certificate"), certificate);
    assert_eq!(text(&secrets["custom"], "key"), key);
    let user = format!("{}@example.com", feed.stage.namespace);
    for name in ["flux", "capi-kubeconfig"] {
        assert_eq!(
            whoami(&text(&secrets[name], "value")).await,
            Ok(user.clone())
        );
    }
    for name in ["karmada", "token"] {
        assert!(feed.stage.secrets().get_opt(name).await.unwrap().is_none());
    }

    feed.access.touch("once").await;
    feed.all_is_seen().await;
    feed.retry().await;
    feed.all_is_seen().await;
    feed.start().await;
    feed.access.touch("restarted").await;
    feed.all_is_seen().await;
    assert_eq!(feed.mints().len(), 2, "minted for what cannot be written");
    assert!(says_unsupported(&feed.access.get().await, "karmada"));
    for (name, before) in &secrets {
        let after = feed.secret(name).await;
        assert_eq!(
            after.metadata.resource_version, before.metadata.resource_version,
            "{name}"
        );
    }

    // What is not there has to be taken out of the spec; the others are renewed like any other.
    let mut outputs = for_certificates();
    let remaining = outputs.as_array_mut().unwrap();
    remaining.retain(|output| output["secretName"] != "karmada");
    feed.put_outputs(outputs).await;
    let what = "the next that cannot be written is named";
    feed.access
        .until(what, |access| says_unsupported(access, "token"))
        .await;
    assert_eq!(feed.mints().len(), 2);
    feed.rotate("1").await;
    let written = |secret: &Secret| annotation(secret, "rotate") == "1";
    for name in names {
        feed.stage
            .secret_until(name, "it is renewed", written)
            .await;
    }
    assert_eq!(feed.mints().len(), 4);
}

#[tokio::test]
async fn what_cannot_be_written_mints_nothing_after_a_restart_where_the_others_hold_little_either()
{
    let stage = stage!();
    let certificate = json!([{"key": "certificate", "field": "ClientCertificate"}]);
    let outputs = json!([
        {"secretName": "karmada", "format": "Karmada"},
        {"secretName": "certificate", "format": "Custom", "keys": certificate},
    ]);
    let cluster = stage.cluster("prod");
    let mut feed = Feed::with(stage, cluster, json!({ "outputs": outputs })).await;
    let refused = feed.access.synced("FormatNotSupported").await;
    assert!(says_unsupported(&refused, "certificate"));
    let before = feed.secret("karmada").await;
    for _ in 0..2 {
        feed.start().await;
        feed.all_is_seen().await;
        feed.retry().await;
        feed.all_is_seen().await;
        let refused = feed.access.synced("FormatNotSupported").await;
        assert!(says_unsupported(&refused, "certificate"));
    }
    assert_eq!(feed.mints().len(), 1);
    let after = feed.secret("karmada").await;
    assert_eq!(
        after.metadata.resource_version,
        before.metadata.resource_version
    );

    // Another one that was lost is another matter.
    feed.stop();
    feed.stage.delete_secret("karmada").await;
    feed.start().await;
    let healed = |secret: &Secret| text(secret, "token") != text(&before, "token");
    feed.stage
        .secret_until("karmada", "it is there again", healed)
        .await;
    feed.all_is_seen().await;
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn an_access_that_can_be_served_in_no_format_is_issued_once_and_again_when_its_spec_changes()
{
    let stage = stage!();
    let cluster = stage.certificate_cluster("prod", 7200);
    let outputs = json!([
        {"secretName": "karmada", "format": "Karmada"},
        {"secretName": "token", "format": "Custom", "keys": [{"key": "t", "field": "Token"}]},
    ]);
    let spec = json!({ "outputs": outputs });
    let mut feed = Feed::with(stage, cluster, spec).await;
    let refused = feed.access.synced("FormatNotSupported").await;
    assert!(says_unsupported(&refused, "karmada"));
    assert!(
        condition(&refused, "Synced")
            .unwrap()
            .message
            .contains("Karmada")
    );
    assert_condition(&refused, "Stalled", "True", "FormatNotSupported");
    assert_eq!(feed.mints().len(), 1);

    feed.access.touch("once").await;
    feed.all_is_seen().await;
    for _ in 0..3 {
        feed.advance(Duration::from_secs(3600)).await;
        feed.all_is_seen().await;
    }
    assert_eq!(feed.mints().len(), 1, "it would have been renewed by now");
    feed.start().await;
    feed.access.touch("restarted").await;
    feed.all_is_seen().await;
    assert_eq!(feed.mints().len(), 1, "a restart minted");
    assert_condition(
        &feed.access.get().await,
        "Stalled",
        "True",
        "FormatNotSupported",
    );

    feed.put_outputs(json!([{"secretName": "argo-like", "format": "Flux"}]))
        .await;
    feed.access.ready().await;
    let user = format!("{}@example.com", feed.stage.namespace);
    let written = feed.secret("argo-like").await;
    assert_eq!(whoami(&text(&written, "value")).await, Ok(user));
    assert_eq!(feed.mints().len(), 3);
}

// ---- Argo CD ---------------------------------------------------------------------------------------------

fn argo() -> Value {
    let facts = json!([{"key": "name", "field": "ClusterName"}, {"key": "v", "field": "Version"}]);
    json!([
        {"secretName": "argo", "format": "ArgoCD", "labels": {"team": "payments"}},
        {"secretName": "facts", "format": "Custom", "keys": facts},
    ])
}

fn tags(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|&tag| tag.to_owned()).collect()
}

fn fact_labels(secret: &Secret) -> BTreeMap<String, String> {
    let mut labels = labels(secret);
    labels.retain(|key, _| {
        let ours = key.starts_with("doclusteraccess.dev/") && key != "doclusteraccess.dev/access";
        ours || key.starts_with("tags.doclusteraccess.dev/")
    });
    labels
}

/// The facts of a cluster `prod` with tags that are worth a label and tags that are not.
async fn with_tags(stage: Stage) -> Feed {
    let listed = tags(&[
        "env:stage",
        "env:prod",
        "blue",
        "owner:a:b",
        "no spaces",
        "k8s:worker",
        "empty:",
    ]);
    let cluster = Cluster {
        tags: listed,
        ..stage.cluster("prod")
    };
    let feed = Feed::with(
        stage,
        cluster,
        json!({"deletionPolicy": "Retain", "outputs": argo()}),
    )
    .await;
    feed.access.ready().await;
    feed
}

#[tokio::test]
async fn facts_of_the_cluster_are_labels_which_follow_it_in_place_and_without_a_mint() {
    let mut feed = with_tags(stage!()).await;
    let before = feed.secret("argo").await;
    let id = feed.cluster.clone();
    let expected = [
        ("doclusteraccess.dev/cluster-id", id.as_str()),
        ("doclusteraccess.dev/cluster-name", "prod"),
        ("doclusteraccess.dev/region", "nyc1"),
        ("doclusteraccess.dev/version", "1.36.3-do.0"),
        ("tags.doclusteraccess.dev/blue", "true"),
        ("tags.doclusteraccess.dev/empty", ""),
        ("tags.doclusteraccess.dev/env", "prod"),
    ];
    assert_eq!(fact_labels(&before), owned(&expected));
    assert_eq!(labels(&before)["team"], "payments");
    let theirs = json!({"metadata": {"labels": {"example.com/theirs": "kept"}}});
    feed.stage.patch_secret("argo", theirs).await;

    let change = |cluster: &mut Cluster| {
        cluster.name = "renamed".to_owned();
        cluster.version = "1.37.1-do.2".to_owned();
        cluster.tags = tags(&["env:stage", "green"]);
    };
    feed.stage.simulator.update_cluster(&id, change).unwrap();
    feed.list_is_refreshed().await;
    let expected = [
        ("doclusteraccess.dev/cluster-id", id.as_str()),
        ("doclusteraccess.dev/cluster-name", "renamed"),
        ("doclusteraccess.dev/region", "nyc1"),
        ("doclusteraccess.dev/version", "1.37.1-do.2"),
        ("tags.doclusteraccess.dev/env", "stage"),
        ("tags.doclusteraccess.dev/green", "true"),
    ];
    let expected = owned(&expected);
    let after = feed
        .stage
        .secret_until("argo", "its labels follow the cluster", |secret| {
            fact_labels(secret) == expected
        })
        .await;
    assert_eq!(after.metadata.uid, before.metadata.uid);
    assert_eq!(labels(&after)["example.com/theirs"], "kept");
    assert_eq!(labels(&after)["team"], "payments");
    assert_eq!(text(&after, "config"), text(&before, "config"));
    assert_eq!(text(&after, "name"), "renamed");
    let facts = feed
        .stage
        .secret_until("facts", "it has the new name", |secret| {
            text(secret, "name") == "renamed"
        })
        .await;
    assert_eq!(text(&facts, "v"), "1.37.1-do.2");
    feed.access.ready().await;
    assert_eq!(feed.mints().len(), 1);

    // A restart finds nothing to do.
    let position = feed.stage.audit_position().await;
    feed.start().await;
    feed.all_is_seen().await;
    assert_eq!(feed.writes(position).await, []);
    assert_eq!(feed.mints().len(), 1);
}

#[tokio::test]
async fn an_api_token_that_may_not_read_tags_leaves_the_labels_that_are_there() {
    let mut stage = stage!();
    let tags_of_digitalocean = Tags::before(&mut stage).await;
    let mut feed = with_tags(stage).await;
    let tag_labels = |secret: &Secret| {
        let mut labels = labels(secret);
        labels.retain(|key, _| key.starts_with("tags.doclusteraccess.dev/"));
        labels
    };
    let before = tag_labels(&feed.secret("argo").await);
    assert_eq!(before.len(), 3, "{before:?}");

    tags_of_digitalocean.hide(true);
    let change = |cluster: &mut Cluster| {
        cluster.version = "1.37.1-do.2".to_owned();
        cluster.tags = tags(&["green"]);
    };
    let simulator = feed.stage.simulator.clone();
    simulator.update_cluster(&feed.cluster, change).unwrap();
    feed.list_is_refreshed().await;
    let version = |secret: &Secret| labels(secret)["doclusteraccess.dev/version"].clone();
    let followed = |secret: &Secret| version(secret) == "1.37.1-do.2";
    let after = feed
        .stage
        .secret_until("argo", "it has the new version", followed)
        .await;
    assert_eq!(tag_labels(&after), before);
    feed.start().await;
    feed.rotated("1").await;
    assert_eq!(tag_labels(&feed.secret("argo").await), before);

    tags_of_digitalocean.hide(false);
    feed.list_is_refreshed().await;
    let green = owned(&[("tags.doclusteraccess.dev/green", "true")]);
    let readable = |secret: &Secret| tag_labels(secret) == green;
    feed.stage
        .secret_until("argo", "it has the tags of now", readable)
        .await;
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn options_of_argo_cd_are_written_changed_and_taken_away_without_a_mint() {
    let feed = Feed::set(stage!(), argo()).await;
    let uid = feed.secret("argo").await.metadata.uid;
    let bare = ["config", "name", "server"];
    let steps: [(Value, &[(&str, &str)]); 4] = [
        (
            json!({"name": "production", "project": "payments", "namespaces": ["web", "jobs"],
                "clusterResources": false, "shard": 0}),
            &[
                ("clusterResources", "false"),
                ("name", "production"),
                ("namespaces", "web,jobs"),
                ("project", "payments"),
                ("shard", "0"),
            ],
        ),
        (
            json!({"namespaces": ["web"], "clusterResources": true, "shard": 7}),
            &[
                ("clusterResources", "true"),
                ("name", "prod"),
                ("namespaces", "web"),
                ("shard", "7"),
            ],
        ),
        (
            json!({"project": "other"}),
            &[("name", "prod"), ("project", "other")],
        ),
        (Value::Null, &[("name", "prod")]),
    ];
    for (options, expected) in steps {
        // The list of outputs is replaced as a whole by a merge patch.
        let output = json!({"secretName": "argo", "format": "ArgoCD", "argocd": options});
        feed.put_outputs(json!([output])).await;
        feed.access.ready().await;
        let secret = feed.secret("argo").await;
        let mut held: BTreeMap<_, _> = keys(&secret)
            .into_iter()
            .map(|key| (key.to_owned(), text(&secret, key)))
            .collect();
        held.retain(|key, _| !["config", "server"].contains(&key.as_str()));
        assert_eq!(held, owned(expected));
        assert_eq!(secret.metadata.uid, uid);
    }
    assert_eq!(keys(&feed.secret("argo").await), bare);
    assert_eq!(feed.mints().len(), 1);
}

#[tokio::test]
async fn an_adopted_cluster_of_argo_cd_keeps_its_name_its_identity_and_what_others_wrote() {
    let stage = stage!();
    let foreign: Secret = serde_json::from_value(json!({
        "metadata": {
            "name": "argo",
            "labels": {"argocd.argoproj.io/secret-type": "cluster", "tier": "gold"},
            "annotations": {"managed-by": "argocd.argoproj.io"},
        },
        "stringData": {
            "name": "the-old-name",
            "server": "https://192.0.2.1",
            "config": r#"{"username": "admin", "password": "x"}"#,
            "project": "theirs",
        },
    }))
    .unwrap();
    let secrets = stage.secrets();
    let foreign = secrets.create(&PostParams::default(), &foreign).await;
    let uid = foreign.unwrap().metadata.uid;
    let adopting = |options: Value| json!([{"secretName": "argo", "format": "ArgoCD", "adopt": true, "argocd": options}]);
    let feed = Feed::set(stage, adopting(json!({"shard": 1}))).await;
    let is_as_it_should_be = |secret: &Secret, name: &str| {
        assert_eq!(secret.metadata.uid, uid);
        assert!(secret.metadata.owner_references.is_none());
        assert_eq!(text(secret, "name"), name);
        assert_eq!(text(secret, "server"), feed.stage.server);
        assert_eq!(text(secret, "project"), "theirs");
        assert_eq!(labels(secret)["tier"], "gold");
        let fields: Vec<_> = config(secret)
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(fields, ["bearerToken", "tlsClientConfig"]);
    };
    is_as_it_should_be(&feed.secret("argo").await, "the-old-name");
    feed.rotated("1").await;
    is_as_it_should_be(&feed.secret("argo").await, "the-old-name");

    // The cluster's own name does not matter.
    let rename = |cluster: &mut Cluster| cluster.name = "renamed".to_owned();
    let simulator = &feed.stage.simulator;
    simulator.update_cluster(&feed.cluster, rename).unwrap();
    feed.list_is_refreshed().await;
    let told = |secret: &Secret| labels(secret)["doclusteraccess.dev/cluster-name"] == "renamed";
    let renamed = feed
        .stage
        .secret_until("argo", "its label follows", told)
        .await;
    is_as_it_should_be(&renamed, "the-old-name");

    feed.put_outputs(adopting(json!({"name": "chosen", "shard": 1})))
        .await;
    feed.access.ready().await;
    is_as_it_should_be(&feed.secret("argo").await, "chosen");
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn a_secret_of_every_format_is_released_with_all_that_is_in_it() {
    let feed = Feed::set(stage!(), six()).await;
    feed.access
        .patch_spec(json!({"deletionPolicy": "Retain"}))
        .await;
    feed.access.ready().await;
    let before = feed.secrets(&SIX).await;
    feed.put_outputs(json!([{"secretName": "another", "format": "Flux"}]))
        .await;
    for name in SIX {
        let released = |secret: &Secret| annotation(secret, "access-uid").is_empty();
        let after = feed
            .stage
            .secret_until(name, "it is released", released)
            .await;
        assert!(after.data == before[name].data, "{name}");
        assert_eq!(after.metadata.uid, before[name].metadata.uid, "{name}");
        let mut expected = labels(&before[name]);
        expected.remove("doclusteraccess.dev/access");
        assert_eq!(labels(&after), expected, "{name}");
    }
    feed.access.ready().await;
    assert_eq!(feed.mints().len(), 2);
    feed.access.delete().await;
    feed.all_is_seen().await;
    let left = feed.secrets(&SIX).await;
    assert_eq!(uids(&left), uids(&before));
}
