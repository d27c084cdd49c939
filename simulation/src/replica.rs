//! A replica of the operator: what a kubelet does with a pod.

use std::sync::Arc;
use std::time::Duration;

use do_cluster_access::controller::lease::{Candidate, Timing};
use do_cluster_access::controller::{Controller, Ended, Settings};
use do_cluster_access::digitalocean::RequestLimits;
use do_cluster_access::metrics::{Format, Metrics};
use do_cluster_access::process::operate;
use do_cluster_access::redaction::Redaction;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{Instrument, info_span};

use crate::doors::{Process, doors};
use crate::journal::{End, Event, Journal};
use crate::plan::Plan;
use crate::time::SkewedClock;
use crate::weather::Weather;
use crate::world::{OPERATOR_NAMESPACE, World};

/// How a replica is run.
#[derive(Clone)]
pub struct Deployment {
    /// The world.
    pub world: World,
    /// The weather.
    pub weather: Weather,
    /// Where things are noted.
    pub journal: Journal,
    /// The election; without one the replica leads alone.
    pub election: Option<Timing>,
    /// Seconds from the end of a process to the next, each time the next of them.
    pub restart_delays: Vec<u64>,
}

impl Deployment {
    /// In a new world, with the weather that `rng` draws.
    #[must_use]
    pub fn of(plan: &Plan, rng: fastrand::Rng) -> Self {
        let world = World::new(plan.seed);
        Self {
            weather: Weather::new(rng),
            journal: Journal::new(&world.time),
            world,
            election: plan.election,
            restart_delays: plan.restart_delays.clone(),
        }
    }
}

/// A replica that is started again whenever it ends.
pub struct Replica {
    /// Its clock.
    pub clock: SkewedClock,
    kill: Arc<Notify>,
    stop: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Replica {
    /// Starts it.
    #[must_use]
    pub fn start(index: usize, deployment: &Deployment) -> Self {
        let clock = SkewedClock::new(&deployment.world.time);
        let kill = Arc::new(Notify::new());
        let (stop, stopped) = watch::channel(0);
        let keeper = Keeper {
            index,
            deployment: deployment.clone(),
            clock: clock.clone(),
            kill: kill.clone(),
            stopped,
        };
        let task = tokio::spawn(keeper.run());
        Self {
            clock,
            kill,
            stop,
            task,
        }
    }

    /// Kills the process. It is started again.
    pub fn kill(&self) {
        self.kill.notify_one();
    }

    /// Has the process stop in good order. It is started again.
    pub fn restart(&self) {
        self.stop.send_modify(|stops| *stops += 1);
    }

    /// Ends it for good.
    pub async fn end(self) {
        self.task.abort();
        // That it was cancelled is no news.
        drop(self.task.await);
    }
}

struct Keeper {
    index: usize,
    deployment: Deployment,
    clock: SkewedClock,
    kill: Arc<Notify>,
    stopped: watch::Receiver<u64>,
}

impl Keeper {
    async fn run(mut self) {
        for incarnation in 0_usize.. {
            self.stopped.mark_unchanged();
            let journal = self.deployment.journal.clone();
            journal.note(Event::Started {
                replica: self.index,
                alone: self.deployment.election.is_none(),
            });
            let span = info_span!("replica", index = self.index, incarnation);
            let kill = self.kill.clone();
            let how = tokio::select! {
                biased;
                () = kill.notified() => End::Crash,
                ended = self.process(incarnation).instrument(span) => match ended {
                    Ended::Stopped => End::Stop,
                    Ended::LeadershipLost => End::LeadershipLost,
                },
            };
            journal.note(Event::Ended {
                replica: self.index,
                how,
            });
            let delays = &self.deployment.restart_delays;
            let delay = delays.get(incarnation % delays.len().max(1));
            sleep(Duration::from_secs(delay.copied().unwrap_or(1))).await;
        }
    }

    /// One process, from its start to its end.
    async fn process(&self, incarnation: usize) -> Ended {
        let deployment = &self.deployment;
        let process = Process {
            replica: self.index,
            weather: deployment.weather.clone(),
            journal: deployment.journal.clone(),
            kill: self.kill.clone(),
        };
        let doors = doors(&deployment.world, &process, &self.clock);
        let instance = format!("operator-{}_{incarnation}", self.index);
        let candidate = deployment.election.map(|timing| {
            Candidate::new(
                doors.kubernetes.clone(),
                OPERATOR_NAMESPACE,
                "do-cluster-access",
                instance.clone(),
                doors.clock.clone(),
            )
            .with_timing(timing)
        });
        let settings = Settings {
            watch_namespaces: Vec::new(),
            operator_namespace: OPERATOR_NAMESPACE.to_owned(),
            workers: 16,
            limits: RequestLimits {
                per_minute: 250,
                per_hour: 5000,
            },
            instance,
        };
        let metrics = Arc::new(Metrics::default());
        let controller = Controller::new(doors, &settings, metrics.clone(), Redaction::default());
        metrics.collect_from(controller.context());
        let _scraped = Scraped(metrics.clone());
        let mut stops = self.stopped.clone();
        let (stop, stopped) = watch::channel(false);
        let obey = async {
            if stops.changed().await.is_ok() {
                stop.send_replace(true);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = obey => Ended::Stopped,
            ended = operate(controller, candidate, metrics, stopped) => ended,
        }
    }
}

/// Writes the metrics into the log when the process ends, where anybody reads it: they must hold no credential
/// either.
struct Scraped(Arc<Metrics>);

impl Drop for Scraped {
    fn drop(&mut self) {
        if tracing::enabled!(target: "metrics", tracing::Level::TRACE) {
            tracing::trace!(target: "metrics", text = ?self.0.encode(Format::OpenMetrics));
        }
    }
}
