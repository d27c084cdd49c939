//! Runs seeds.

use clap::Parser;
use do_cluster_access_simulation::checks::check;
use do_cluster_access_simulation::chronicle::Chronicle;
use do_cluster_access_simulation::draw::{Shape, draw};
use do_cluster_access_simulation::run::run;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 1)]
    from: u64,
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    #[arg(long)]
    week: bool,
    #[arg(long)]
    quiet: bool,
    #[arg(long)]
    log: Option<String>,
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(filter) = &arguments.log {
        let filter = tracing_subscriber::EnvFilter::new(filter);
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .without_time()
            .with_ansi(false)
            .init();
    }
    let shape = if arguments.week {
        Shape::Week
    } else {
        Shape::Storm
    };
    let mut total = std::collections::BTreeMap::<&str, u64>::new();
    for seed in arguments.from..arguments.from + arguments.seeds {
        let plan = draw(seed, shape);
        let began = std::time::Instant::now();
        if arguments.log.is_some() {
            anstream::println!("{plan}");
        }
        let record = run(plan);
        let ran = began.elapsed().as_millis();
        let chronicle = Chronicle::new(&record);
        let violations = check(&chronicle);
        for violation in &violations {
            *total.entry(violation.invariant).or_default() += 1;
        }
        if !arguments.quiet {
            anstream::println!(
                "seed {seed}: {ran}+{} ms, {} s, L {}, {} accesses, {} steps, {} writes, {} exchanges, {} mints, {} journal",
                began.elapsed().as_millis() - ran,
                record.seconds,
                record.plan.accesses[0].spec["expirySeconds"],
                record.plan.accesses.len(),
                record.plan.steps.len(),
                record.writes.len(),
                record.exchanges.len(),
                record.mints.len(),
                record.journal.len()
            );
        }
        if !violations.is_empty() {
            for violation in violations.iter().take(4) {
                anstream::println!("  seed {seed}: {violation}");
            }
        }
    }
    anstream::println!("{total:?}");
}
