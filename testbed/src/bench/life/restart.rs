//! W3: the process starts again, with everything Ready.

use super::super::effort::Audited;
use super::super::error::Error;
use super::super::figure::{Figure, count};
use super::super::process::usage;
use super::super::seen::Seen;
use super::super::workload::Workload;
use super::super::world::{World, now};
use super::log::{FLAGS, Start};
use super::{Life, mints, patience};

impl Life<'_> {
    /// Measures from the start until everything is scheduled, or, where there is no memory, issued anew;
    /// then how much it takes to have nothing to do.
    pub(super) async fn restart(&self, world: &World, seen: &Seen) -> Result<Vec<Figure>, Error> {
        const LOG: &str = "restart.log";
        let before = world.control_plane.audit_log().position().await?;
        seen.mark();
        let began = now();
        let flags: &[&str] = if self.contender.forgets() {
            &[]
        } else {
            &FLAGS
        };
        let mut process = self.contender.start(world, LOG, flags)?;
        let path = world.log(LOG);
        let done = async {
            if self.contender.forgets() {
                let all = seen.reaches(self.n, patience(self.n)).await;
                return Ok(all.map(|()| (None, now())));
            }
            let start = Start::follow(&path, self.n, patience(self.n)).await;
            Ok(start.and_then(|start| {
                let scheduled = start.scheduled.ok_or(Error::NotLogged)?;
                Ok((start.synced, scheduled))
            }))
        };
        let (synced, scheduled) = process.while_running(done).await??;
        let audited = Audited::when_quiet(world, before, |_| false).await?;
        let used = usage(process.id().ok_or(Error::OperatorEnded)?)?;
        let seconds = |at: jiff::Timestamp| at.duration_since(began).as_secs_f64();
        let mut metrics = vec![
            ("seconds_until_scheduled", seconds(scheduled)),
            ("mints", count(mints(&world.simulator.take_history()))),
            ("api_requests", count(audited.efforts())),
            ("cpu_milliseconds", used.cpu.as_secs_f64() * 1000.0),
            ("peak_rss_mib", used.peak_rss_mib),
        ];
        metrics.extend(synced.map(|at| ("seconds_until_synced", seconds(at))));
        let mut figures: Vec<Figure> = metrics
            .into_iter()
            .map(|(metric, value)| self.figure(Workload::W3, metric, value))
            .collect();
        if self.workloads.contains(&Workload::W4) {
            figures.extend(self.idle(world, &mut process).await?);
        }
        process.stop().await?;
        Ok(figures)
    }
}
