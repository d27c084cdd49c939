//! W7: how long it takes from applying an access until its Secret is seen by a watch that is not the
//! contender's, one access at a time while all else is idle; and the memory of a contender without any.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::accesses::{ReadyCount, apply};
use super::contender::Contender;
use super::error::Error;
use super::figure::Figure;
use super::process::usage;
use super::seen::Seen;
use super::statistics::percentile;
use super::workload::Workload;
use super::world::World;

/// Accesses that are measured.
const ACCESSES: usize = 50;
/// How many clusters that takes, with one access before that is not measured: it has the API token read and
/// the clusters listed.
pub(super) const CLUSTERS: usize = ACCESSES + 1;
/// From one access being Ready to the next being applied, so that the event is out of the way.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a contender may take until it watches, and leads.
const START: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures one contender.
pub(super) async fn measure(
    world: &World,
    contender: &Contender,
    run: usize,
) -> Result<Vec<Figure>, Error> {
    let figure = |workload: Workload, n, metric: String, value| Figure {
        workload: workload.to_string(),
        n,
        leg: contender.leg.clone(),
        run,
        metric,
        value,
    };
    let suffix = contender.suffix();
    contender.prepare(world).await?;
    let mut process = contender.start(world, "latency.log", &[])?;
    process.run_for(START).await?;
    let used = usage(process.id().ok_or(Error::OperatorEnded)?)?;
    let memory = format!("peak_rss_mib{suffix}");
    let mut figures = vec![figure(Workload::W4, 0, memory, used.peak_rss_mib)];
    let seen = Seen::start(&world.client);
    let mut ready = ReadyCount::start(&world.client);
    let objects = contender.api(world, &world.client).await?;
    let work = async {
        let mut latencies = Vec::new();
        for number in 0..CLUSTERS {
            let began = Instant::now();
            apply(world, contender, &objects, number).await?;
            let there = seen
                .one(&contender.secret_name(world, number), PATIENCE)
                .await?;
            latencies.push(there.duration_since(began).as_secs_f64() * 1000.0);
            if contender.reports() {
                ready.reaches(number + 1, PATIENCE).await?;
            }
            sleep(PAUSE).await;
        }
        latencies.remove(0);
        Ok::<_, Error>(latencies)
    };
    let latencies = process.while_running(async { Ok(work.await) }).await??;
    for percent in [50, 99] {
        let metric = format!("apply_to_secret_ms_p{percent}{suffix}");
        let value = percentile(&latencies, percent).unwrap_or(f64::NAN);
        figures.push(figure(Workload::W7, ACCESSES, metric, value));
    }
    process.stop().await?;
    Ok(figures)
}
