//! W7: how long it takes from applying an access until its Secret is seen by a watch that is not the
//! operator's, one access at a time while all else is idle; and the memory of an operator without any.

use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::accesses::{ReadyCount, Verification, api, apply, secret_name};
use super::error::Error;
use super::figure::{Figure, Leg};
use super::process::usage;
use super::statistics::percentile;
use super::world::{NAMESPACE, World};
use crate::demo::operator;

/// Accesses that are measured with each kind of verification.
const ACCESSES: usize = 50;
/// How many clusters that takes, with one access before each fifty that is not measured: it has the API
/// token read and the clusters listed.
pub(super) const CLUSTERS: usize = 2 * (ACCESSES + 1);
/// From one access being Ready to the next being applied, so that the event is out of the way.
const PAUSE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures with and without verification.
pub(super) async fn measure(
    world: &World,
    program: &Path,
    run: usize,
) -> Result<Vec<Figure>, Error> {
    let figure = |workload, n, metric: String, value| Figure {
        workload,
        n,
        leg: Leg::Operator,
        run,
        metric,
        value,
    };
    let mut operator = world.operator(program, "operator.log", &[])?;
    let leads = operator::leads(&world.client);
    operator.while_running(leads).await?;
    sleep(PAUSE).await;
    let used = usage(operator.id().ok_or(Error::OperatorEnded)?)?;
    let memory = "peak_rss_mib".to_owned();
    let mut figures = vec![figure("W4", 0, memory, used.peak_rss_mib)];
    let mut secrets = SecretsSeen::start(&world.client);
    let mut ready = ReadyCount::start(&world.client);
    for (first, verification) in [(0, Verification::On), (ACCESSES + 1, Verification::Off)] {
        let latencies = async {
            let mut latencies = Vec::new();
            for number in first..=first + ACCESSES {
                latencies.push(one(world, number, verification, &mut secrets).await?);
                ready.reaches(number + 1, PATIENCE).await?;
                sleep(PAUSE).await;
            }
            Ok::<_, Error>(latencies)
        };
        let latencies = operator
            .while_running(async { Ok(latencies.await) })
            .await??;
        let latencies: Vec<f64> = latencies.into_iter().skip(1).collect();
        for percent in [50, 99] {
            let metric = format!("apply_to_secret_ms_p{percent}{}", verification.suffix());
            let value = percentile(&latencies, percent).unwrap_or(f64::NAN);
            figures.push(figure("W7", ACCESSES, metric, value));
        }
    }
    operator.stop().await?;
    Ok(figures)
}

/// Milliseconds from sending the access to seeing its Secret.
async fn one(
    world: &World,
    number: usize,
    verification: Verification,
    secrets: &mut SecretsSeen,
) -> Result<f64, Error> {
    let began = Instant::now();
    apply(&api(&world.client), number, verification).await?;
    let seen = secrets.wait_for(&secret_name(number)).await?;
    Ok(seen.duration_since(began).as_secs_f64() * 1000.0)
}

/// The Secrets as a watch of its own sees them.
struct SecretsSeen {
    seen: mpsc::UnboundedReceiver<(String, Instant)>,
    watching: JoinHandle<()>,
}

impl SecretsSeen {
    fn start(client: &Client) -> Self {
        let secrets: Api<PartialObjectMeta<Secret>> = Api::namespaced(client.clone(), NAMESPACE);
        let events = watcher(secrets, watcher::Config::default()).default_backoff();
        let (tell, seen) = mpsc::unbounded_channel();
        let watching = tokio::spawn(async move {
            let secrets = events.applied_objects();
            pin_mut!(secrets);
            while let Some(secret) = secrets.next().await {
                let now = Instant::now();
                match secret {
                    Ok(secret) => {
                        // The receiver goes when the measurement ends.
                        let _ = tell.send((secret.metadata.name.unwrap_or_default(), now));
                    }
                    Err(error) => tracing::warn!(%error, "the watch on Secrets starts again"),
                }
            }
        });
        Self { seen, watching }
    }

    async fn wait_for(&mut self, name: &str) -> Result<Instant, Error> {
        let found = timeout(PATIENCE, async {
            while let Some((seen, at)) = self.seen.recv().await {
                if seen == name {
                    return Ok(at);
                }
            }
            Err(Error::WatchEnded)
        });
        found.await.unwrap_or(Err(Error::TooLong {
            what: "a Secret did not come",
            within: PATIENCE,
            done: 0,
            wanted: 1,
        }))
    }
}

impl Drop for SecretsSeen {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
