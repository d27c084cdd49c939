//! `bench`: what the operator costs, beside the floor of the same machine in the same minute.
//!
//! Every leg gets a [`World`] of its own, with an empty etcd. [`FirstIssue`] is the operator, as a process of
//! its own with the rights of the chart; [`null_writer`] writes what the operator would write and nothing
//! else; [`latency`] looks at single accesses. Legs take turns, in another order in every run, so that a slow
//! minute of the machine strikes all of them. What is counted is in the API server's audit log, in the
//! simulator's history, and in `/proc`.

mod accesses;
mod effort;
mod error;
mod figure;
mod first_issue;
mod latency;
mod machine;
mod null_writer;
mod plan;
mod process;
mod progress;
mod restart;
mod sample;
mod statistics;
mod stub_target;
mod table;
mod world;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::accesses::Verification;
use self::error::Error;
use self::figure::{Figure, Results};
use self::first_issue::FirstIssue;
use self::plan::{Step, ratios, steps};
use self::progress::say;
use self::sample::Sample;
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
        let steps = steps(&self.accesses, usize::from(self.runs));
        for (number, step) in steps.iter().enumerate() {
            say(&format!("{}/{} {step}", number + 1, steps.len()))?;
            let world = World::create(step.clusters()).await?;
            let results = match &mut results {
                Some(results) => results,
                none => {
                    let version = world.client.apiserver_version().await?.git_version;
                    let heading = machine::heading(&self.operator, &version)?;
                    none.insert(Results::begin(&self.results, &heading)?)
                }
            };
            let measured = Box::pin(self.step(step, &world, &mut sample)).await;
            let kept = world.end(self.keep || measured.is_err()).await?;
            if let Some(directory) = kept {
                say(&format!("    logs and data: {}", directory.display()))?;
            }
            let figures = measured?;
            for figure in &figures {
                say(&format!("    {} {:.3}", figure.metric, figure.value))?;
            }
            results.add(figures)?;
        }
        let Some(results) = &mut results else {
            return Ok(());
        };
        let ratios = ratios(results.figures());
        results.add(ratios)?;
        writeln!(io::stdout(), "{}", table::table(results.figures()))?;
        say(&format!("every figure: {}", self.results.display()))
    }

    async fn step(
        &self,
        step: &Step,
        world: &World,
        sample: &mut Option<Sample>,
    ) -> Result<Vec<Figure>, Error> {
        match *step {
            Step::FirstIssue {
                n,
                run,
                verification,
            } => {
                let leg = FirstIssue {
                    program: &self.operator,
                    n,
                    run,
                    verification,
                };
                let measured = leg.measure(world).await?;
                if verification == Verification::On {
                    *sample = Some(measured.sample);
                }
                Ok(measured.figures)
            }
            Step::NullWriter { n, run } => {
                let sample = sample.as_ref().ok_or(Error::NothingToImitate)?;
                null_writer::measure(world, sample, n, run).await
            }
            Step::Latency { run } => latency::measure(world, &self.operator, run).await,
        }
    }
}
