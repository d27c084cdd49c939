//! The consumers' own code reads the Secrets: Argo CD's, Flux's and Cluster API's, and client-go for the others
//! (`testbed/consumers`). Each makes its client of a Secret that the operator wrote, and asks the cluster.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use do_cluster_access_testbed::simulator::{Cluster, Mint, Operation};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::{Access, Operator, PATIENCE, Stage, World, repository, summary};

/// What a consumer found out about the cluster, and how.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Report {
    consumer: String,
    server: String,
    username: String,
    groups: Vec<String>,
    /// Hexadecimal SHA-256 of the token in the client's configuration, empty with certificates.
    token_sha256: String,
    /// The same of the certificate.
    certificate_sha256: String,
    /// What this consumer alone knows.
    details: Value,
}

impl Report {
    /// What tells one credential from another.
    fn credential(&self) -> &str {
        if self.token_sha256.is_empty() {
            &self.certificate_sha256
        } else {
            &self.token_sha256
        }
    }

    /// The call whose answer held the token that the consumer used.
    fn minted_by(&self, mints: &[Mint]) -> Operation {
        let mint = mints
            .iter()
            .find(|mint| self.token_sha256.starts_with(&mint.fingerprint));
        mint.unwrap_or_else(|| panic!("nobody minted what {} used", self.consumer))
            .operation
    }
}

/// A program of `testbed/consumers`, and what it is told beside where the Secret is.
struct Consumer {
    name: &'static str,
    arguments: Vec<String>,
}

impl Consumer {
    fn new(name: &'static str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        Self {
            name,
            arguments: arguments.collect(),
        }
    }

    fn program(&self) -> PathBuf {
        repository()
            .join(".tools/bin")
            .join(format!("consumer-{}", self.name))
    }

    /// Lets it read a Secret of the stage. An error is what it complained of.
    async fn try_read(&self, stage: &Stage, secret: &str) -> Result<Report, String> {
        let world = World::shared().await;
        let management: &Path = world.control_plane.kubeconfig();
        let mut command = Command::new(self.program());
        command
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .arg("--kubeconfig")
            .arg(management)
            .args(["--namespace", &stage.namespace, "--secret", secret])
            .args(&self.arguments);
        let Ok(output) = timeout(PATIENCE, command.output()).await else {
            panic!("consumer-{} does not end", self.name);
        };
        let output = output.unwrap();
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout).unwrap());
        }
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        Err(String::from_utf8(output.stderr).unwrap())
    }

    /// Lets it read a Secret of the stage, and checks whom the cluster takes it for.
    async fn read(&self, stage: &Stage, secret: &str) -> Report {
        let report = self.try_read(stage, secret).await;
        let report = report.unwrap_or_else(|complaint| panic!("{secret}: {complaint}"));
        assert_eq!(report.consumer, self.name);
        assert_eq!(report.server, stage.server);
        assert_eq!(report.username, user(stage));
        assert!(
            report.groups.contains(&"k8saas:authenticated".to_owned()),
            "{:?}",
            report.groups
        );
        report
    }
}

/// Whom DigitalOcean's credentials of a stage belong to.
fn user(stage: &Stage) -> String {
    format!("{}@example.com", stage.namespace)
}

/// A stage, where the programs were built. Says loudly where they were not, and panics where `CI` is set.
async fn stage_with_consumers() -> Option<Stage> {
    let missing = ["argocd", "flux", "clusterapi", "clientgo"]
        .map(|name| Consumer::new(name, &[]).program())
        .into_iter()
        .find(|program| !program.is_file());
    let Some(program) = missing else {
        return Stage::new().await;
    };
    let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    let message = format!("{} is missing: run `make consumers`", program.display());
    assert!(!ci, "{message}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("\n*** SKIPPED: {test}: {message} ***\n");
    None
}

/// An access to the cluster `prod` with these outputs, once everything is published.
async fn published(stage: &Stage, outputs: Value) -> Access {
    let spec = json!({
        "cluster": {"name": "prod"},
        "expirySeconds": 3600,
        "deletionPolicy": "Delete",
        "outputs": outputs,
    });
    let access = stage.create_access("access", spec).await;
    access.ready().await;
    access
}

/// Forces an issue, and waits until it is published.
async fn rotate(access: &Access) {
    access.rotate("now").await;
    access
        .until("the rotation is published", |access| {
            let status = access.status.as_ref();
            status.and_then(|status| status.last_rotate_request.as_deref()) == Some("now")
        })
        .await;
    access.ready().await;
}

/// Lets a consumer read the only output of an access before and after a rotation, and checks that it used two
/// credentials. Returns what it reported.
async fn before_and_after_a_rotation(
    stage: &Stage,
    output: Value,
    consumer: &Consumer,
) -> [Report; 2] {
    let secret = output["secretName"].as_str().unwrap().to_owned();
    let access = published(stage, json!([output])).await;
    let before = consumer.read(stage, &secret).await;
    rotate(&access).await;
    let after = consumer.read(stage, &secret).await;
    assert!(!before.credential().is_empty());
    assert_ne!(before.credential(), after.credential());
    [before, after]
}

#[tokio::test]
async fn argo_cd_understands_every_option_and_follows_a_rotation() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let options = json!({
        "name": "Production",
        "project": "shop",
        "namespaces": ["web", "jobs"],
        "clusterResources": true,
        "shard": 3,
    });
    let output = json!({"secretName": "argocd", "format": "ArgoCD", "argocd": options});
    let reports = before_and_after_a_rotation(&stage, output, &Consumer::new("argocd", &[])).await;
    let uid = stage.secrets().get("argocd").await.unwrap().metadata.uid;
    for Report { mut details, .. } in reports {
        details.as_object_mut().unwrap().remove("labels");
        // The id is the Secret's UID: to Argo CD another would be another cluster.
        let expected = json!({
            "id": uid,
            "name": "Production",
            "server": stage.server,
            "project": "shop",
            "namespaces": ["web", "jobs"],
            "clusterResources": true,
            "shard": 3,
            "insecure": false,
        });
        assert_eq!(details, expected);
    }
}

#[tokio::test]
async fn argo_cd_gets_the_name_of_the_cluster_and_no_limits_without_options() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    published(
        &stage,
        json!([{"secretName": "argocd", "format": "ArgoCD"}]),
    )
    .await;
    let report = Consumer::new("argocd", &[]).read(&stage, "argocd").await;
    let details = &report.details;
    assert_eq!(details["name"], "prod");
    assert_eq!(details["project"], "");
    assert_eq!(details["namespaces"], json!([]));
    assert_eq!(details["clusterResources"], false);
    assert_eq!(details.get("shard"), None);
}

#[tokio::test]
async fn an_application_set_selects_clusters_by_their_facts_and_tags() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let _operator = Operator::start(&stage).await;
    let mut cluster = stage.cluster("prod");
    cluster.region = "fra1".to_owned();
    cluster.tags = vec!["env:prod".to_owned(), "blue".to_owned()];
    let id = stage.add_cluster(cluster);
    published(
        &stage,
        json!([{"secretName": "argocd", "format": "ArgoCD", "labels": {"team": "payments"}}]),
    )
    .await;

    let generated = json!([{
        "name": "prod",
        "nameNormalized": "prod",
        "server": stage.server,
        "project": "",
    }]);
    let by_id = format!("doclusteraccess.dev/cluster-id={id}");
    let cases = [
        ("doclusteraccess.dev/region=fra1", &generated),
        ("doclusteraccess.dev/region=nyc1", &json!([])),
        (
            "doclusteraccess.dev/cluster-name in (prod,staging)",
            &generated,
        ),
        (&by_id, &generated),
        ("doclusteraccess.dev/version=1.36.3-do.0", &generated),
        (
            "tags.doclusteraccess.dev/env=prod,tags.doclusteraccess.dev/blue",
            &generated,
        ),
        ("tags.doclusteraccess.dev/env notin (prod)", &json!([])),
        ("team=payments", &generated),
    ];
    for (selector, expected) in cases {
        let consumer = Consumer::new("argocd", &["--selector", selector]);
        let report = consumer.read(&stage, "argocd").await;
        assert_eq!(&report.details["generated"], expected, "{selector}");
    }
}

/// Lets Argo CD write a cluster Secret anew, twice, each time with a time of its own in an annotation. Panics unless
/// the operator leaves it at that, and can still rotate.
async fn argo_cd_invalidates_its_cache_of(stage: &Stage, cluster: Cluster, options: Value) {
    let _operator = Operator::start(stage).await;
    stage.add_cluster(cluster);
    let output = json!({"secretName": "argocd", "format": "ArgoCD", "argocd": options});
    let access = published(stage, json!([output])).await;
    let fence = stage
        .create_access("fence", json!({"cluster": {"name": "prod"}}))
        .await;
    fence.ready().await;
    let mints = stage.mints().len();
    let reader = Consumer::new("argocd", &[]);
    let before = reader.read(stage, "argocd").await;

    let position = stage.audit_position().await;
    for _ in 0..2 {
        Consumer::new("argocd", &["--invalidate-cache"])
            .read(stage, "argocd")
            .await;
        // Told by the same watch, later: once this has been acted on, Argo CD's write has been seen.
        let gone = json!({"metadata": {"labels": {"doclusteraccess.dev/access": null}}});
        stage.patch_secret("fence-kubeconfig", gone).await;
        fence
            .secret_until("the fence is repaired", |secret| {
                let labels = secret.metadata.labels.as_ref();
                labels.is_some_and(|labels| labels.contains_key("doclusteraccess.dev/access"))
            })
            .await;
    }
    let mut writes = stage.operator_requests(position).await;
    writes.retain(|request| request.name == "argocd" && request.verb != "get");
    assert!(writes.is_empty(), "{:?}", summary(&writes));
    assert_eq!(stage.mints().len(), mints);
    let after = reader.read(stage, "argocd").await;
    assert_eq!(after.credential(), before.credential());
    assert_eq!(after.details, before.details);

    rotate(&access).await;
    let renewed = reader.read(stage, "argocd").await;
    assert_ne!(renewed.credential(), before.credential());
    assert_eq!(renewed.details, before.details);
    let secret = stage.secrets().get("argocd").await.unwrap();
    let annotations = secret.metadata.annotations.unwrap();
    for theirs in ["managed-by", "argocd.argoproj.io/refresh"] {
        assert!(annotations.contains_key(theirs), "{theirs}");
    }
}

#[tokio::test]
async fn argo_cd_may_write_a_secret_with_a_token() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let options = json!({
        "project": "shop",
        "namespaces": ["web", "jobs"],
        "clusterResources": true,
        "shard": 0,
    });
    argo_cd_invalidates_its_cache_of(&stage, stage.cluster("prod"), options).await;
}

#[tokio::test]
async fn argo_cd_may_write_a_secret_with_a_certificate() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let cluster = stage.certificate_cluster("prod", 7200);
    argo_cd_invalidates_its_cache_of(&stage, cluster, json!({})).await;
}

#[tokio::test]
async fn argo_cd_may_write_a_secret_without_the_options_that_are_false() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let options = json!({"namespaces": ["web"], "clusterResources": false});
    argo_cd_invalidates_its_cache_of(&stage, stage.cluster("prod"), options).await;
}

#[tokio::test]
async fn flux_reads_its_secret_notices_its_changes_and_follows_a_rotation() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let output = json!({"secretName": "flux", "format": "Flux"});
    let reports = before_and_after_a_rotation(&stage, output, &Consumer::new("flux", &[])).await;
    for report in reports {
        assert_eq!(report.details, json!({"type": "Opaque", "watched": true}));
    }
}

#[tokio::test]
async fn cluster_api_finds_its_secret_in_its_cache_and_follows_a_rotation() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let output = json!({"secretName": "shop-prod-kubeconfig", "format": "ClusterAPI"});
    let consumer = Consumer::new("clusterapi", &[]);
    for report in before_and_after_a_rotation(&stage, output, &consumer).await {
        let expected = json!({
            "cluster": "shop-prod",
            "clusterNameLabel": "shop-prod",
            "type": "cluster.x-k8s.io/secret",
        });
        assert_eq!(report.details, expected);
    }
}

#[tokio::test]
async fn karmada_reads_its_secret_and_follows_a_rotation() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let output = json!({"secretName": "karmada", "format": "Karmada"});
    let consumer = Consumer::new("clientgo", &["--as", "karmada", "--server", &stage.server]);
    before_and_after_a_rotation(&stage, output, &consumer).await;
}

#[tokio::test]
async fn a_ci_job_reads_the_kubeconfig_or_its_parts_and_follows_a_rotation() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let access = published(&stage, json!([{"secretName": "prod-kubeconfig"}])).await;
    let whole = Consumer::new("clientgo", &["--as", "kubeconfig"]);
    let parts = Consumer::new("clientgo", &["--as", "fields"]);
    let before = whole.read(&stage, "prod-kubeconfig").await;
    let before_in_parts = parts.read(&stage, "prod-kubeconfig").await;
    rotate(&access).await;
    let after = whole.read(&stage, "prod-kubeconfig").await;
    let after_in_parts = parts.read(&stage, "prod-kubeconfig").await;
    assert_ne!(before.token_sha256, after.token_sha256);
    assert_ne!(before_in_parts.token_sha256, after_in_parts.token_sha256);
}

#[tokio::test]
async fn custom_keys_are_what_a_consumer_of_any_other_kind_reads_and_follow_a_rotation() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let key = |key: &str, field: &str| json!({"key": key, "field": field});
    let custom = |secret: &str, keys: &[Value]| json!({"secretName": secret, "format": "Custom", "keys": keys});
    let outputs = json!([
        custom(
            "crossplane",
            &[key("credentials", "Kubeconfig"), key("until", "ExpiresAt")]
        ),
        custom(
            "fleet",
            &[key("value", "Kubeconfig"), key("cluster", "ClusterName")]
        ),
        custom("prod-sveltos-kubeconfig", &[key("whatever", "Kubeconfig")]),
        custom(
            "terraform",
            &[
                key("host", "Server"),
                key("token", "Token"),
                key("cluster_ca_certificate", "CertificateAuthorityBase64"),
            ]
        ),
        custom(
            "home-grown",
            &[
                key("api.url", "Server"),
                key("api.token", "Token"),
                key("api.pem", "CertificateAuthority"),
            ]
        ),
    ]);
    let readers = [
        (
            "crossplane",
            vec!["--as", "crossplane", "--key", "credentials"],
        ),
        ("fleet", vec!["--as", "fleet"]),
        ("prod-sveltos-kubeconfig", vec!["--as", "sveltos"]),
        (
            "terraform",
            vec![
                "--as",
                "fields",
                "--server-key",
                "host",
                "--certificate-authority-key",
                "cluster_ca_certificate",
                "--certificate-authority-base64",
            ],
        ),
        (
            "home-grown",
            vec![
                "--as",
                "fields",
                "--server-key",
                "api.url",
                "--token-key",
                "api.token",
                "--certificate-authority-key",
                "api.pem",
            ],
        ),
    ];
    let access = published(&stage, outputs).await;
    let read = async || {
        let mut tokens = Vec::new();
        for (secret, arguments) in &readers {
            let report = Consumer::new("clientgo", arguments)
                .read(&stage, secret)
                .await;
            tokens.push(report.token_sha256);
        }
        tokens
    };
    let before = read().await;
    rotate(&access).await;
    let after = read().await;
    for ((secret, _), (before, after)) in readers.iter().zip(before.iter().zip(&after)) {
        assert_ne!(before, after, "{secret}");
    }
}

/// An output of every format, and who reads it.
fn every_format(stage: &Stage) -> Vec<(Value, Consumer)> {
    let karmada = ["--as", "karmada", "--server", &stage.server];
    vec![
        (
            json!({"secretName": "argocd", "format": "ArgoCD"}),
            Consumer::new("argocd", &[]),
        ),
        (
            json!({"secretName": "flux", "format": "Flux"}),
            Consumer::new("flux", &[]),
        ),
        (
            json!({"secretName": "prod-kubeconfig", "format": "ClusterAPI"}),
            Consumer::new("clusterapi", &[]),
        ),
        (
            json!({"secretName": "karmada", "format": "Karmada"}),
            Consumer::new("clientgo", &karmada),
        ),
        (
            json!({"secretName": "plain", "format": "Kubeconfig"}),
            Consumer::new("clientgo", &["--as", "kubeconfig"]),
        ),
        (
            json!({"secretName": "fleet", "format": "Custom", "keys": [{"key": "value", "field": "Kubeconfig"}]}),
            Consumer::new("clientgo", &["--as", "fleet"]),
        ),
    ]
}

/// Lets every consumer read its Secret.
async fn read_all(stage: &Stage, formats: &[(Value, Consumer)]) -> Vec<Report> {
    let reports = formats.iter().map(|(output, consumer)| {
        let secret = output["secretName"].as_str().unwrap();
        consumer.read(stage, secret)
    });
    futures::future::join_all(reports).await
}

#[tokio::test]
async fn two_mints_feed_every_consumer_and_two_more_after_a_rotation() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let formats = every_format(&stage);
    let outputs: Vec<_> = formats.iter().map(|(output, _)| output.clone()).collect();
    let access = published(&stage, json!(outputs)).await;
    let before = read_all(&stage, &formats).await;
    assert_eq!(stage.mints().len(), 2);
    rotate(&access).await;
    let after = read_all(&stage, &formats).await;
    let mints = stage.mints();
    assert_eq!(mints.len(), 4);

    for (reports, mints) in [(&before, &mints[..2]), (&after, &mints[2..])] {
        for (report, (output, _)) in reports.iter().zip(&formats) {
            // A kubeconfig has a token of its own: it is DigitalOcean's document.
            let expected = match output["format"].as_str().unwrap() {
                "ArgoCD" | "Karmada" => Operation::GetCredentials,
                _ => Operation::GetKubeconfig,
            };
            assert_eq!(report.minted_by(mints), expected, "{output}");
        }
    }
}

#[tokio::test]
async fn consumers_of_a_cluster_without_tokens_use_its_certificates_and_follow_a_rotation() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.certificate_cluster("prod", 7200));
    let mut formats = every_format(&stage);
    formats.retain(|(output, _)| output["format"] != "Karmada");
    formats.push((
        json!({"secretName": "parts", "format": "Custom", "keys": [
            {"key": "server", "field": "Server"},
            {"key": "ca.crt", "field": "CertificateAuthority"},
            {"key": "client.crt", "field": "ClientCertificate"},
            {"key": "client.key", "field": "ClientKey"},
        ]}),
        Consumer::new("clientgo", &["--as", "fields"]),
    ));
    let outputs: Vec<_> = formats.iter().map(|(output, _)| output.clone()).collect();
    let access = published(&stage, json!(outputs)).await;
    let before = read_all(&stage, &formats).await;
    rotate(&access).await;
    let after = read_all(&stage, &formats).await;
    for (before, after) in before.iter().zip(&after) {
        for report in [before, after] {
            assert_eq!(report.token_sha256, "");
            assert_ne!(report.certificate_sha256, "");
        }
        assert_ne!(before.certificate_sha256, after.certificate_sha256);
    }
}

#[tokio::test]
async fn a_consumer_whose_token_the_cluster_refuses_says_so_without_it() {
    let Some(stage) = stage_with_consumers().await else {
        return;
    };
    let token = stage.simulator.draw_api_token();
    let authority = k8s_openapi::ByteString(stage.certificate_authority.clone().into_bytes());
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "target",
        "contexts": [{"name": "target", "context": {"cluster": "target", "user": "target"}}],
        "clusters": [{"name": "target", "cluster": {
            "server": stage.server,
            "certificate-authority-data": authority,
        }}],
        "users": [{"name": "target", "user": {"token": token}}],
    })
    .to_string();
    let config =
        json!({"bearerToken": token, "tlsClientConfig": {"insecure": false, "caData": authority}});
    stage
        .put_secret(
            "prod-kubeconfig",
            &[
                ("value", &kubeconfig),
                ("server", &stage.server),
                ("config", &config.to_string()),
            ],
        )
        .await;
    let labels = json!({
        "argocd.argoproj.io/secret-type": "cluster",
        "cluster.x-k8s.io/cluster-name": "prod",
    });
    stage
        .patch_secret("prod-kubeconfig", json!({"metadata": {"labels": labels}}))
        .await;
    for consumer in [
        Consumer::new("argocd", &[]),
        Consumer::new("flux", &[]),
        Consumer::new("clusterapi", &[]),
        Consumer::new("clientgo", &["--as", "fleet"]),
    ] {
        let complaint = consumer
            .try_read(&stage, "prod-kubeconfig")
            .await
            .unwrap_err();
        assert!(
            complaint.contains("does not say who the credential belongs to"),
            "{complaint}"
        );
        assert!(!complaint.contains(&token), "{}", consumer.name);
    }
}
