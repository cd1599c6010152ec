//! What does the queue do in a second and what does it cost, beside its peers?
//!
//! All systems run on one durable private cluster, each in processes of its own and on a fresh database in
//! each round; rounds are interleaved and begin with another system each. Without the feature `peers` only
//! ours is measured.
#![expect(clippy::print_stdout, reason = "a bench program reports on standard output")]

mod act;
mod drain;
mod enqueue;
mod flat;
mod idle;
mod latency;
mod peers;
mod round;
mod seen;
mod stage;
mod writes;

use anyhow::Result;
use bench::{Target, arguments::write_name, print_head, sql};
use clap::{Parser, Subcommand, ValueEnum};

use crate::{act::Act, peers::System, stage::Stage};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Args)]
struct Options {
    /// Measures only these parts.
    #[arg(long, value_delimiter = ',', default_values_t = Part::value_variants().to_vec())]
    only: Vec<Part>,
    /// Measures only these systems.
    #[arg(long, value_delimiter = ',', default_values_t = System::value_variants().to_vec())]
    systems: Vec<System>,
    /// How often each measurement is repeated.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many jobs a drain or a bulk enqueue has.
    #[arg(long, default_value_t = 200_000)]
    jobs: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One process of a measurement. Started by the program itself.
    #[command(hide = true)]
    Act(Act),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Jobs worked off in a second.
    Drain,
    /// Jobs enqueued in a second, thousands at once and one by one.
    Enqueue,
    /// From the call that enqueues a job to the start of its handler.
    Latency,
    /// Rows, WAL and dead tuples of a job.
    Writes,
    /// A drain beside 10 million ended jobs, 1 million scheduled ones, and a long reader. Ours only.
    Flat,
    /// Statements of workers that have nothing to do.
    Idle,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_name(self, f)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Act(act)) => act::act(act).await,
        None => measure(&cli.options).await,
    }
}

async fn measure(options: &Options) -> Result<()> {
    let mut stage = Stage::set_up().await?;
    print_head("queue", stage.cluster.programs().version());
    for system in &options.systems {
        println!("{:9} {}: {}", system.to_string(), system.about().version, system.about().setup);
    }
    let mut targets = Vec::new();
    for part in &options.only {
        println!("\n== {part}");
        targets.extend(match part {
            Part::Drain => drain::measure(&mut stage, options).await?,
            Part::Enqueue => enqueue::measure(&mut stage, options).await?,
            Part::Latency => latency::measure(&mut stage, options).await?,
            Part::Writes => writes::measure(&mut stage, options).await?,
            Part::Flat => flat::measure(&mut stage, options).await?,
            Part::Idle => idle::measure(&mut stage, options).await?,
        });
    }
    println!();
    targets.iter().for_each(Target::print);
    stage.take_down().await
}
