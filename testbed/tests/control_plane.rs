//! The control plane of the testbed does what tests rely on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "functions beside the tests are test code, too"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use do_cluster_access_testbed::control_plane::audit::Request;
use do_cluster_access_testbed::control_plane::{
    ControlPlane, Error, Options, client_of, unavailable,
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, ServiceAccount};
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams, WatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio::time::timeout;

const HOUR: Duration = Duration::from_secs(3600);

/// Longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One control plane for the tests that do not stop it. It ends with this process.
async fn shared() -> &'static ControlPlane {
    static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
    SHARED
        .get_or_init(async || ControlPlane::start(Options::default()).await.unwrap())
        .await
}

fn object<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).unwrap()
}

async fn create_namespace(client: &Client, name: &str) {
    let namespace: Namespace = object(json!({"metadata": {"name": name}}));
    Api::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
}

/// Waits until a condition holds. It is asked again and again, so it should be cheap.
async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(PATIENCE, holds).await.is_ok(), "never: {what}");
}

fn status(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        other => panic!("not an answer of the API server: {other}"),
    }
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn kubectl_and_the_api_server_are_of_the_pinned_version() {
    if unavailable() {
        return;
    }
    let mut kubectl = shared().await.kubectl();
    let output = kubectl
        .args(["version", "--output=json"])
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let versions: Value = serde_json::from_slice(&output.stdout).unwrap();
    let versions = ["clientVersion", "serverVersion"].map(|of| versions[of]["gitVersion"].clone());
    if std::env::var_os("KUBEBUILDER_ASSETS").is_some() {
        // These are of whatever version there is.
        assert!(versions.iter().all(Value::is_string));
        return;
    }
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane/go.mod");
    let module = std::fs::read_to_string(module).unwrap();
    let mut dependencies = module.lines().map(str::trim);
    let pinned = dependencies
        .find_map(|line| line.strip_prefix("k8s.io/kubernetes "))
        .unwrap();
    assert_eq!(versions, [pinned, pinned]);
}

#[tokio::test]
async fn a_service_account_may_do_what_rbac_grants_and_nothing_else_and_the_audit_log_tells() {
    if unavailable() {
        return;
    }
    let control_plane = shared().await;
    let admin = control_plane.admin_client().await.unwrap();
    create_namespace(&admin, "rbac").await;
    let created = PostParams::default();
    Api::<ServiceAccount>::namespaced(admin.clone(), "rbac")
        .create(&created, &object(json!({"metadata": {"name": "reader"}})))
        .await
        .unwrap();
    // The rules of this ClusterRole are put together by a controller.
    Api::<k8s_openapi::api::rbac::v1::RoleBinding>::namespaced(admin.clone(), "rbac")
        .create(&created, &object(json!({
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "rbac"}],
        })))
        .await
        .unwrap();

    let kubeconfig = control_plane
        .service_account_kubeconfig("rbac", "reader", HOUR)
        .await
        .unwrap();
    let reader = client_of(&kubeconfig).await.unwrap();
    let config_maps: Api<ConfigMap> = Api::namespaced(reader.clone(), "rbac");
    eventually("the reader may list ConfigMaps", async || {
        config_maps.list(&ListParams::default()).await.is_ok()
    })
    .await;

    let before = control_plane.audit_log().position().await.unwrap();
    config_maps.get_opt("absent").await.unwrap();
    let refused = Api::<Secret>::namespaced(reader, "rbac")
        .list(&ListParams::default())
        .await;
    assert_eq!(status(&refused.unwrap_err()), 403);

    let user = "system:serviceaccount:rbac:reader";
    let requests = control_plane
        .audit_log()
        .requests_of(user, before)
        .await
        .unwrap();
    let told: Vec<_> = requests.iter().map(summary).collect();
    assert_eq!(
        told,
        ["get configmaps rbac/absent 404", "list secrets rbac/ 403"]
    );
}

fn summary(request: &Request) -> String {
    let Request {
        verb,
        resource,
        namespace,
        name,
        code,
        ..
    } = request;
    format!("{verb} {resource} {namespace}/{name} {code}")
}

#[tokio::test]
async fn kubectl_acts_as_the_kubeconfig_that_it_is_given() {
    if unavailable() {
        return;
    }
    let control_plane = shared().await;
    let admin = control_plane.admin_client().await.unwrap();
    create_namespace(&admin, "whoami").await;
    eventually("the namespace has its ServiceAccount", async || {
        let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), "whoami");
        accounts.get_opt("default").await.unwrap().is_some()
    })
    .await;
    let kubeconfig = control_plane
        .service_account_kubeconfig("whoami", "default", HOUR)
        .await
        .unwrap();
    let mut kubectl = control_plane.kubectl_with(&kubeconfig);
    let output = kubectl
        .args(["auth", "whoami", "--output=json"])
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let review: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        review["status"]["userInfo"]["username"],
        "system:serviceaccount:whoami:default"
    );
}

#[tokio::test]
async fn an_answer_that_was_read_is_in_the_audit_log_once() {
    if unavailable() {
        return;
    }
    let control_plane = shared().await;
    let admin = control_plane.admin_client().await.unwrap();
    let config_maps: Api<ConfigMap> = Api::namespaced(admin, "default");
    let mut position = control_plane.audit_log().position().await.unwrap();
    for number in 0..200 {
        let name = format!("audited-{number}");
        config_maps.get_opt(&name).await.unwrap();
        let next = control_plane.audit_log().position().await.unwrap();
        let requests = control_plane.audit_log().since(position).await.unwrap();
        assert_eq!(
            requests
                .iter()
                .filter(|request| request.name == name)
                .count(),
            1,
            "{name}"
        );
        position = next;
    }
}

#[tokio::test]
async fn a_watch_is_in_the_audit_log_from_its_beginning_and_once() {
    if unavailable() {
        return;
    }
    let control_plane = shared().await;
    let log = control_plane.audit_log();
    let before = log.position().await.unwrap();
    let admin = control_plane.admin_client().await.unwrap();
    create_namespace(&admin, "watched").await;
    let config_maps: Api<ConfigMap> = Api::namespaced(admin, "watched");
    let begun = config_maps
        .watch(&WatchParams::default().timeout(1), "0")
        .await
        .unwrap();
    let is_ours = |request: &Request| {
        request.is_watch() && request.namespace == "watched" && request.user == "kubernetes-admin"
    };
    let watch = timeout(PATIENCE, log.wait_for(before, is_ours))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((watch.resource.as_str(), watch.code), ("configmaps", 200));

    let _all = futures::StreamExt::collect::<Vec<_>>(Box::pin(begun)).await;
    config_maps.get_opt("after-the-watch").await.unwrap();
    let mut requests = log.since(before).await.unwrap();
    requests.retain(is_ours);
    assert_eq!(requests, [watch]);
}

#[tokio::test]
async fn a_refused_token_is_in_the_audit_log_once() {
    if unavailable() {
        return;
    }
    let control_plane = shared().await;
    let before = control_plane.audit_log().position().await.unwrap();
    let stranger = client_with_token(control_plane, "not-a-token").await;
    let answer = Api::<ConfigMap>::namespaced(stranger, "default")
        .get("refused")
        .await;
    assert_eq!(status(&answer.unwrap_err()), 401);
    let mut requests = control_plane.audit_log().since(before).await.unwrap();
    requests.retain(|request| request.name == "refused");
    assert_eq!(
        requests
            .iter()
            .map(|request| request.code)
            .collect::<Vec<_>>(),
        [401]
    );
}

async fn client_with_token(control_plane: &ControlPlane, token: &str) -> Client {
    let mut kubeconfig = kube::config::Kubeconfig::read_from(control_plane.kubeconfig()).unwrap();
    let user = kubeconfig.auth_infos[0].auth_info.as_mut().unwrap();
    *user = object(json!({"token": token}));
    let options = kube::config::KubeConfigOptions::default();
    kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap()
        .try_into()
        .unwrap()
}

#[tokio::test]
async fn garbage_collection_removes_a_secret_with_its_owner() {
    if unavailable() {
        return;
    }
    let admin = shared().await.admin_client().await.unwrap();
    create_namespace(&admin, "garbage").await;
    let owners: Api<ConfigMap> = Api::namespaced(admin.clone(), "garbage");
    let owner = owners
        .create(
            &PostParams::default(),
            &object(json!({"metadata": {"name": "owner"}})),
        )
        .await
        .unwrap();
    let secrets: Api<Secret> = Api::namespaced(admin, "garbage");
    let dependent = json!({"metadata": {"name": "owned", "ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid().unwrap()},
    ]}});
    secrets
        .create(&PostParams::default(), &object(dependent))
        .await
        .unwrap();
    secrets
        .create(
            &PostParams::default(),
            &object(json!({"metadata": {"name": "ownerless"}})),
        )
        .await
        .unwrap();

    owners
        .delete("owner", &DeleteParams::default())
        .await
        .unwrap();
    eventually("the owned Secret is gone", async || {
        secrets.get_opt("owned").await.unwrap().is_none()
    })
    .await;
    assert!(secrets.get_opt("ownerless").await.unwrap().is_some());
}

#[tokio::test]
async fn a_namespace_goes_with_what_is_in_it() {
    if unavailable() {
        return;
    }
    let admin = shared().await.admin_client().await.unwrap();
    create_namespace(&admin, "short-lived").await;
    let namespaces: Api<Namespace> = Api::all(admin);
    namespaces
        .delete("short-lived", &DeleteParams::default())
        .await
        .unwrap();
    eventually("the namespace is gone", async || {
        namespaces.get_opt("short-lived").await.unwrap().is_none()
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_breaks_the_security_standard_of_its_namespace_is_refused() {
    if unavailable() {
        return;
    }
    let admin = shared().await.admin_client().await.unwrap();
    let namespace = json!({"metadata": {
        "name": "restricted",
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    }});
    Api::<Namespace>::all(admin.clone())
        .create(&PostParams::default(), &object(namespace))
        .await
        .unwrap();
    eventually("the namespace has its ServiceAccount", async || {
        let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), "restricted");
        accounts.get_opt("default").await.unwrap().is_some()
    })
    .await;
    let pod = object(
        json!({"metadata": {"name": "root"}, "spec": {"containers": [{
            "name": "root", "image": "none", "securityContext": {"privileged": true},
        }]}}),
    );
    let answer = Api::<Pod>::namespaced(admin, "restricted")
        .create(&PostParams::default(), &pod)
        .await;
    let refusal = answer.unwrap_err();
    assert_eq!(status(&refusal), 403);
    assert!(
        refusal.to_string().contains("violates PodSecurity"),
        "{refusal}"
    );
}

/// A TokenReview webhook that knows some tokens.
#[derive(Clone, Default)]
struct Webhook(Arc<Mutex<BTreeSet<String>>>);

impl Webhook {
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token-review", listener.local_addr().unwrap());
        let routes = Router::new()
            .route("/token-review", post(review))
            .with_state(self.clone());
        tokio::spawn(async { axum::serve(listener, routes).await });
        url
    }
}

async fn review(State(webhook): State<Webhook>, Json(mut review): Json<Value>) -> Json<Value> {
    let known = webhook
        .0
        .lock()
        .unwrap()
        .contains(review["spec"]["token"].as_str().unwrap());
    review["status"] = json!({"authenticated": known, "user": {"username": "webhook-user"}});
    Json(review)
}

#[tokio::test]
async fn a_token_is_asked_about_at_every_request_and_other_credentials_work_beside_it() {
    if unavailable() {
        return;
    }
    let webhook = Webhook::default();
    let options = Options {
        token_webhook_url: Some(webhook.serve().await),
        controller_manager: false,
        ..Options::default()
    };
    let control_plane = ControlPlane::start(options).await.unwrap();
    let user = client_with_token(&control_plane, "minted").await;
    let config_maps: Api<ConfigMap> = Api::namespaced(user, "default");
    let answer = async || status(&config_maps.get("any").await.unwrap_err());
    // Another kube-apiserver than ours remembers a token for ten seconds.
    let rounds = if std::env::var_os("KUBEBUILDER_ASSETS").is_none() {
        5
    } else {
        1
    };
    for _ in 0..rounds {
        assert_eq!(answer().await, 401);
        webhook.0.lock().unwrap().insert("minted".to_owned());
        assert_eq!(answer().await, 403, "known, and without rights");
        webhook.0.lock().unwrap().remove("minted");
    }

    let admin = control_plane.admin_client().await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(admin, "default");
    let account = object(json!({"metadata": {"name": "beside"}}));
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let kubeconfig = control_plane
        .service_account_kubeconfig("default", "beside", HOUR)
        .await
        .unwrap();
    let service_account = client_of(&kubeconfig).await.unwrap();
    service_account.apiserver_version().await.unwrap();
    let refused = Api::<ConfigMap>::namespaced(service_account, "default")
        .get("any")
        .await;
    assert_eq!(status(&refused.unwrap_err()), 403);
    control_plane.stop().await.unwrap();
}

#[tokio::test]
async fn garbage_collection_knows_kinds_that_were_installed_at_the_start() {
    if unavailable() {
        return;
    }
    let files = directory();
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "owners.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Owner", "plural": "owners"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    });
    std::fs::write(files.path().join("owners.json"), definition.to_string()).unwrap();
    let options = Options {
        custom_resource_definitions: vec![files.path().to_owned()],
        ..Options::default()
    };
    let control_plane = ControlPlane::start(options).await.unwrap();
    let admin = control_plane.admin_client().await.unwrap();
    let kind = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("example.com", "v1", "Owner"),
        "owners",
    );
    let owners: Api<DynamicObject> = Api::namespaced_with(admin.clone(), "default", &kind);
    let owner = owners
        .create(&PostParams::default(), &DynamicObject::new("owner", &kind))
        .await
        .unwrap();
    let secrets: Api<Secret> = Api::namespaced(admin, "default");
    let dependent = json!({"metadata": {"name": "owned", "ownerReferences": [
        {"apiVersion": "example.com/v1", "kind": "Owner", "name": "owner", "uid": owner.uid().unwrap()},
    ]}});
    secrets
        .create(&PostParams::default(), &object(dependent))
        .await
        .unwrap();

    owners
        .delete("owner", &DeleteParams::default())
        .await
        .unwrap();
    // The garbage collector looks for new kinds every 30 seconds: it must have known this one before.
    let gone = async {
        while secrets.get_opt("owned").await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), gone)
        .await
        .expect("the owned Secret is gone");
    control_plane.stop().await.unwrap();
}

#[tokio::test]
async fn a_control_plane_that_is_started_again_in_its_directory_has_its_objects_and_tokens() {
    if unavailable() {
        return;
    }
    let data = directory();
    let mut options = Options {
        directory: Some(data.path().to_owned()),
        ..Options::default()
    };
    let first = ControlPlane::start(options.clone()).await.unwrap();
    let port = first.server().rsplit_once(':').unwrap().1.parse().unwrap();
    let token = first
        .service_account_kubeconfig("default", "default", HOUR)
        .await
        .unwrap();
    let config_maps: Api<ConfigMap> =
        Api::namespaced(first.admin_client().await.unwrap(), "default");
    let kept = object(json!({"metadata": {"name": "kept"}}));
    config_maps
        .create(&PostParams::default(), &kept)
        .await
        .unwrap();
    first.stop().await.unwrap();

    options.api_server_port = Some(port);
    let second = ControlPlane::start(options).await.unwrap();
    config_maps.get("kept").await.unwrap();
    let answer = Api::<ConfigMap>::namespaced(client_of(&token).await.unwrap(), "default")
        .get("kept")
        .await;
    assert_eq!(
        status(&answer.unwrap_err()),
        403,
        "known, and without rights"
    );
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_that_fails_quotes_the_component_at_fault() {
    if unavailable() {
        return;
    }
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options {
        api_server_port: Some(taken.local_addr().unwrap().port()),
        controller_manager: false,
        ..Options::default()
    };
    let Err(Error::Ended(message)) = ControlPlane::start(options).await else {
        panic!("it started on a port that is taken");
    };
    assert!(
        message.contains("kube-apiserver ended by itself"),
        "{message}"
    );
    assert!(message.contains("address already in use"), "{message}");
}

#[tokio::test]
async fn a_component_that_dies_ends_the_control_plane_and_stop_tells() {
    if unavailable() {
        return;
    }
    let options = Options {
        controller_manager: false,
        ..Options::default()
    };
    let control_plane = ControlPlane::start(options).await.unwrap();
    let (_, etcd) = control_plane
        .components()
        .find(|(name, _)| *name == "etcd")
        .unwrap();
    kill(etcd);
    let left = control_plane.directory().to_owned();
    eventually("everything is gone", async || !left.exists()).await;
    let Err(Error::Ended(message)) = control_plane.stop().await else {
        panic!("nothing told that etcd died");
    };
    assert!(
        message.contains("etcd ended by itself (signal: killed)"),
        "{message}"
    );
}

#[tokio::test]
async fn a_control_plane_that_is_dropped_leaves_nothing_behind() {
    if unavailable() {
        return;
    }
    let options = Options {
        controller_manager: false,
        ..Options::default()
    };
    let control_plane = ControlPlane::start(options).await.unwrap();
    let left = Left::of(&control_plane);
    drop(control_plane);
    left.is_gone().await;
}

/// This test plays two parts: it runs itself in a process of its own, which starts a control plane
/// and is then killed.
#[tokio::test]
async fn a_test_process_that_is_killed_leaves_nothing_behind() {
    const REPORT: &str = "DO_CLUSTER_ACCESS_TEST_REPORT";
    if unavailable() {
        return;
    }
    if let Some(report) = std::env::var_os(REPORT) {
        let control_plane = ControlPlane::start(Options::default()).await.unwrap();
        Left::of(&control_plane).write(Path::new(&report));
        std::future::pending::<()>().await;
    }

    let files = directory();
    let report = files.path().join("report.json");
    let mut process = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_test_process_that_is_killed_leaves_nothing_behind",
        ])
        .env(REPORT, &report)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("the other process has a control plane", async || {
        report.exists()
    })
    .await;
    let left = Left::read(&report);
    assert!(left.directory.exists());
    process.kill().await.unwrap(); // SIGKILL
    left.is_gone().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_supervisor_that_is_killed_takes_its_components_with_it() {
    if unavailable() {
        return;
    }
    let data = directory();
    let options = Options {
        directory: Some(data.path().to_owned()),
        ..Options::default()
    };
    let control_plane = ControlPlane::start(options).await.unwrap();
    let left = Left::of(&control_plane);
    kill(control_plane.process_id());
    left.processes_are_gone().await;
    assert!(matches!(control_plane.stop().await, Err(Error::Ended(_))));
}

fn kill(process: u32) {
    let status = std::process::Command::new("kill")
        .args(["-KILL", &process.to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// What a control plane that ended badly would leave.
struct Left {
    directory: PathBuf,
    processes: Vec<u32>,
}

impl Left {
    fn of(control_plane: &ControlPlane) -> Self {
        let components = control_plane.components().map(|(_, process)| process);
        let processes: Vec<_> = components.chain([control_plane.process_id()]).collect();
        let left = Self {
            directory: control_plane.directory().to_owned(),
            processes,
        };
        assert!(left.directory.exists() && left.processes.iter().all(|&process| runs(process)));
        left
    }

    fn write(&self, path: &Path) {
        let unfinished = path.with_extension("unfinished");
        let report = json!({"directory": self.directory, "processes": self.processes});
        std::fs::write(&unfinished, report.to_string()).unwrap();
        std::fs::rename(unfinished, path).unwrap();
    }

    fn read(path: &Path) -> Self {
        let report: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        Self {
            directory: object(report["directory"].clone()),
            processes: object(report["processes"].clone()),
        }
    }

    async fn is_gone(&self) {
        self.processes_are_gone().await;
        eventually("the directory is gone", async || !self.directory.exists()).await;
    }

    async fn processes_are_gone(&self) {
        eventually("the processes are gone", async || {
            !self.processes.iter().any(|&process| runs(process))
        })
        .await;
    }
}

/// Whether a process exists and has not ended (one that nobody waited for is still listed).
fn runs(process: u32) -> bool {
    let output = std::process::Command::new("ps")
        .args(["-o", "stat=", "-p", &process.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8_lossy(&output.stdout);
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}
