//! The testbed on the command line.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use do_cluster_access_testbed::bench::{Baseline, Bench};
use do_cluster_access_testbed::demo::Demo;
use do_cluster_access_testbed::simulator::command::Simulate;

/// Testbed of do-cluster-access: what the operator talks to, on this machine
#[derive(Parser)]
#[command(name = "do-cluster-access-testbed", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Simulate(Simulate),
    Demo(Demo),
    Bench(Bench),
    Baseline(Baseline),
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let outcome = match Arguments::parse().command {
        Command::Simulate(simulate) => simulate.run().await,
        Command::Demo(demo) => return demo.run().await,
        Command::Bench(bench) => return bench.run().await,
        Command::Baseline(baseline) => return exit_code(baseline.run().await),
    };
    exit_code(outcome)
}

fn exit_code<E: std::fmt::Display>(outcome: Result<(), E>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told when standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
