//! `bench`: what the operator costs, beside the floor of the same machine in the same minute, and beside what
//! else would do the job.
//!
//! Every leg gets a [`World`] of its own, with an empty etcd. A [`Contender`] is a process of its own, with
//! a ServiceAccount's rights; [`life`] is what it does with many accesses; [`null_writer`] writes what the
//! operator would write and nothing else; [`latency`] looks at single accesses, [`foreign`] at Secrets of
//! others. Legs take turns, in another order in every run, so that a slow minute of the machine strikes all
//! of them. What is counted is in the API server's audit log, in the simulator's history, and in `/proc`.
//! [`report`] makes the page of the documentation out of it.

mod accesses;
mod baselines;
mod contender;
mod effort;
mod error;
mod figure;
mod foreign;
mod latency;
mod life;
mod machine;
mod null_writer;
mod plan;
mod plot;
mod process;
mod progress;
mod report;
mod sample;
mod seen;
mod statistics;
mod stub_target;
mod table;
mod variant;
mod workload;
mod world;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

pub use self::baselines::Baseline;
use self::contender::Contender;
use self::error::Error;
use self::figure::{Figure, Leg, Results};
use self::life::Life;
use self::plan::{Plan, Step, is_default, ratios};
use self::progress::say;
use self::sample::Sample;
use self::variant::Variant;
use self::workload::Workload;
use self::world::World;

/// What a shell makes of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Measure the operator beside a null writer on a real Kubernetes API server and a simulated DigitalOcean: rates, requests, processor time, memory
#[derive(Args, Debug)]
pub struct Bench {
    /// The operator to measure: a release build
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/release/do-cluster-access"
    )]
    operator: PathBuf,
    /// Numbers of accesses to measure with
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [100, 1000], value_parser = accesses_number)]
    accesses: Vec<usize>,
    /// How often everything is measured; figures of the table are medians
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
    /// Workloads to measure
    #[arg(long, value_name = "W…", value_enum, value_delimiter = ',', default_values_t = Workload::value_variants().iter().copied())]
    workloads: Vec<Workload>,
    /// Who is measured; leg files come on top
    #[arg(long, value_name = "LEG,…", value_enum, value_delimiter = ',', default_values_t = OwnLeg::value_variants().iter().copied())]
    legs: Vec<OwnLeg>,
    /// Another operator to measure: a YAML file that docs/benchmarks.md describes
    #[arg(long, value_name = "FILE")]
    leg_file: Vec<PathBuf>,
    /// Results of before, or figures that were measured elsewhere, as JSON lines, to be taken over
    #[arg(long, value_name = "FILE")]
    also: Vec<PathBuf>,
    /// The page whose figures are replaced, and beside it the plot
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Where every single figure goes, a line of JSON each
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/bench/results.jsonl"
    )]
    results: PathBuf,
    /// Leave the directories with logs and data behind
    #[arg(long)]
    keep: bool,
}

/// A leg that needs no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OwnLeg {
    Operator,
    NullWriter,
    Minimal,
    Naive,
}

/// At least one, and as many as the names have digits for.
fn accesses_number(text: &str) -> Result<usize, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=100_000).contains(number));
    number.ok_or_else(|| "a number from 1 to 100000".to_owned())
}

impl Bench {
    /// Measures, and prints the table. The exit code is 1 when a leg fails; figures are not judged.
    pub async fn run(self) -> ExitCode {
        let outcome = tokio::select! {
            outcome = Box::pin(self.measure()) => outcome,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.map_err(Error::from).and(Err(Error::Interrupted))
            }
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(Error::Interrupted) => ExitCode::from(INTERRUPTED),
            Err(error) => {
                // Nobody is left to be told when standard error is closed.
                let _ = say(&format!("the benchmark failed: {error}"));
                ExitCode::FAILURE
            }
        }
    }

    async fn measure(&self) -> Result<(), Error> {
        if !self.operator.is_file() {
            return Err(Error::Missing(self.operator.clone()));
        }
        let mut sample = None;
        let mut results: Option<Results> = None;
        let steps = self.plan()?.steps();
        for (number, step) in steps.iter().enumerate() {
            say(&format!("{}/{} {step}", number + 1, steps.len()))?;
            let world = World::create(clusters(step)).await?;
            let results = match &mut results {
                Some(results) => results,
                none => {
                    let version = world.client.apiserver_version().await?.git_version;
                    let heading = machine::heading(&self.operator, &version)?;
                    none.insert(Results::begin(&self.results, heading)?)
                }
            };
            let measured = Box::pin(step_of(step, &world, &mut sample)).await;
            let kept = world.end(self.keep || measured.is_err()).await?;
            if let Some(directory) = kept {
                say(&format!("    logs and data: {}", directory.display()))?;
            }
            let figures = measured?;
            for figure in &figures {
                let Figure {
                    workload,
                    metric,
                    value,
                    ..
                } = figure;
                say(&format!("    {workload} {metric} {value:.3}"))?;
            }
            results.add(figures)?;
        }
        let Some(mut results) = results else {
            return Ok(());
        };
        let ratios = ratios(results.figures());
        results.add(ratios)?;
        for file in &self.also {
            results.add(figure::read(file)?)?;
        }
        writeln!(io::stdout(), "{}", table::table(results.figures()))?;
        if let Some(page) = &self.page {
            report::write(page, results.heading(), results.figures())?;
            say(&format!("the page: {}", page.display()))?;
        }
        say(&format!("every figure: {}", self.results.display()))
    }

    fn plan(&self) -> Result<Plan, Error> {
        let wants = |leg| self.legs.contains(&leg);
        let mut contenders = Vec::new();
        if wants(OwnLeg::Operator) {
            let operator = |variant| Contender::operator(&self.operator, variant);
            contenders.extend(Variant::ALL.map(operator));
        }
        for (own, leg) in [(OwnLeg::Minimal, Leg::Minimal), (OwnLeg::Naive, Leg::Naive)] {
            if wants(own) {
                contenders.push(Contender::baseline(leg)?);
            }
        }
        for file in &self.leg_file {
            contenders.push(Contender::read(file)?);
        }
        Ok(Plan {
            contenders,
            null_writer: wants(OwnLeg::NullWriter) && wants(OwnLeg::Operator),
            workloads: self.workloads.iter().copied().collect(),
            accesses: self.accesses.clone(),
            runs: usize::from(self.runs),
        })
    }
}

fn clusters(step: &Step) -> usize {
    match step {
        Step::Life { n, .. } => Life::clusters(*n),
        Step::NullWriter { n, .. } => *n,
        Step::Latency { .. } => latency::CLUSTERS,
        Step::Foreign { .. } => foreign::ACCESSES,
    }
}

async fn step_of(
    step: &Step,
    world: &World,
    sample: &mut Option<(Contender, Sample)>,
) -> Result<Vec<Figure>, Error> {
    match step {
        Step::Life {
            contender,
            workloads,
            n,
            run,
        } => {
            let life = Life {
                contender,
                n: *n,
                run: *run,
                workloads,
            };
            let measured = life.measure(world).await?;
            if let Some(taken) = measured.sample.filter(|_| is_default(contender)) {
                *sample = Some((contender.clone(), taken));
            }
            Ok(measured.figures)
        }
        Step::NullWriter { n, run } => {
            let (operator, sample) = sample.as_ref().ok_or(Error::NothingToImitate)?;
            null_writer::measure(world, operator, sample, *n, *run).await
        }
        Step::Latency { contender, run } => latency::measure(world, contender, *run).await,
        Step::Foreign { contender, run } => foreign::measure(world, contender, *run).await,
    }
}
