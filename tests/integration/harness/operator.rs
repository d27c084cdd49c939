//! The operator within this process, with a clock that can be set forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use do_cluster_access::clock::Clock;
use do_cluster_access::controller::lease::Leadership;
use do_cluster_access::controller::{Controller, Doors, Ended, Settings};
use do_cluster_access::digitalocean::{self, RequestLimits};
use do_cluster_access::metrics::{Format, Metrics};
use do_cluster_access::redaction::Redaction;
use do_cluster_access::target::{self, Verifier};
use do_cluster_access_testbed::control_plane::client_of;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::stage::Stage;
use super::waiting::eventually;

/// An operator that serves the namespace of one stage and leads from the start. It acts as the stage's
/// ServiceAccount. Dropping it is a crash: whatever it does is cut short.
pub(crate) struct Operator {
    ahead_seconds: Arc<AtomicI64>,
    metrics: Arc<Metrics>,
    /// Closed, it would look like an order to stop.
    _stop: watch::Sender<bool>,
    leadership: watch::Sender<Leadership>,
    running: JoinHandle<Ended>,
}

impl Operator {
    /// Starts it and waits until its caches are filled.
    pub(crate) async fn start(stage: &Stage) -> Self {
        Self::start_with_clock(stage, 0).await
    }

    /// The same with a clock that is so many seconds ahead of everybody else's.
    pub(crate) async fn start_with_clock(stage: &Stage, ahead_seconds: i64) -> Self {
        Self::start_as(stage, ahead_seconds, &Self::settings(stage)).await
    }

    /// What it is told to start with: it serves the stage's namespace alone.
    pub(crate) fn settings(stage: &Stage) -> Settings {
        Settings {
            watch_namespaces: vec![stage.namespace.clone()],
            operator_namespace: stage.namespace.clone(),
            workers: 16,
            limits: RequestLimits::default(),
            instance: "test".to_owned(),
        }
    }

    /// The same for one that serves every namespace.
    pub(crate) fn everywhere(stage: &Stage) -> Settings {
        Settings {
            watch_namespaces: Vec::new(),
            ..Self::settings(stage)
        }
    }

    /// One with that clock and those settings. The stage must have been given the rights for them.
    pub(crate) async fn start_as(stage: &Stage, ahead_seconds: i64, settings: &Settings) -> Self {
        let ahead_seconds = Arc::new(AtomicI64::new(ahead_seconds));
        let base_url = stage.digitalocean_url.parse().unwrap();
        let doors = Doors {
            clock: clock(ahead_seconds.clone()),
            digitalocean: digitalocean::Client::new(
                digitalocean::production_service(&base_url).unwrap(),
                base_url,
            ),
            verifier: Verifier::new(target::production_service()),
            kubernetes: client_of(&stage.operator_kubeconfig).await.unwrap(),
        };
        let metrics = Arc::new(Metrics::default());
        let controller = Controller::new(doors, settings, metrics.clone(), Redaction::default());
        metrics.collect_from(controller.context());
        metrics.set_leader(true);
        let health = controller.health();
        let (leadership, follow) = watch::channel(Leadership::Leading);
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(controller.run(follow, stopped));
        eventually("the operator's watches are synced", async || {
            health.is_synced()
        })
        .await;
        Self {
            ahead_seconds,
            metrics,
            _stop: stop,
            leadership,
            running,
        }
    }

    /// The sample of that series, written as in the text format: `name{label="value"}`.
    pub(crate) fn metric(&self, series: &str) -> Option<String> {
        let text = self.metrics.encode(Format::Prometheus).unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
            .map(str::to_owned)
    }

    /// Sets its clock forward. It notices within half a minute; a change to an access makes it look at once
    /// ([`Access::touch`](super::Access::touch)).
    pub(crate) fn advance(&self, time: Duration) {
        self.ahead_seconds
            .fetch_add(time.as_secs().cast_signed(), Ordering::Relaxed);
    }

    /// Takes leadership from it, and waits for its end.
    pub(crate) async fn lose_leadership(mut self) -> Ended {
        self.leadership.send_replace(Leadership::Lost);
        (&mut self.running).await.unwrap()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn clock(ahead_seconds: Arc<AtomicI64>) -> Clock {
    let machine = Clock::system();
    Clock::new(move || {
        machine.now() + jiff::SignedDuration::from_secs(ahead_seconds.load(Ordering::Relaxed))
    })
}
