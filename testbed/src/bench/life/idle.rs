//! W4: everything is Ready, and nothing is due.

use std::time::Duration;

use super::super::effort::Audited;
use super::super::error::Error;
use super::super::figure::{Figure, count};
use super::super::process::usage;
use super::super::workload::Workload;
use super::super::world::World;
use super::Life;
use crate::demo::operator::Operator;

/// How long is looked.
const IDLE: Duration = Duration::from_secs(20);

impl Life<'_> {
    /// Looks on for a while. Watches and the lease are not counted.
    pub(super) async fn idle(
        &self,
        world: &World,
        process: &mut Operator,
    ) -> Result<Vec<Figure>, Error> {
        let id = process.id().ok_or(Error::OperatorEnded)?;
        let before = world.control_plane.audit_log().position().await?;
        let used = usage(id)?;
        process.run_for(IDLE).await?;
        let audited = Audited::since(world, before).await?;
        let cpu = usage(id)?.cpu.saturating_sub(used.cpu);
        Ok([
            ("api_requests", count(audited.efforts())),
            (
                "digitalocean_requests",
                count(world.simulator.take_history().len()),
            ),
            (
                "cpu_milliseconds_per_second",
                cpu.as_secs_f64() * 1000.0 / IDLE.as_secs_f64(),
            ),
        ]
        .map(|(metric, value)| self.figure(Workload::W4, metric, value))
        .into())
    }
}
