//! The program as users run it: flags, exit codes, signals, the admin server.

use std::collections::BTreeSet;
use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::harness::{
    OperatorProcess, PATIENCE, Rights, Stage, World, container, eventually, program, repository,
    text, unavailable, whoami,
};

/// Runs the program to its end.
async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = program();
    command.args(arguments).envs(environment.iter().copied());
    timeout(PATIENCE, command.output())
        .await
        .expect("it goes on")
        .unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn wrong_flags_are_told_and_exit_with_2() {
    let kubeconfig = repository().join("Cargo.toml");
    let kubeconfig = [("KUBECONFIG", kubeconfig.to_str().unwrap())];
    for (wrong, told) in [
        ("--no-such-flag", "--no-such-flag"),
        ("--workers=0", "--workers"),
        ("--workers=many", "--workers"),
        ("--leader-elect=perhaps", "--leader-elect"),
        ("--admin-address=here", "--admin-address"),
        ("--log-format=xml", "--log-format"),
        ("--log-filter=a=b=c", "--log-filter"),
        (
            "--digitalocean-api-url=http://example.com",
            "--digitalocean-api-url",
        ),
        (
            "--digitalocean-api-url=ftp://example.com",
            "--digitalocean-api-url",
        ),
        ("--watch-namespace=Not A Namespace", "--watch-namespace"),
        ("--operator-namespace=", "--operator-namespace"),
    ] {
        let output = run(&["run", wrong], &kubeconfig).await;
        let errors = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{wrong}: {errors}");
        assert!(errors.contains(told), "{wrong}: {errors}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(run(&[], &[]).await.status.code(), Some(2));
    assert_eq!(run(&["walk"], &[]).await.status.code(), Some(2));
}

#[tokio::test]
async fn without_a_usable_cluster_it_exits_with_1_and_one_line_that_says_why() {
    let directory = std::env::temp_dir().join(format!("do-cluster-access-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let write = |name: &str, content: &str| {
        let path = directory.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let kubeconfig = |port: u16| {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "clusters": [{"name": "x", "cluster": {"server": format!("https://127.0.0.1:{port}")}}],
            "users": [{"name": "x", "user": {"token": "x"}}],
        })
        .to_string()
    };
    // Nobody listens there: it was free a moment ago, and is not waited for long.
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let cases = [
        ("absent".to_owned(), "KUBECONFIG"),
        (write("garbage", "{{{"), "KUBECONFIG"),
        (write("closed", &kubeconfig(closed)), "Connection refused"),
    ];
    for (path, told) in cases {
        let environment = [("KUBECONFIG", path.as_str())];
        let output = run(
            &["run", "--admin-address=127.0.0.1:0", "--log-filter=error"],
            &environment,
        )
        .await;
        let errors = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{path}: {errors}");
        let lines: Vec<_> = errors
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!(lines.len(), 1, "{path}: {errors}");
        assert!(lines[0].contains(told), "{path}: {errors}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn an_environment_without_certificate_authorities_is_told_and_exits_with_1() {
    let variables = [
        ("KUBECONFIG", "absent"),
        ("SSL_CERT_DIR", "/no/such/directory"),
    ];
    let output = run(&["run", "--log-filter=error"], &variables).await;
    let errors = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("No CA certificates"), "{errors}");
}

#[tokio::test]
async fn an_empty_watch_namespace_variable_means_every_namespace() {
    let stage = stage!();
    let mut command = program();
    command
        .args(["run", "--admin-address=127.0.0.1:0"])
        .env("KUBECONFIG", &stage.operator_kubeconfig)
        .env("POD_NAMESPACE", &stage.namespace)
        .env("WATCH_NAMESPACE", "");
    let operator = OperatorProcess::from_command(command);
    let started = operator.logged("starting").await;
    assert!(started.contains("namespaces=\"all\""), "{started}");
    operator.kill().await;
}

#[tokio::test]
async fn what_the_chart_passes_is_understood() {
    if unavailable() {
        return;
    }
    for values in [
        vec![],
        vec!["ci/full-values.yaml"],
        vec!["ci/namespaced-values.yaml"],
        vec!["ci/external-values.yaml"],
        vec!["ci/existing-token-values.yaml"],
        vec!["ci/monitoring-values.yaml"],
    ] {
        let container = container(&values).await;
        let arguments = container["args"].as_array().unwrap();
        let arguments: Vec<_> = arguments
            .iter()
            .map(|argument| argument.as_str().unwrap())
            .collect();
        let variables = container["env"].as_array().into_iter().flatten();
        // The authorities that they lead to are in a volume of the pod.
        let here = |variable: &&Value| !variable["name"].as_str().unwrap().starts_with("SSL_");
        let environment: Vec<_> = variables
            .filter(here)
            .map(|variable| {
                let value = variable["value"].as_str().unwrap_or("operators");
                (variable["name"].as_str().unwrap(), value)
            })
            .chain([("KUBECONFIG", "absent")])
            .collect();
        // It gets as far as looking for the cluster, which flags that it does not know would prevent.
        let output = run(&arguments, &environment).await;
        let errors = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains("KUBECONFIG"), "{errors}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_and_exits_with_1() {
    let stage = stage!();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let kubeconfig = stage.operator_kubeconfig.to_str().unwrap();
    let environment = [
        ("KUBECONFIG", kubeconfig),
        ("DO_CLUSTER_ACCESS_ADMIN_ADDRESS", &address),
    ];
    let output = run(&["run"], &environment).await;
    let errors = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let told = format!("error: --admin-address {address}: ");
    assert!(
        errors.lines().any(|line| line.starts_with(&told)),
        "{errors}"
    );
}

#[tokio::test]
async fn a_token_that_the_api_server_refuses_is_told_and_exits_with_1() {
    let stage = stage!();
    let kubeconfig = std::fs::read_to_string(&stage.operator_kubeconfig).unwrap();
    let mut kubeconfig: serde_json::Value = serde_json::from_str(&kubeconfig).unwrap();
    kubeconfig["users"][0]["user"]["token"] = json!("refused");
    let path = stage.operator_kubeconfig.with_extension("refused");
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    let output = run(
        &["run", "--admin-address=127.0.0.1:0"],
        &[("KUBECONFIG", path.to_str().unwrap())],
    )
    .await;
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    assert!(errors(&output).contains("401"), "{}", errors(&output));
}

#[tokio::test]
async fn the_printed_definitions_are_those_that_are_shipped() {
    let output = run(&["crd"], &[]).await;
    assert!(output.status.success(), "{}", errors(&output));
    let shipped: String = {
        let mut files: Vec<_> = std::fs::read_dir(repository().join("crds"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "yaml")
            })
            .collect();
        files.sort();
        files
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect()
    };
    let documents = |yaml: &str| {
        let mut documents = serde_saphyr::from_multiple::<serde_json::Value>(yaml).unwrap();
        documents.sort_by_key(|document| document["metadata"]["name"].to_string());
        documents
    };
    assert!(documents(&String::from_utf8(output.stdout).unwrap()) == documents(&shipped));
}

#[tokio::test]
async fn it_serves_an_access_and_says_how_it_is_doing() {
    let stage = stage!();
    let operator = OperatorProcess::start(&stage, &[]).await;
    operator.ready().await;
    operator.leads().await;
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let status = access.ready().await.status.unwrap();
    assert_eq!(operator.get("/livez").await.0, 200);
    assert_eq!(operator.get("/nowhere").await.0, 404);
    assert!(
        whoami(&text(&access.secret().await, "kubeconfig"))
            .await
            .is_ok()
    );

    let (code, metrics) = operator.get("/metrics").await;
    assert_eq!(code, 200);
    let samples = samples(&metrics);
    let of_access = format!("{{namespace=\"{}\",name=\"prod\"}}", stage.namespace);
    let credential = status.credential.unwrap();
    let instant = |time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
        time.unwrap().0.as_second().to_string()
    };
    let whole = |name: &str| {
        let sample = &samples.iter().find(|(sample, _)| *sample == name);
        let (_, value) = sample.unwrap_or_else(|| panic!("no {name} in:\n{metrics}"));
        format!("{:.0}", value.parse::<f64>().unwrap())
    };
    let prefix = "do_cluster_access_";
    for (series, expected) in [
        (
            "expiration_timestamp_seconds",
            instant(credential.expires_at),
        ),
        ("renewal_timestamp_seconds", instant(credential.renew_at)),
        (
            "verified_timestamp_seconds",
            instant(credential.verified_at),
        ),
        ("ready", "1".to_owned()),
    ] {
        assert_eq!(
            whole(&format!("{prefix}{series}{of_access}")),
            expected,
            "{series}"
        );
    }
    for (series, reason) in [("synced", "UpToDate"), ("verified", "Accepted")] {
        let of_access = of_access.replace('}', &format!(",reason=\"{reason}\"}}"));
        assert_eq!(whole(&format!("{prefix}{series}{of_access}")), "1");
    }
    let account = format!("{{account=\"{}/digitalocean\"}}", stage.namespace);
    for (series, expected) in [
        ("mints_total{reason=\"first\"}".to_owned(), "2"),
        ("mints_total{reason=\"renewal\"}".to_owned(), "0"),
        ("reconciles_total{result=\"panicked\"}".to_owned(), "0"),
        (
            format!("build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")),
            "1",
        ),
        (
            format!(
                "account_usable{}",
                account.replace('}', ",reason=\"Usable\"}")
            ),
            "1",
        ),
        (format!("digitalocean_ratelimit_limit{account}"), "5000"),
        ("expired_seconds_total".to_owned(), "0"),
        ("leader".to_owned(), "1"),
        (format!("account_clusters{account}"), "1"),
        (
            "digitalocean_requests_total{operation=\"list_clusters\",code=\"200\"}".to_owned(),
            "1",
        ),
        (
            "digitalocean_requests_total{operation=\"get_credentials\",code=\"200\"}".to_owned(),
            "1",
        ),
        (
            "digitalocean_requests_total{operation=\"get_kubeconfig\",code=\"200\"}".to_owned(),
            "1",
        ),
        (
            "digitalocean_request_duration_seconds_count".to_owned(),
            "3",
        ),
    ] {
        assert_eq!(whole(&format!("{prefix}{series}")), expected, "{series}");
    }
    let remaining = whole(&format!(
        "{prefix}digitalocean_ratelimit_remaining{account}"
    ));
    assert!(
        (4900..5000).contains(&remaining.parse().unwrap()),
        "{remaining}"
    );
    assert_ne!(
        whole(&format!("{prefix}reconciles_total{{result=\"done\"}}")),
        "0"
    );
    assert_ne!(
        whole(&format!("{prefix}reconcile_duration_seconds_count")),
        "0"
    );
}

#[tokio::test]
async fn it_is_alive_and_not_ready_before_it_has_seen_every_access() {
    if unavailable() {
        return;
    }
    let world = World::shared().await;
    let blind = async |namespace: &str| {
        Rights::within(namespace)
            .await
            .without("doclusteraccesses", "list")
    };
    let stage = Stage::with_rights(&world, blind).await;
    let operator = OperatorProcess::start(&stage, &["--leader-elect=false"]).await;
    operator.logged("a watch was interrupted").await;
    assert_eq!(operator.get("/readyz").await.0, 503);
    assert_eq!(operator.get("/livez").await.0, 200);
}

/// Name with labels, and value, of every sample. Panics where a sample belongs to no family, or a family comes twice.
fn samples(metrics: &str) -> Vec<(&str, &str)> {
    let mut families = BTreeSet::new();
    let mut samples = Vec::new();
    for line in metrics.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let name = family.split(' ').next().unwrap();
            assert!(families.insert(name.to_owned()), "{name} comes twice");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let family = name.split('{').next().unwrap();
            let known = |family: &str| families.contains(family);
            let suffixes = ["", "_count", "_sum", "_bucket"];
            let family_known = suffixes
                .iter()
                .any(|suffix| family.strip_suffix(suffix).is_some_and(known));
            assert!(family_known, "{line} belongs to no family");
            value.parse::<f64>().unwrap();
            samples.push((name, value));
        }
    }
    samples
}

#[tokio::test]
async fn sigterm_ends_it_at_once_with_0_and_the_lease_is_given_up() {
    let stage = stage!();
    let mut operator = OperatorProcess::start(&stage, &[]).await;
    operator.leads().await;
    assert_ne!(holder(&stage).await, "");
    operator.terminate().await;
    let begin = Instant::now();
    assert_eq!(operator.ends().await.code(), Some(0), "{}", operator.log());
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(holder(&stage).await, "");
}

async fn holder(stage: &Stage) -> String {
    use k8s_openapi::api::coordination::v1::Lease;
    let leases: kube::Api<Lease> = kube::Api::namespaced(stage.client.clone(), &stage.namespace);
    let lease = leases.get("do-cluster-access").await.unwrap();
    lease.spec.unwrap().holder_identity.unwrap_or_default()
}

#[tokio::test]
async fn sigterm_lets_an_issue_in_progress_come_to_its_end() {
    use do_cluster_access_testbed::simulator::{Fault, FaultKind, Operation};
    let stage = stage!();
    let mut operator = OperatorProcess::start(&stage, &["--leader-elect=false"]).await;
    stage.add_cluster(stage.cluster("prod"));
    stage.inject(Fault::new(FaultKind::Delay(3000)).on(Operation::GetCredentials));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    eventually("the issue has begun", async || !stage.mints().is_empty()).await;
    operator.terminate().await;
    assert_eq!(operator.ends().await.code(), Some(0), "{}", operator.log());
    access.ready().await;
    assert!(
        whoami(&text(&access.secret().await, "kubeconfig"))
            .await
            .is_ok()
    );
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn after_kill_9_a_new_process_goes_on_and_mints_nothing() {
    let stage = stage!();
    let operator = OperatorProcess::start(&stage, &["--leader-elect=false"]).await;
    stage.add_cluster(stage.cluster("prod"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let before = access.ready().await.status;
    let secret = access.secret().await;
    operator.kill().await;

    let successor = OperatorProcess::start(&stage, &["--leader-elect=false"]).await;
    successor.ready().await;
    eventually("the successor has looked", async || {
        let (_, metrics) = successor.get("/metrics").await;
        let done = "do_cluster_access_reconciles_total{result=\"done\"} ";
        let runs = metrics.lines().find_map(|line| line.strip_prefix(done));
        runs.is_some_and(|runs| runs != "0")
    })
    .await;
    assert_eq!(access.get().await.status, before, "a restart is no news");
    assert_eq!(
        access.secret().await.metadata.resource_version,
        secret.metadata.resource_version
    );
    assert_eq!(stage.mints().len(), 2);

    access.rotate("after the restart").await;
    access.renewed(&secret).await;
    access.ready().await;
    assert_eq!(stage.mints().len(), 4);
}

#[tokio::test]
async fn the_log_can_be_json() {
    let stage = stage!();
    let mut operator =
        OperatorProcess::start(&stage, &["--leader-elect=false", "--log-format=json"]).await;
    stage.add_cluster(stage.cluster("prod"));
    stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await
        .ready()
        .await;
    operator.logged("credential issued").await;
    operator.terminate().await;
    operator.ends().await;
    for line in operator.log().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        for field in ["timestamp", "level", "message"] {
            assert!(event[field].is_string(), "no {field} in {line}");
        }
    }
}
