//! A real Kubernetes control plane for tests: etcd, kube-apiserver and kube-controller-manager.
//!
//! The program behind it is `testbed/controlplane` (`make tools` builds it). It lives as long as the
//! [`ControlPlane`] that started it: the program ends when its standard input does, so that nothing
//! stays behind even when the test process is killed.
//!
//! ```no_run
//! # async fn example() -> Result<(), do_cluster_access_testbed::control_plane::Error> {
//! use do_cluster_access_testbed::control_plane::{ControlPlane, Options};
//!
//! let control_plane = ControlPlane::start(Options::default()).await?;
//! let client = control_plane.admin_client().await?;
//! let before = control_plane.audit_log().position().await?;
//! // … let something act on the cluster …
//! let requests = control_plane.audit_log().since(before).await?;
//! control_plane.stop().await?;
//! # Ok(()) }
//! ```

pub mod audit;
mod program;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Api, Client, Config};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

pub use self::audit::AuditLog;
use self::program::Program;
pub use self::program::{BINARY_VARIABLE, unavailable};

/// What a control plane should be like.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `TokenReview` webhook (`authentication.k8s.io/v1`; plain http will do) that is asked about
    /// bearer tokens, at every request anew. Client certificates and ServiceAccount tokens work too.
    pub token_webhook_url: Option<String>,
    /// Whether kube-controller-manager runs: garbage collection, deletion of namespaces, the `default`
    /// ServiceAccount, aggregated ClusterRoles, quota.
    pub controller_manager: bool,
    /// Files and directories of CustomResourceDefinitions to install before the controllers start.
    ///
    /// The garbage collector looks for new resources every 30 seconds only: an owner of a kind that
    /// was installed later counts as unknown until then.
    pub custom_resource_definitions: Vec<PathBuf>,
    /// Where the data is. It is kept, and found again by the next control plane that starts there.
    /// `None`: a temporary directory, removed at the end.
    pub directory: Option<PathBuf>,
    /// The port of the API server, `None`: a free one.
    pub api_server_port: Option<u16>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token_webhook_url: None,
            controller_manager: true,
            custom_resource_definitions: Vec::new(),
            directory: None,
            api_server_port: None,
        }
    }
}

/// Why a control plane, or something asked of it, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program was not built.
    #[error("{path} is missing: run `make tools` (or name the program in {BINARY_VARIABLE})")]
    Missing {
        /// Where the program should be.
        path: String,
    },
    /// The program could not be run at all.
    #[error("cannot run {path}")]
    Spawn {
        /// The program.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The program ended without having been asked to; the message is what it wrote, with the end
    /// of the log of the component that failed.
    #[error("the control plane ended by itself: {0}")]
    Ended(String),
    /// The program announced itself with something else than the JSON that is expected.
    #[error("the control plane announced itself as {line:?}")]
    Announcement {
        /// What it wrote.
        line: String,
        /// Why that cannot be read.
        source: serde_json::Error,
    },
    /// A file of the control plane cannot be read or written.
    #[error("{path}")]
    File {
        /// The file.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// A line of the audit log is not an audit event.
    #[error("the audit log has the line {line:?}")]
    Audit {
        /// The line.
        line: String,
        /// Why it cannot be read.
        source: serde_json::Error,
    },
    /// A kubeconfig of the control plane does not lead to a client.
    #[error("kubeconfig of the control plane")]
    Kubeconfig(#[from] KubeconfigError),
    /// The API server refused a request of the harness.
    #[error("API server of the control plane")]
    Kube(#[from] kube::Error),
    /// The API server answered a TokenRequest without a token.
    #[error("the API server issued no token for ServiceAccount {namespace}/{name}")]
    NoToken {
        /// The ServiceAccount's namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl Error {
    fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.display().to_string(),
            source,
        }
    }
}

/// A control plane that runs until it is stopped or dropped.
///
/// It does not depend on the async runtime that started it, so that tests with a runtime each can
/// share one. (A [`Client`] does: make one for each test.) Dropping asks it to end and does not wait;
/// nothing kills it, since it then could not clean up after itself.
#[derive(Debug)]
pub struct ControlPlane {
    program: Program,
    certificate_authority: String,
    audit_log: AuditLog,
    kubeconfigs_written: AtomicU64,
}

impl ControlPlane {
    /// Starts a control plane and returns when it is ready to use, which takes a few seconds.
    ///
    /// # Errors
    /// [`Error::Missing`] when the program was not built; [`Error::Ended`] with the log of the
    /// component at fault when it does not become ready within a minute.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let program = Program::start(options).await?;
        let announcement = &program.announcement;
        let certificate_authority = tokio::fs::read_to_string(&announcement.ca_file)
            .await
            .map_err(|source| Error::file(&announcement.ca_file, source))?;
        let audit_log = AuditLog::new(announcement.audit_log.clone());
        Ok(Self {
            program,
            certificate_authority,
            audit_log,
            kubeconfigs_written: AtomicU64::new(0),
        })
    }

    /// Where the API server is: `https://127.0.0.1:<port>`.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.program.announcement.server
    }

    /// The kubeconfig of an administrator (a member of `system:masters`). All of it is inline.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.program.announcement.kubeconfig
    }

    /// The certificate, in PEM, that issued the API server's.
    #[must_use]
    pub fn certificate_authority(&self) -> &str {
        &self.certificate_authority
    }

    /// What was asked of the API server, by whom, and how it answered.
    #[must_use]
    pub fn audit_log(&self) -> &AuditLog {
        &self.audit_log
    }

    /// The directory with everything that belongs to this control plane, logs included.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.program.announcement.dir
    }

    /// The process that supervises the others.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.program.announcement.pid
    }

    /// The name and process of every component.
    pub fn components(&self) -> impl Iterator<Item = (&str, u32)> {
        let components = &self.program.announcement.components;
        components
            .iter()
            .map(|(name, component)| (name.as_str(), component.pid))
    }

    /// A client of an administrator, which passes on every failure instead of retrying. It belongs to
    /// the async runtime of the caller.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn admin_client(&self) -> Result<Client, Error> {
        client_of(self.kubeconfig()).await
    }

    /// Writes a kubeconfig that authenticates as a ServiceAccount, with a token that is bound to it
    /// and lives for `lifetime` (the API server grants ten minutes at the least). The file, a new one
    /// at each call, goes with the control plane.
    ///
    /// # Errors
    /// When the ServiceAccount does not exist, the lifetime is refused, or the file cannot be written.
    pub async fn service_account_kubeconfig(
        &self,
        namespace: &str,
        name: &str,
        lifetime: Duration,
    ) -> Result<PathBuf, Error> {
        let token = self
            .service_account_token(namespace, name, lifetime)
            .await?;
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": "controlplane", "user": name, "namespace": namespace}}],
            "clusters": [{"name": "controlplane", "cluster": {
                "server": self.server(),
                "certificate-authority-data": k8s_openapi::ByteString(self.certificate_authority.clone().into_bytes()),
            }}],
            "users": [{"name": name, "user": {"token": token}}],
        });
        let number = self.kubeconfigs_written.fetch_add(1, Ordering::Relaxed);
        let path = self
            .directory()
            .join(format!("{namespace}-{name}-{number}.kubeconfig"));
        write_private(&path, kubeconfig.to_string().as_bytes())
            .await
            .map_err(|source| Error::file(&path, source))?;
        Ok(path)
    }

    async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        lifetime: Duration,
    ) -> Result<String, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin_client().await?, namespace);
        let spec = TokenRequestSpec {
            expiration_seconds: Some(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest {
            spec: Some(spec),
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await?;
        let token = answer.status.and_then(|status| status.token);
        token.ok_or_else(|| Error::NoToken {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// kubectl as the administrator; see [`Self::kubectl_with`].
    #[must_use]
    pub fn kubectl(&self) -> Command {
        self.kubectl_with(self.kubeconfig())
    }

    /// kubectl with a kubeconfig, in an environment that nothing on this machine influences: caches
    /// and preferences are the control plane's own. It has no input, and is killed when dropped.
    #[must_use]
    pub fn kubectl_with(&self, kubeconfig: &Path) -> Command {
        let home = self.directory().join("home");
        let mut command = self.program.kubectl();
        command
            .env("KUBECONFIG", kubeconfig)
            .env("HOME", &home)
            .env("KUBECACHEDIR", home.join("cache"))
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Stops everything and returns when nothing is left of it.
    ///
    /// # Errors
    /// [`Error::Ended`] when a component had ended before.
    pub async fn stop(self) -> Result<(), Error> {
        self.program.stop().await
    }
}

/// A client with what a kubeconfig holds, which passes on every failure instead of retrying. It
/// belongs to the async runtime of the caller.
///
/// # Errors
/// When the kubeconfig cannot be read.
pub async fn client_of(kubeconfig: &Path) -> Result<Client, Error> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

async fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = tokio::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .await?;
    file.write_all(content).await?;
    file.flush().await
}
