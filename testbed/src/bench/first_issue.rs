//! The legs of the operator itself: W1, first issue of many accesses, and W3, restart with all of them Ready.
//!
//! The accesses are there before the operator starts, so that their creation is not in the figures. The rate
//! counts from the operator's first request about the Secret of an access until its last status is answered,
//! by the audit log; a null writer is measured by the same two marks.

use std::path::Path;
use std::time::Duration;

use super::accesses::{ReadyCount, Verification, apply_all, name, secret_name};
use super::effort::Audited;
use super::error::Error;
use super::figure::{Figure, Leg, count};
use super::process::usage;
use super::progress::say;
use super::restart::{FLAGS, Start};
use super::sample::Sample;
use super::world::{World, now};

/// What an operator leg has measured.
pub(super) struct Measured {
    pub(super) figures: Vec<Figure>,
    /// What the operator has written for one access.
    pub(super) sample: Sample,
}

/// One leg.
pub(super) struct FirstIssue<'a> {
    pub(super) program: &'a Path,
    pub(super) n: usize,
    pub(super) run: usize,
    pub(super) verification: Verification,
}

impl FirstIssue<'_> {
    /// Applies the accesses, lets the operator issue all of them, and restarts it.
    pub(super) async fn measure(&self, world: &World) -> Result<Measured, Error> {
        apply_all(&world.client, 0..self.n, self.verification).await?;
        let mut ready = ReadyCount::start(&world.client);
        let mut figures = self.issue_all(world, &mut ready).await?;
        let sample = Sample::take(&world.client, &name(0), &secret_name(0)).await?;
        figures.extend(self.restart(world).await?);
        Ok(Measured { figures, sample })
    }

    async fn issue_all(&self, world: &World, ready: &mut ReadyCount) -> Result<Vec<Figure>, Error> {
        let audit_log = world.control_plane.audit_log();
        let before = audit_log.position().await?;
        let started = tokio::time::Instant::now();
        let mut operator = world.operator(self.program, "operator.log", &[])?;
        let done = async { Ok(ready.reaches(self.n, self.patience()).await) };
        operator.while_running(done).await??;
        let until_ready = started.elapsed();
        let all_told = |audited: &Audited| audited.of_kind("create events") >= self.n;
        let audited = Audited::when_quiet(world, before, all_told).await?;
        let used = usage(operator.id().ok_or(Error::OperatorEnded)?)?;
        operator.stop().await?;

        let history = world.simulator.take_history();
        let minting = |entry: &&crate::simulator::Entry| entry.minted.is_some();
        let mints = history.iter().filter(minting).count();
        self.tell(&audited)?;
        let per_access = |value: f64| value / count(self.n);
        let rate = count(self.n) / audited.span_of_work()?.as_secs_f64();
        let cpu_milliseconds = used.cpu.as_secs_f64() * 1000.0;
        let reviews = count(world.target.reviews());
        Ok([
            ("accesses_per_second", rate),
            ("seconds_from_start_until_ready", until_ready.as_secs_f64()),
            (
                "api_requests_per_first_issue",
                per_access(count(audited.efforts())),
            ),
            (
                "events_per_first_issue",
                per_access(count(audited.of_kind("create events"))),
            ),
            ("mints_per_first_issue", per_access(count(mints))),
            ("digitalocean_list_requests", count(history.len() - mints)),
            ("reviews_per_first_issue", per_access(reviews)),
            (
                "cpu_milliseconds_per_first_issue",
                per_access(cpu_milliseconds),
            ),
            ("peak_rss_mib", used.peak_rss_mib),
        ]
        .map(|(metric, value)| self.figure("W1", metric, value))
        .into())
    }

    async fn restart(&self, world: &World) -> Result<Vec<Figure>, Error> {
        let log = "operator-restart.log";
        let before = world.control_plane.audit_log().position().await?;
        let began = now();
        let mut operator = world.operator(self.program, log, &FLAGS)?;
        let path = world.log(log);
        let scheduled = async { Ok(Start::follow(&path, self.n, self.patience()).await) };
        let start = operator.while_running(scheduled).await??;
        let audited = Audited::when_quiet(world, before, |_| false).await?;
        let used = usage(operator.id().ok_or(Error::OperatorEnded)?)?;
        operator.stop().await?;

        let mints = world.simulator.take_history();
        let mints = mints.iter().filter(|entry| entry.minted.is_some()).count();
        let since_start = |instant: Option<jiff::Timestamp>| {
            let passed = instant.map(|instant| instant.duration_since(began).as_secs_f64());
            passed.ok_or(Error::NotLogged)
        };
        Ok([
            ("seconds_until_synced", since_start(start.synced)?),
            ("seconds_until_scheduled", since_start(start.scheduled)?),
            ("mints", count(mints)),
            ("api_requests", count(audited.efforts())),
            ("cpu_milliseconds", used.cpu.as_secs_f64() * 1000.0),
            ("peak_rss_mib", used.peak_rss_mib),
        ]
        .map(|(metric, value)| self.figure("W3", metric, value))
        .into())
    }

    fn figure(&self, workload: &'static str, metric: &str, value: f64) -> Figure {
        Figure {
            workload,
            n: self.n,
            leg: Leg::Operator,
            run: self.run,
            metric: format!("{metric}{}", self.verification.suffix()),
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

    /// Longer than it can take without something being wrong.
    fn patience(&self) -> Duration {
        patience(self.n)
    }
}

/// Longer than work for `n` accesses can take without something being wrong.
pub(super) fn patience(n: usize) -> Duration {
    Duration::from_secs(60) + Duration::from_millis(100) * u32::try_from(n).unwrap_or(u32::MAX)
}
