//! W5: every credential is due in the same second; and W7 while they are replaced: how long a new access
//! takes then.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::super::accesses::{apply, rotate_all};
use super::super::effort::Audited;
use super::super::error::Error;
use super::super::figure::{Figure, count};
use super::super::process::usage;
use super::super::seen::Seen;
use super::super::statistics::percentile;
use super::super::workload::Workload;
use super::super::world::World;
use super::{Life, mints, patience};

/// New accesses that come meanwhile, at the most.
pub(super) const PROBES: usize = 200;
/// From one to the next.
const BETWEEN: Duration = Duration::from_millis(100);

impl Life<'_> {
    /// All are made due while the process does not run, and are there to be replaced when it starts.
    pub(super) async fn rotations(&self, world: &World, seen: &Seen) -> Result<Vec<Figure>, Error> {
        rotate_all(world, self.contender, 0..self.n).await?;
        let before = world.control_plane.audit_log().position().await?;
        drop(world.simulator.take_history());
        seen.mark();
        let mut process = self.contender.start(world, "rotations.log", &[])?;
        let work = async {
            let probes = async {
                seen.reaches(1, patience(self.n)).await?;
                self.probe(world, seen).await
            };
            let all = async {
                for number in 0..self.n {
                    let name = self.contender.secret_name(world, number);
                    seen.one(&name, patience(self.n)).await?;
                }
                Ok(())
            };
            Ok(futures::try_join!(probes, all).map(|(latencies, ())| latencies))
        };
        let latencies = process.while_running(work).await??;
        let issued = self.n + latencies.len();
        let all_told = |audited: &Audited| audited.of_kind("create events") >= issued;
        let audited = Audited::when_quiet(world, before, all_told).await?;
        let used = usage(process.id().ok_or(Error::OperatorEnded)?)?;
        process.stop().await?;

        let each = |value: f64| value / count(issued);
        let rate = count(issued) / audited.span_of_work()?.as_secs_f64();
        let mints = mints(&world.simulator.take_history());
        let mut figures: Vec<Figure> = [
            ("rotations_per_second", rate),
            ("api_requests_per_rotation", each(count(audited.efforts()))),
            ("mints_per_rotation", each(count(mints))),
            (
                "cpu_milliseconds_per_rotation",
                each(used.cpu.as_secs_f64() * 1000.0),
            ),
            ("peak_rss_mib", used.peak_rss_mib),
        ]
        .map(|(metric, value)| self.figure(Workload::W5, metric, value))
        .into();
        if self.workloads.contains(&Workload::W7) {
            for percent in [50, 99] {
                let metric = format!("apply_to_secret_ms_p{percent}_during_rotations");
                let value = percentile(&latencies, percent).unwrap_or(f64::NAN);
                figures.push(self.figure(Workload::W7, &metric, value));
            }
        }
        Ok(figures)
    }

    /// Applies one access after another until all credentials are replaced; then waits for those that are
    /// still to come. Milliseconds each took.
    async fn probe(&self, world: &World, seen: &Seen) -> Result<Vec<f64>, Error> {
        let objects = self.contender.api(world, &world.client).await?;
        let mut applied = Vec::new();
        let began = Instant::now();
        for number in 0..PROBES {
            sleep_until(began + BETWEEN * u32::try_from(number).unwrap_or(u32::MAX)).await;
            if number > 0 && self.all_replaced(world, seen) {
                break;
            }
            applied.push((self.n + number, Instant::now()));
            apply(world, self.contender, &objects, self.n + number).await?;
        }
        let mut latencies = Vec::new();
        for (number, at) in applied {
            let name = self.contender.secret_name(world, number);
            let there = seen.one(&name, patience(self.n)).await?;
            latencies.push(there.duration_since(at).as_secs_f64() * 1000.0);
        }
        Ok(latencies)
    }

    fn all_replaced(&self, world: &World, seen: &Seen) -> bool {
        let is_replaced = |number| {
            seen.changed_at(&self.contender.secret_name(world, number))
                .is_some()
        };
        (0..self.n).all(is_replaced)
    }
}
