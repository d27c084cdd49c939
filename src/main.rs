//! The process `do-cluster-access`.

use std::io::{self, Write};
use std::process::ExitCode;

use do_cluster_access::api::custom_resource_definitions;
use do_cluster_access::args::{Cli, Command};
use do_cluster_access::process;

fn main() -> ExitCode {
    let outcome = match Cli::of_process().command {
        Command::Crd => print_definitions().map_err(|error| (1, error.to_string())),
        Command::Run(arguments) => run(*arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            // Nothing is left to be told if standard error is gone.
            drop(writeln!(io::stderr(), "error: {message}"));
            ExitCode::from(code)
        }
    }
}

fn run(arguments: do_cluster_access::args::RunArgs) -> Result<(), (u8, String)> {
    // One thread: the work is waiting for others. More would cost memory (an arena each) and switches.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| (1, error.to_string()))?;
    runtime
        .block_on(process::run(arguments))
        .map_err(|failure| (failure.exit_code(), failure.to_string()))
}

fn print_definitions() -> io::Result<()> {
    let mut output = io::stdout().lock();
    for definition in custom_resource_definitions() {
        let yaml = serde_saphyr::to_string(&definition).map_err(io::Error::other)?;
        write!(output, "---\n{yaml}")?;
    }
    output.flush()
}
