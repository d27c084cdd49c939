//! Runs seeds, and tells what they came to.

#![allow(clippy::disallowed_methods, reason = "around the runs time is real")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use do_cluster_access_simulation::checks::{Violation, check};
use do_cluster_access_simulation::chronicle::Chronicle;
use do_cluster_access_simulation::draw::{Shape, draw};
use do_cluster_access_simulation::idle::{self, Idle};
use do_cluster_access_simulation::outage::Outage;
use do_cluster_access_simulation::panics;
use do_cluster_access_simulation::run::{Record, run, run_and_listen};
use do_cluster_access_simulation::rush::{Rush, spread};
use do_cluster_access_simulation::stage::Findings;
use do_cluster_access_simulation::tally::Tally;

/// Half of a run is allocation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The whole operator in virtual time, under faults, with every invariant checked.
#[derive(Parser)]
#[command(name = "simulate")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run many seeds.
    Run(Many),
    /// Run one seed again, and show what happened.
    Replay(One),
    /// 500 accesses, and one side out for ten minutes in the middle of their renewals.
    Outage,
    /// 1,000 accesses that have what they asked for, and an hour in which nothing is due.
    Idle {
        /// Where figures go, a line of JSON each, as `make bench` keeps them.
        #[arg(long)]
        figures: Option<PathBuf>,
    },
    /// 10,000 accesses of one API token that become due at once, and 2,000 of the same age.
    Rush {
        /// Requests an hour that somebody else makes with the same token, in bunches: beyond what is left of
        /// a minute they lead to refusals.
        #[arg(long, default_value_t = 0)]
        others: u32,
        /// Where figures of the second go, a line of JSON each, as `make bench` keeps them.
        #[arg(long)]
        figures: Option<PathBuf>,
    },
}

#[derive(Args)]
struct Many {
    /// The first seed; that of each week is the same counted from here.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Seeds of some dozen renewals each.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// Seeds of a whole week with two replicas each.
    #[arg(long, default_value_t = 30)]
    weeks: u64,
    /// Begins no run after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// Threads; as many as there are processors unless given.
    #[arg(long)]
    threads: Option<usize>,
    /// Of so many runs one has its whole log searched for credentials.
    #[arg(long, default_value_t = 100)]
    listen_every: u64,
}

#[derive(Args)]
struct One {
    /// The seed.
    seed: u64,
    /// It is that of a week.
    #[arg(long)]
    week: bool,
    /// What to log while it runs, as RUST_LOG spells it.
    #[arg(
        long,
        default_value = "do_cluster_access=info,do_cluster_access_simulation=info,journal=trace"
    )]
    log: String,
    /// Show every write, request and event, too.
    #[arg(long)]
    history: bool,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(many) => run_many(&many),
        Command::Replay(one) => replay(&one),
        Command::Outage => outages(),
        Command::Idle { figures } => idle(figures.as_deref()),
        Command::Rush { others, figures } => rushes(others, figures.as_deref()),
    }
}

/// Plays every outage; says what each came to.
fn outages() -> ExitCode {
    let mut sound = true;
    for outage in Outage::all() {
        sound &= tell(&outage.to_string(), &outage.play());
    }
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Plays the rushes; says what each came to.
fn rushes(others: u32, figures: Option<&Path>) -> ExitCode {
    let mut sound = tell("2,000 accesses of the same age", &spread());
    let scene = format!("10,000 accesses due at once, {others} requests an hour by others");
    let rush = Rush { others }.play();
    sound &= tell(&scene, &rush);
    sound &= write(figures, &lines("W6", 10_000, &rush));
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Plays an hour in which nothing is due, with and without verification; says what each came to.
fn idle(figures: Option<&Path>) -> ExitCode {
    let mut sound = true;
    let mut measured = String::new();
    for hour in Idle::ALL {
        let findings = hour.play();
        let verification = if hour.verification { "on" } else { "off" };
        let scene = format!(
            "{} accesses and an idle hour, verification {verification}",
            idle::ACCESSES
        );
        sound &= tell(&scene, &findings);
        measured += &lines("W4", idle::ACCESSES, &findings);
    }
    sound &= write(figures, &measured);
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Writes figures where they are wanted; says whether it could.
fn write(file: Option<&Path>, figures: &str) -> bool {
    let Some(file) = file else { return true };
    let written = std::fs::write(file, figures);
    if let Err(error) = &written {
        anstream::eprintln!("{}: {error}", file.display());
    }
    written.is_ok()
}

/// What was measured in a scene, a line of JSON for each figure.
fn lines(workload: &str, n: usize, findings: &Findings) -> String {
    let line = |(metric, value): &(&str, f64)| {
        let line = serde_json::json!({
            "workload": workload, "n": n, "leg": "operator", "run": 1, "metric": metric, "value": value,
        });
        format!("{line}\n")
    };
    findings.measured.iter().map(line).collect()
}

/// Says what a scene came to, and whether all was as it must be.
fn tell(scene: &str, findings: &Findings) -> bool {
    anstream::println!("{scene}");
    for figure in &findings.figures {
        anstream::println!("  {figure}");
    }
    for broken in findings.broken.iter().take(SHOWN) {
        anstream::println!("  BROKEN: {broken}");
    }
    if findings.broken.len() > SHOWN {
        anstream::println!("  BROKEN: {} in all", findings.broken.len());
    }
    findings.broken.is_empty()
}

fn shape(week: bool) -> Shape {
    if week { Shape::Week } else { Shape::Storm }
}

fn violations(record: &Record) -> Vec<Violation> {
    check(&Chronicle::new(record))
}

fn replay(one: &One) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::new(&one.log);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .without_time()
        .with_ansi(false)
        .init();
    let plan = draw(one.seed, shape(one.week));
    anstream::println!("{plan}");
    panics::record();
    let record = run(plan);
    if one.history {
        for line in record.history() {
            anstream::println!("{line}");
        }
    }
    let violations = violations(&record);
    let mut tally = Tally::default();
    tally.add(&record, false);
    for violation in &violations {
        anstream::println!("{violation}");
        *tally.violations.entry(violation.invariant).or_default() += 1;
    }
    anstream::print!("{tally}");
    anstream::println!("digest {:016x}", record.digest());
    outcome(&tally)
}

fn outcome(tally: &Tally) -> ExitCode {
    if tally.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What all threads share.
struct Work<'a> {
    many: &'a Many,
    began: Instant,
    next: AtomicU64,
    total: Mutex<Tally>,
}

impl Work<'_> {
    /// The next seed, and whether it is that of a week: they come first, because they take longest.
    fn take(&self) -> Option<(u64, bool)> {
        let limit = self
            .many
            .minutes
            .map(|minutes| Duration::from_secs(60 * minutes));
        if limit.is_some_and(|limit| self.began.elapsed() >= limit) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        match number.checked_sub(self.many.weeks) {
            None => Some((self.many.from + number, true)),
            Some(number) if number < self.many.seeds => Some((self.many.from + number, false)),
            Some(_) => None,
        }
    }

    fn work(&self) {
        while let Some((seed, week)) = self.take() {
            let listen = seed % self.many.listen_every.max(1) == 0;
            let plan = draw(seed, shape(week));
            let record = if listen {
                run_and_listen(plan)
            } else {
                run(plan)
            };
            let violations = violations(&record);
            let mut tally = Tally::default();
            tally.add(&record, listen);
            for violation in &violations {
                *tally.violations.entry(violation.invariant).or_default() += 1;
            }
            report(seed, week, &violations);
            if let Ok(mut total) = self.total.lock() {
                total.merge(&tally);
            }
        }
    }
}

/// Of what is wrong, so much is shown.
const SHOWN: usize = 5;

/// Says how to see a violation again.
fn report(seed: u64, week: bool, violations: &[Violation]) {
    if violations.is_empty() {
        return;
    }
    let week = if week { " --week" } else { "" };
    anstream::println!(
        "seed {seed}{week}: {} violations; again: make replay SEED={seed}{}",
        violations.len(),
        if week.is_empty() { "" } else { " WEEK=1" }
    );
    for violation in violations.iter().take(SHOWN) {
        anstream::println!("  {violation}");
    }
}

fn run_many(many: &Many) -> ExitCode {
    panics::record();
    let work = Work {
        many,
        began: Instant::now(),
        next: AtomicU64::new(0),
        total: Mutex::default(),
    };
    let threads = many
        .threads
        .or_else(|| thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work.work())).collect();
        show_progress(&work, || {
            workers.iter().all(thread::ScopedJoinHandle::is_finished)
        });
    });
    let total = work.total.into_inner().unwrap_or_default();
    anstream::print!("{total}");
    let seconds = work.began.elapsed().as_secs();
    anstream::println!("{seconds} s on {threads} threads");
    outcome(&total)
}

/// A line every ten seconds, until it is finished.
fn show_progress(work: &Work<'_>, finished: impl Fn() -> bool) {
    const INTERVAL: Duration = Duration::from_secs(10);
    let mut next = INTERVAL;
    while !finished() {
        thread::sleep(Duration::from_millis(100));
        if work.began.elapsed() >= next {
            next += INTERVAL;
            let runs = work.total.lock().map_or(0, |total| total.runs);
            let all = work.many.seeds + work.many.weeks;
            anstream::eprintln!("{} s: {runs} of {all} runs", work.began.elapsed().as_secs());
        }
    }
}
