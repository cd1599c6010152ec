//! How long does the main job take, and what does the service cost when it is idle?
//!
//! Runs the real binary on a durable private cluster, against a mock system in this process, and triggers
//! over HTTP. The floors are set by the slow parser (2 s) and by the limit of 30 calls a second; the figures
//! of the Django, Celery and RabbitMQ stack that this replaces were taken on a machine of the same size.
#![expect(clippy::print_stdout, reason = "a bench program reports on standard output")]

mod collection;
mod first_demo;
mod idle;
mod service;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use bench::{Target, arguments::write_name, cluster::start_cluster, print_head};
use clap::{Parser, ValueEnum};
use tokio::process::Command;

use crate::collection::{DEFAULT_JOB, DETAILS, FLEET, MILLION, THROUGHPUT, time_job};

#[derive(Debug, Parser)]
struct Options {
    /// Measures only these parts.
    #[arg(long, value_delimiter = ',', default_values_t = [
        Part::DefaultJob, Part::Throughput, Part::Fleet, Part::Million, Part::Details, Part::Idle,
        Part::FirstDemo,
    ])]
    only: Vec<Part>,
    /// How often the collections are repeated.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// 100 resumes, 10 a page, batches of 10, 2 s of parsing each.
    DefaultJob,
    /// 20,000 resumes, 100 a page, no parse delay.
    Throughput,
    /// The same by four worker processes.
    Fleet,
    /// 1,000,000 resumes, 1,000 a page, once.
    Million,
    /// 100,000 resumes, a call for each, 500 calls a second, once.
    Details,
    /// Memory and processor time of an idle service.
    Idle,
    /// The first demo of a fresh clone, build included.
    FirstDemo,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_name(self, f)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let binary = build_binary().await?;
    let (directory, cluster) = start_cluster().await?;
    print_head("pipeline", cluster.programs().version());

    let mut targets = Vec::new();
    for part in &options.only {
        println!("\n== {part}");
        targets.extend(match part {
            Part::DefaultJob => time_job(&binary, &cluster, DEFAULT_JOB, options.rounds).await?,
            Part::Throughput => time_job(&binary, &cluster, THROUGHPUT, options.rounds).await?,
            Part::Fleet => time_job(&binary, &cluster, FLEET, options.rounds).await?,
            Part::Million => time_job(&binary, &cluster, MILLION, 1).await?,
            Part::Details => time_job(&binary, &cluster, DETAILS, 1).await?,
            Part::Idle => idle::watch(&binary, &cluster).await?,
            Part::FirstDemo => first_demo::time(directory.path()).await?,
        });
    }
    println!();
    targets.iter().for_each(Target::print);
    tokio::task::spawn_blocking(move || drop(cluster)).await?;
    Ok(())
}

/// Builds the binary as `cargo run --release` would and gives its path.
async fn build_binary() -> Result<PathBuf> {
    let status = Command::new("cargo").args(["build", "--release", "-p", "resume-service"]).status().await?;
    ensure!(status.success(), "building the service failed");
    let own = std::env::current_exe()?;
    let binary = own.with_file_name("resume-service");
    ensure!(binary.exists(), "{} is missing: run this with --release", binary.display());
    Ok(binary)
}
