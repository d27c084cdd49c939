//! The process: from flags to exit code.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::admin::{self, Admin};
use crate::args::RunArgs;
use crate::clock::Clock;
use crate::controller::lease::{Candidate, Leadership};
use crate::controller::{Controller, Doors, Ended, READ_TIMEOUT, Settings};
use crate::digitalocean::{self, BaseUrl, RequestLimits};
use crate::metrics::Metrics;
use crate::redaction::Redaction;
use crate::target::{self, Verifier};
use crate::telemetry;

/// How long the API server may take to answer at the start.
const GREETING_DEADLINE: Duration = Duration::from_secs(10);
/// How long the lease may take to be given up at the end.
const RELEASE_DEADLINE: Duration = Duration::from_secs(5);

/// Why the process ends before its time.
#[derive(Debug)]
pub enum Failure {
    /// The flags make no sense: exit code 2.
    Usage(String),
    /// Anything else: exit code 1.
    Other(Box<dyn Error + Send + Sync>),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Other(_) => 1,
        }
    }

    fn other(what: &str, error: impl fmt::Display) -> Self {
        Self::Other(format!("{what}: {error}").into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) => formatter.write_str(message),
            Self::Other(error) => error.fmt(formatter),
        }
    }
}

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start, or may not go on.
pub async fn run(arguments: RunArgs) -> Result<(), Failure> {
    let redaction = Redaction::default();
    telemetry::init(arguments.log_format, &arguments.log_filter, &redaction)
        .map_err(|error| Failure::Usage(format!("--log-filter: {error}")))?;
    let clock = Clock::system();
    let stop = stop_on_signal()?;
    let doors = doors(&arguments, clock.clone()).await?;
    let identity = identity();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        identity,
        digitalocean = arguments.digitalocean_api_url,
        namespaces = if arguments.watch_namespaces.is_empty() {
            "all".to_string()
        } else {
            arguments.watch_namespaces.join(",")
        },
        "starting"
    );
    let leases = doors.kubernetes.clone();
    let metrics = Arc::new(Metrics::default());
    let settings = Settings {
        watch_namespaces: arguments.watch_namespaces.clone(),
        operator_namespace: arguments.operator_namespace.clone(),
        workers: arguments.workers.into(),
        limits: RequestLimits {
            per_minute: arguments.digitalocean_requests_per_minute,
            per_hour: arguments.digitalocean_requests_per_hour,
        },
        instance: identity.clone(),
    };
    let controller = Controller::new(doors, &settings, metrics.clone(), redaction);
    metrics.collect_from(controller.context());
    serve_admin(&arguments, &controller, &metrics, &clock).await?;
    let candidate = arguments.leader_elect.then(|| {
        let (namespace, name) = (&arguments.operator_namespace, &arguments.lease_name);
        Candidate::new(leases, namespace, name, identity, clock)
    });
    let outcome = operate(controller, candidate, metrics, stop).await;
    match outcome {
        Ended::Stopped => {
            info!("stopped");
            Ok(())
        }
        Ended::LeadershipLost => Err(Failure::Other("leadership was lost".into())),
    }
}

/// Runs `controller` while `candidate` leads (always, without one), until `stop` turns true or
/// leadership is lost. Everything ends with the future: when it is dropped, nothing goes on.
pub async fn operate(
    controller: Controller,
    candidate: Option<Candidate>,
    metrics: Arc<Metrics>,
    stop: watch::Receiver<bool>,
) -> Ended {
    let (tell, leadership) = watch::channel(Leadership::Following);
    let (end, ended) = watch::channel(false);
    let mut followers = JoinSet::new();
    followers.spawn(follow_leadership(leadership.clone(), metrics));
    let mut campaign = JoinSet::new();
    // Whoever decides on leadership keeps the channel open to the end.
    let _always_leading = if let Some(candidate) = candidate {
        campaign.spawn(candidate.run(tell, ended));
        None
    } else {
        tell.send_replace(Leadership::Leading);
        Some(tell)
    };
    let outcome = controller.run(leadership, stop).await;
    end.send_replace(true);
    if timeout(RELEASE_DEADLINE, campaign.join_next())
        .await
        .is_err()
    {
        warn!("the lease was not given up in time");
    }
    outcome
}

async fn doors(arguments: &RunArgs, clock: Clock) -> Result<Doors, Failure> {
    let base_url: BaseUrl = arguments
        .digitalocean_api_url
        .parse()
        .map_err(|error| Failure::Usage(format!("--digitalocean-api-url: {error}")))?;
    let service = digitalocean::production_service(&base_url).map_err(|error| {
        let why = with_causes(&*error);
        Failure::other("the client for DigitalOcean could not be made", why)
    })?;
    let mut config = Config::infer().await.map_err(|error| {
        Failure::other("no cluster: set KUBECONFIG, or run in a cluster", error)
    })?;
    // When to try again is decided by the operator: silent repetitions would undo its budgets.
    config.default_retry = false;
    // Without it, a watch whose peer has vanished is waited for for ever.
    config.read_timeout = Some(READ_TIMEOUT);
    let server = config.cluster_url.to_string();
    let kubernetes = Client::try_from(config).map_err(|error| {
        Failure::other("the client for the API server could not be made", error)
    })?;
    greet(&kubernetes)
        .await
        .map_err(|why| Failure::other(&format!("the API server {server} cannot be used"), why))?;
    Ok(Doors {
        clock,
        digitalocean: digitalocean::Client::new(service, base_url),
        verifier: Verifier::new(target::production_service()),
        kubernetes,
    })
}

/// Asks the API server who it is: whoever starts the operator with a wrong kubeconfig wants to be told, and
/// not to read it out of a log that goes on for ever.
///
/// # Errors
/// A sentence, when there is no answer, or we are not let in.
async fn greet(kubernetes: &Client) -> Result<(), String> {
    match timeout(GREETING_DEADLINE, kubernetes.apiserver_version()).await {
        Ok(Ok(version)) => {
            info!(version = version.git_version, "found the API server");
            Ok(())
        }
        Ok(Err(kube::Error::Api(status))) if status.code == 401 => {
            Err("it does not accept the credentials that it was shown (401)".to_string())
        }
        // Who may not ask for the version may still do all that is needed.
        Ok(Err(kube::Error::Api(_))) => Ok(()),
        Ok(Err(error)) => Err(with_causes(&error)),
        Err(_) => Err("it did not answer in time".to_string()),
    }
}

/// An error with all that caused it, on one line.
fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line = format!("{line}: {cause}");
        next = cause.source();
    }
    line
}

async fn serve_admin(
    arguments: &RunArgs,
    controller: &Controller,
    metrics: &Arc<Metrics>,
    clock: &Clock,
) -> Result<(), Failure> {
    let listener = admin::bind(arguments.admin_address)
        .await
        .map_err(|error| {
            Failure::other(
                &format!("--admin-address {}", arguments.admin_address),
                error,
            )
        })?;
    if let Ok(address) = listener.local_addr() {
        info!(%address, "serving /livez, /readyz and /metrics");
    }
    let admin = Admin {
        health: controller.health(),
        metrics: metrics.clone(),
        clock: clock.clone(),
    };
    tokio::spawn(async move {
        if let Err(error) = admin::serve(listener, admin).await {
            warn!(%error, "the admin server ended");
        }
    });
    Ok(())
}

async fn follow_leadership(mut leadership: watch::Receiver<Leadership>, metrics: Arc<Metrics>) {
    loop {
        metrics.set_leader(*leadership.borrow_and_update() == Leadership::Leading);
        if leadership.changed().await.is_err() {
            return;
        }
    }
}

/// Turns true at the first SIGTERM or SIGINT.
fn stop_on_signal() -> Result<watch::Receiver<bool>, Failure> {
    let failed = |error| Failure::other("signals cannot be awaited", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (tell, stop) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: stopping"),
            _ = interrupt.recv() => info!("SIGINT: stopping"),
        }
        tell.send_replace(true);
        // Until the end: a closed channel would look like an order.
        std::future::pending::<()>().await;
    });
    Ok(stop)
}

/// Unique to this process: the Pod's name, and the time at which it started.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "do-cluster-access".to_string());
    let started = Clock::system().now().as_nanosecond();
    format!("{host}_{started:x}_{}", std::process::id())
}
