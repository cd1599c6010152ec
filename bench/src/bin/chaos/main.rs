//! What do the faults of a bad day cost: jobs, effects that happen twice, or only time?
//!
//! Four worker processes work on a durable private cluster while more jobs come in; one fault at a time is
//! let loose on them, each on a fresh database. Every job has one effect, in the transaction of its
//! completion. At the end each accepted job must have ended well with exactly one effect, and soon after the
//! fault all must go on as before.
#![expect(clippy::print_stdout, reason = "a bench program reports on standard output")]

mod clock;
mod faults;
mod feed;
mod fleet;
mod recovery;
mod rescue;
mod trial;
mod verdict;
mod worker;

use std::process::ExitCode;

use anyhow::Result;
use bench::{Target, cluster::start_cluster, print_head};
use clap::{Parser, Subcommand};

use crate::{
    faults::Fault,
    trial::{Outcome, trial},
};

/// How soon after a fault's end all must go on as before, and a killed worker's jobs run again.
const BOUND_S: f64 = 5.0;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Args)]
struct Options {
    /// Lets loose only these faults.
    #[arg(long, value_delimiter = ',', default_values_t = <Fault as clap::ValueEnum>::value_variants().to_vec())]
    only: Vec<Fault>,
    /// How many jobs each fault has to do with: some 15,000 are the least that outlast a fault.
    #[arg(long, default_value_t = 20_000)]
    jobs: i64,
    /// Which workers are hit.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One worker process. Started by the program itself.
    #[command(hide = true)]
    Work(worker::Work),
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Work(work)) => worker::work(work).await.map(|()| ExitCode::SUCCESS),
        None => run(&cli.options).await,
    }
}

async fn run(options: &Options) -> Result<ExitCode> {
    let (_directory, cluster) = start_cluster().await?;
    let cluster = std::sync::Arc::new(cluster);
    print_head("chaos", cluster.programs().version());
    println!("\n{} workers, {} jobs at once each, {:?} a job;", fleet::SIZE, worker::SLOTS, worker::TAKES);
    println!(
        "{} jobs a fault, {} enqueued every {:?}, also during the fault; seed {}\n",
        options.jobs,
        feed::BATCH,
        feed::EVERY,
        options.seed
    );
    print_columns();
    let mut outcomes = Vec::new();
    for fault in &options.only {
        let outcome = trial(&cluster, *fault, options).await?;
        print_row(*fault, &outcome);
        outcomes.push((*fault, outcome));
    }
    print_notes(&outcomes);
    tokio::task::spawn_blocking(move || drop(cluster)).await?;
    println!();
    times(&outcomes).iter().for_each(Target::print);
    let promises = promises(&outcomes);
    promises.iter().for_each(Target::print);
    // A slow recovery can be the machine's fault; a lost job or a second effect cannot.
    Ok(if promises.iter().all(Target::is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_columns() {
    println!(
        "{:21} {:>7} {:>8} {:>8} {:>10} {:>8} {:>6} {:>9} {:>18} {:>14}",
        "fault",
        "fault_s",
        "before/s",
        "during/s",
        "recovery_s",
        "rescue_s",
        "jobs",
        "jobs_lost",
        "duplicated_effects",
        "extra_attempts"
    );
}

fn print_row(fault: Fault, outcome: &Outcome) {
    let verdict = &outcome.verdict;
    let rescue = outcome.rescue_s().map_or_else(|| "-".to_owned(), |s| format!("{s:.2}"));
    println!(
        "{:21} {:7.2} {:8.0} {:8.0} {:10.2} {rescue:>8} {:6} {:9} {:18} {:14}",
        fault.to_string(),
        outcome.fault_s,
        outcome.before_per_s,
        outcome.during_per_s,
        outcome.recovery_s,
        verdict.jobs,
        verdict.jobs_lost,
        verdict.duplicated_effects,
        verdict.extra_attempts
    );
}

/// What has no column, since it concerns one fault.
fn print_notes(outcomes: &[(Fault, Outcome)]) {
    println!();
    for (fault, outcome) in outcomes {
        for rescue in &outcome.rescues {
            println!("{fault}: {}", rescue.line(outcome.begun));
        }
        if let Some(stale) = &outcome.stale {
            println!(
                "{fault}: the worker lost {} jobs to others; {} of its completions were refused, {} took effect; \
                 it was at work again after {:.2} s",
                stale.jobs, stale.refused, stale.effects, stale.back_s
            );
        }
    }
}

fn times(outcomes: &[(Fault, Outcome)]) -> Vec<Target> {
    let mut targets = Vec::new();
    for (fault, outcome) in outcomes {
        let name = fault.to_string().replace('-', "_");
        targets.push(Target::at_most(format!("{name}_recovery_s"), outcome.recovery_s, BOUND_S));
        if let Some(rescue_s) = outcome.rescue_s() {
            targets.push(Target::at_most(format!("{name}_rescue_s"), rescue_s, BOUND_S));
        }
    }
    targets
}

/// What must hold on any machine.
fn promises(outcomes: &[(Fault, Outcome)]) -> Vec<Target> {
    let none = |name: &str, count: fn(&Outcome) -> i64| {
        let sum: i64 = outcomes.iter().map(|(_, outcome)| count(outcome)).sum();
        Target::at_most(name, sum as f64, 0.0)
    };
    let mut targets = vec![
        none("jobs_lost", |o| o.verdict.jobs_lost),
        none("duplicated_effects", |o| o.verdict.duplicated_effects),
        none("jobs_left_live", |o| o.verdict.left_live),
        none("odd_attempts", |o| o.verdict.odd_attempts),
    ];
    for stale in outcomes.iter().filter_map(|(_, outcome)| outcome.stale.as_ref()) {
        targets.push(Target::at_most("stopped_worker_effects", stale.effects as f64, 0.0));
        targets.push(Target::at_least("stopped_worker_refused", stale.refused as f64, 1.0));
    }
    targets
}
