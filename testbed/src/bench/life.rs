//! What one contender does in one world: W1, first issue of many accesses; W3, restart with all of them
//! Ready; W4, nothing to do; W5, all of them due at once, and W7 meanwhile.
//!
//! The accesses are there before the contender starts, so that their creation is not in the figures. Rates
//! count from the contender's first request about the Secret of an access until its last status is answered,
//! by the audit log; the null writer is measured by the same two marks.

mod idle;
mod log;
mod restart;
mod rotations;

use std::collections::BTreeSet;
use std::time::Duration;

use super::accesses::{ReadyCount, apply_all, name};
use super::contender::Contender;
use super::effort::Audited;
use super::error::Error;
use super::figure::{Figure, count};
use super::process::usage;
use super::progress::say;
use super::sample::Sample;
use super::seen::Seen;
use super::workload::Workload;
use super::world::World;
use crate::simulator::Entry;

/// What a contender has measured.
pub(super) struct Measured {
    pub(super) figures: Vec<Figure>,
    /// What the contender has written for one access, where that is what the operator writes.
    pub(super) sample: Option<Sample>,
}

/// A contender, and how many accesses it has.
pub(super) struct Life<'a> {
    pub(super) contender: &'a Contender,
    pub(super) n: usize,
    pub(super) run: usize,
    pub(super) workloads: &'a BTreeSet<Workload>,
}

impl Life<'_> {
    /// How many clusters it needs.
    pub(super) fn clusters(n: usize) -> usize {
        n + rotations::PROBES
    }

    /// Lives it.
    pub(super) async fn measure(&self, world: &World) -> Result<Measured, Error> {
        self.contender.prepare(world).await?;
        apply_all(world, self.contender, 0..self.n).await?;
        let seen = Seen::start(&world.client);
        let mut figures = self.first_issues(world, &seen).await?;
        let sample = if self.contender.rotate_annotation().is_some() && self.contender.reports() {
            let secret = self.contender.secret_name(world, 0);
            Some(Sample::take(&world.client, &name(0), &secret).await?)
        } else {
            None
        };
        let wants = |workload| self.workloads.contains(&workload);
        if (wants(Workload::W3) || wants(Workload::W4)) && self.contender.reports() {
            figures.extend(self.restart(world, &seen).await?);
        }
        if wants(Workload::W5) && self.contender.rotates() {
            figures.extend(self.rotations(world, &seen).await?);
        }
        Ok(Measured { figures, sample })
    }

    async fn first_issues(&self, world: &World, seen: &Seen) -> Result<Vec<Figure>, Error> {
        // A watch of the accesses, too, is part of the load under which all are measured.
        let mut ready = ReadyCount::start(&world.client);
        let audit_log = world.control_plane.audit_log();
        let before = audit_log.position().await?;
        let reviews = world.target.reviews();
        let started = tokio::time::Instant::now();
        let mut process = self.contender.start(world, "first.log", &[])?;
        let done = async {
            let all = async {
                seen.reaches(self.n, patience(self.n)).await?;
                if self.contender.reports() {
                    ready.reaches(self.n, patience(self.n)).await?;
                }
                Ok::<(), Error>(())
            };
            Ok(all.await)
        };
        process.while_running(done).await??;
        let until_ready = started.elapsed();
        let all_told = |audited: &Audited| audited.of_kind("create events") >= self.n;
        let audited = Audited::when_quiet(world, before, all_told).await?;
        let used = usage(process.id().ok_or(Error::OperatorEnded)?)?;
        process.stop().await?;

        let history = world.simulator.take_history();
        let mints = mints(&history);
        self.tell(&audited)?;
        let each = |value: f64| value / count(self.n);
        let rate = count(self.n) / audited.span_of_work()?.as_secs_f64();
        let cpu = used.cpu.as_secs_f64() * 1000.0;
        let reviews = world.target.reviews() - reviews;
        Ok([
            ("accesses_per_second", rate),
            ("seconds_from_start_until_ready", until_ready.as_secs_f64()),
            (
                "api_requests_per_first_issue",
                each(count(audited.efforts())),
            ),
            (
                "events_per_first_issue",
                each(count(audited.of_kind("create events"))),
            ),
            ("mints_per_first_issue", each(count(mints))),
            ("digitalocean_other_requests", count(history.len() - mints)),
            ("reviews_per_first_issue", each(count(reviews))),
            ("cpu_milliseconds_per_first_issue", each(cpu)),
            ("peak_rss_mib", used.peak_rss_mib),
        ]
        .map(|(metric, value)| self.figure(Workload::W1, metric, value))
        .into())
    }

    fn figure(&self, workload: Workload, metric: &str, value: f64) -> Figure {
        Figure {
            workload: workload.to_string(),
            n: self.n,
            leg: self.contender.leg.clone(),
            run: self.run,
            metric: format!("{metric}{}", self.contender.suffix()),
            value,
        }
    }

    fn tell(&self, audited: &Audited) -> Result<(), Error> {
        let kinds: Vec<String> = audited
            .by_kind()
            .into_iter()
            .filter(|(_, number)| *number * 10 > self.n)
            .map(|(kind, number)| format!("{kind} {:.2}", count(number) / count(self.n)))
            .collect();
        let refused = audited.refused();
        say(&format!(
            "    requests per access: {} ({refused} refused)",
            kinds.join(", ")
        ))
    }
}

/// How many requests minted.
fn mints(history: &[Entry]) -> usize {
    history
        .iter()
        .filter(|entry| entry.minted.is_some())
        .count()
}

/// Longer than work for `n` accesses can take without something being wrong.
pub(super) fn patience(n: usize) -> Duration {
    Duration::from_secs(60) + Duration::from_millis(100) * u32::try_from(n).unwrap_or(u32::MAX)
}
