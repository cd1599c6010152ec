//! How wrong is the estimate of the time that a collection still takes?
//!
//! Collects from a mock system in this process with a worker in this process, on a durable private cluster,
//! looks twice a second and, when the collection has ended, compares: the error of a look is the distance of
//! the estimated end from the real one, as a part of the whole duration. (As a part of what is left, 0.3 s
//! too many would be 60 % half a second before the end.) The looks from a quarter of the duration on count.
//! One without an estimate counts as wrong altogether.
#![expect(clippy::print_stdout, reason = "a bench program reports on standard output")]

mod scenario;
mod trial;

use anyhow::Result;
use bench::{Target, arguments::write_name, cluster::start_cluster, print_head};
use clap::{Parser, ValueEnum};

#[derive(Debug, Parser)]
struct Options {
    /// Measures only these scenarios.
    #[arg(long, value_delimiter = ',', default_values_t = [Name::Rate, Name::Parsing, Name::Lagging, Name::Chain])]
    only: Vec<Name>,
    /// How often each.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Prints each look.
    #[arg(long)]
    looks: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// 600 pages at 30 calls a second, parsed as they come.
    Rate,
    /// 64 pages, and a parser that takes two seconds for each batch of ten.
    Parsing,
    /// The same, and fetching that waits while more than 1,000 documents wait to be parsed.
    Lagging,
    /// 160 pages, each of which tells the next one: limited by the time that an answer takes.
    Chain,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_name(self, f)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (_directory, cluster) = start_cluster().await?;
    print_head("eta", cluster.programs().version());

    let mut targets = Vec::new();
    for &name in &options.only {
        println!("\n== {name}");
        let mut worst = 0.0_f64;
        for round in 0..options.rounds {
            let url = cluster.url(&format!("eta_{name}_{round}"));
            let trial = trial::run(&url, scenario::of(name)).await?;
            trial.print(options.looks);
            worst = worst.max(trial.worst_percent());
        }
        targets.push(Target::at_most(format!("eta_{name}_worst_error_percent"), worst, 20.0));
    }
    println!();
    targets.iter().for_each(Target::print);
    tokio::task::spawn_blocking(move || drop(cluster)).await?;
    Ok(())
}
