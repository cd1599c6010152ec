//! Runs the project's own scenarios with a crash at every point.
#![expect(clippy::print_stdout, reason = "the report is for the terminal")]

use std::{env, process::ExitCode};

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use resume_crash_kit::{
    CrashKit, Report, Scenario,
    scenarios::{self, Collection, Control, Outcomes, Rescue, Schedules},
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Stops a worker, or cuts its connections, before and after every SQL statement, and checks what is left.
#[derive(Debug, Parser)]
#[command(name = "resume-crash-kit")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Crashes at every point, and prints a verdict for each
    All(Choice),
    /// Prints the points
    List(Choice),
    /// Is the worker process of a scenario
    #[command(hide = true)]
    Worker {
        /// The scenario
        scenario: String,
    },
}

#[derive(Debug, Args)]
struct Choice {
    /// Only this scenario: outcomes, rescue, control, schedules or collection
    #[arg(long)]
    scenario: Option<String>,
    /// Only points whose line contains this text
    #[arg(long)]
    only: Option<String>,
    /// Only every n-th point
    #[arg(long, default_value_t = 1)]
    every: usize,
    /// How many executions of the same statement are points
    #[arg(long)]
    occurrences: Option<u32>,
    /// Connections fall silent instead, and nothing else happens
    #[arg(long)]
    silences: bool,
    /// How many points to run at once
    #[arg(long)]
    side_by_side: Option<usize>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,sqlx=error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).init();
    let (choice, only_list) = match Cli::parse().command {
        Command::All(choice) => (choice, false),
        Command::List(choice) => (choice, true),
        Command::Worker { scenario } => {
            scenarios::work(&scenario).await?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let report = tokio::select! {
        report = run_all(&choice, only_list) => report?,
        // In this way, and not by the signal itself, the workers go too.
        _ = terminate.recv() => bail!("asked to stop"),
    };
    if only_list {
        return Ok(ExitCode::SUCCESS);
    }
    println!("{report}");
    // Where nothing was tried nothing has passed.
    let is_good = report.points() > 0 && report.failed() == 0;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_all(choice: &Choice, only_list: bool) -> Result<Report> {
    let program = env::current_exe()?;
    let mut report = Report::default();
    run(choice, only_list, Outcomes::new(&program), &mut report).await?;
    run(choice, only_list, Rescue::new(&program), &mut report).await?;
    run(choice, only_list, Control::new(&program), &mut report).await?;
    run(choice, only_list, Schedules::new(&program), &mut report).await?;
    run(choice, only_list, Collection::new(&program), &mut report).await?;
    Ok(report)
}

async fn run<S: Scenario>(choice: &Choice, only_list: bool, scenario: S, report: &mut Report) -> Result<()> {
    let name = scenario.name().to_owned();
    if choice.scenario.as_ref().is_some_and(|wanted| *wanted != name) {
        return Ok(());
    }
    let mut kit = CrashKit::new(scenario).every(choice.every);
    if let Some(only) = &choice.only {
        kit = kit.only(only);
    }
    if let Some(occurrences) = choice.occurrences {
        kit = kit.occurrences(occurrences);
    }
    if choice.silences {
        kit = kit.silences();
    }
    if let Some(side_by_side) = choice.side_by_side {
        kit = kit.side_by_side(side_by_side);
    }
    if only_list {
        for point in kit.points().await? {
            println!("{name}: {point}");
        }
        return Ok(());
    }
    let ran = kit.run(|scenario, point, verdict, took| {
        println!("{}", Report::line(scenario, point, verdict, took));
    });
    report.extend(ran.await?);
    Ok(())
}
