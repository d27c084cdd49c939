//! A control plane and a DigitalOcean, which know each other.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use do_cluster_access_testbed::control_plane::{self, ControlPlane, Options};
use do_cluster_access_testbed::simulator::{
    CertificateAndKey, RunningSimulator, Settings, Simulator,
};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tower::ServiceExt;
use tracing_subscriber::EnvFilter;

use super::chart;

/// Serves the worlds: the runtime of a test goes with it.
static BACKGROUND: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("world")
        .enable_all()
        .build()
        .unwrap()
});

/// A control plane and a DigitalOcean. Credentials that the simulator mints, tokens and client certificates
/// alike, authenticate at the control plane, and give their holder every right, as on DOKS.
pub(crate) struct World {
    /// Both the management cluster and every target cluster.
    pub(crate) control_plane: ControlPlane,
    /// DigitalOcean.
    pub(crate) simulator: Simulator,
    digitalocean: RunningSimulator,
    webhook_url: String,
    /// Ends when this is dropped.
    _gateway: JoinSet<()>,
}

/// Whether tests have to do without the programs that they need. Says so loudly, and panics where `CI` is
/// set: there, a test that does not run must not look like one that passed.
pub(crate) fn unavailable() -> bool {
    control_plane::unavailable() || chart::unavailable()
}

impl World {
    /// The world of every test that does nothing to the control plane itself.
    pub(crate) async fn shared() -> Arc<Self> {
        static SHARED: OnceCell<Arc<World>> = OnceCell::const_new();
        let start = async || Arc::new(Self::start(Options::default()).await);
        SHARED.get_or_init(start).await.clone()
    }

    /// A world of the caller's own, which ends when it is dropped. `options` say what the control plane is like; the
    /// webhook and the CustomResourceDefinitions are added.
    pub(crate) async fn start(options: Options) -> Self {
        Self::start_with(options, vec![repository().join("crds")]).await
    }

    /// The same with these CustomResourceDefinitions, in files and directories, in place of the operator's.
    pub(crate) async fn start_with(options: Options, definitions: Vec<PathBuf>) -> Self {
        log();
        let start = Self::start_here(options, definitions);
        BACKGROUND.spawn(start).await.unwrap()
    }

    async fn start_here(options: Options, definitions: Vec<PathBuf>) -> Self {
        // The API server has to be told where the simulator is, and the simulator which authority the API server
        // trusts: the gateway is there before both.
        let simulator_routes = Arc::new(OnceLock::new());
        let (webhook_url, gateway) = serve_gateway(simulator_routes.clone()).await;
        let options = Options {
            custom_resource_definitions: definitions,
            ..options_with_webhook(options, webhook_url.clone())
        };
        let control_plane = ControlPlane::start(options).await.unwrap();
        let client_authority = Some(client_authority(control_plane.directory()));
        let settings = Settings {
            client_authority,
            ..Settings::default()
        };
        let simulator = Simulator::new(settings).unwrap();
        simulator_routes.set(simulator.router()).unwrap();
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let digitalocean = simulator.serve(loopback).await.unwrap();
        grant_everything_to_minted_credentials(&control_plane).await;
        Self {
            control_plane,
            simulator,
            digitalocean,
            webhook_url,
            _gateway: gateway,
        }
    }

    /// Base URL of DigitalOcean's API.
    pub(crate) fn digitalocean_url(&self) -> String {
        self.digitalocean.url()
    }

    /// Stops the control plane, lets `during` happen, and starts it again at the same address with what it had. It
    /// must have been given a directory.
    pub(crate) async fn restart_control_plane(
        self,
        options: Options,
        during: impl AsyncFnOnce(),
    ) -> Self {
        let port = self
            .control_plane
            .server()
            .rsplit_once(':')
            .unwrap()
            .1
            .parse()
            .unwrap();
        let options = options_with_webhook(options, self.webhook_url.clone());
        self.control_plane.stop().await.unwrap();
        during().await;
        let options = Options {
            api_server_port: Some(port),
            ..options
        };
        let control_plane = ControlPlane::start(options).await.unwrap();
        Self {
            control_plane,
            ..self
        }
    }
}

fn options_with_webhook(options: Options, url: String) -> Options {
    Options {
        token_webhook_url: Some(url),
        custom_resource_definitions: vec![repository().join("crds")],
        ..options
    }
}

/// Answers the control plane's questions about tokens as soon as there is a simulator to ask.
async fn serve_gateway(simulator: Arc<OnceLock<Router>>) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/tokenreview", listener.local_addr().unwrap());
    let pass_on = async move |request: Request| -> Response {
        match simulator.get() {
            Some(simulator) => simulator.clone().oneshot(request).await.into_response(),
            None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(async {
        axum::serve(listener, Router::new().fallback(pass_on))
            .await
            .unwrap();
    });
    (url, tasks)
}

/// The authority whose client certificates the API server accepts.
fn client_authority(control_plane: &Path) -> CertificateAndKey {
    let read = |name| std::fs::read_to_string(control_plane.join("pki").join(name)).unwrap();
    CertificateAndKey {
        certificate: read("ca.crt"),
        key: read("ca.key"),
    }
}

async fn grant_everything_to_minted_credentials(control_plane: &ControlPlane) {
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "doks"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "k8saas:authenticated"}],
    }))
    .unwrap();
    let bindings = Api::all(control_plane.admin_client().await.unwrap());
    bindings
        .create(&PostParams::default(), &binding)
        .await
        .unwrap();
}

/// Runs `work` to its end even when the test that asks for it ends before.
pub(super) fn in_background(work: impl Future<Output = ()> + Send + 'static) {
    BACKGROUND.spawn(work);
}

/// Runs `work` where nothing of it, connections and tasks included, ends with the test that asks for it.
pub(super) async fn beyond_the_test<T, W>(work: impl FnOnce() -> W + Send + 'static) -> T
where
    T: Send + 'static,
    W: Future<Output = T>,
{
    let run = || BACKGROUND.block_on(work());
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Logs to the output of the test that runs; `RUST_LOG` says what.
fn log() {
    static ONCE: LazyLock<()> = LazyLock::new(|| {
        let filter = EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| EnvFilter::new("warn,do_cluster_access=debug"));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_test_writer()
            .init();
    });
    LazyLock::force(&ONCE);
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
