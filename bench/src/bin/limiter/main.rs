//! Is the limit of a source kept by a whole fleet, and used, whatever happens to its workers?
//!
//! Four worker processes collect from a system in this process that counts for itself what arrives. One of
//! them is killed every three seconds. Then the system changes its limit while they work, with headers that
//! tell it and without; and a small collection shares the limit with huge ones. Beside it, as a peer, four
//! processes that each keep the limit for themselves, as Celery's `rate_limit` does.
#![expect(clippy::print_stdout, reason = "a bench program reports on standard output")]

mod fleet;
mod peer;
mod source;
mod trial;
mod worker;

use std::time::Duration;

use anyhow::Result;
use bench::{Target, cluster::start_cluster, print_head};
use clap::{Parser, Subcommand};

use crate::trial::{Change, Kills, Peer, Share};

/// What the system allows in any second.
const LIMIT: u32 = 30;
/// What it allows for a while.
const LOWER: u32 = 10;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Args)]
struct Options {
    /// How long the fleet is watched while its workers are killed.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How often all is repeated.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One worker process. Started by the program itself.
    #[command(hide = true)]
    Work(worker::Work),
    /// One process that keeps the limit for itself. Started by the program itself.
    #[command(hide = true)]
    Alone(peer::Alone),
}

#[tokio::main]
async fn main() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Work(work)) => worker::work(work).await,
        Some(Command::Alone(alone)) => peer::call(alone).await,
        None => run(&cli.options).await,
    }
}

async fn run(options: &Options) -> Result<()> {
    let (_directory, cluster) = start_cluster().await?;
    print_head("limiter", cluster.programs().version());
    println!("\n{} worker processes; the system allows {LIMIT} calls in any second", fleet::SIZE);
    let (mut kills, mut announced, mut unannounced) = (Vec::new(), Vec::new(), Vec::new());
    let (mut shares, mut peers) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let url = |name: &str| cluster.url(&format!("{name}_{round}"));
        kills.push(trial::kills(&url("kills"), Duration::from_secs(options.seconds)).await?);
        announced.push(trial::change(&url("announced"), true).await?);
        unannounced.push(trial::change(&url("unannounced"), false).await?);
        shares.push(trial::share(&url("share")).await?);
        peers.push(trial::peer().await?);
    }
    tokio::task::spawn_blocking(move || drop(cluster)).await?;
    print_kills(&kills, options.seconds);
    print_change("the limit changes, and headers tell it", &announced);
    print_change("the limit changes, and only refusals tell it", &unannounced);
    print_shares(&shares);
    print_peers(&peers);
    println!();
    targets(&kills, &announced).iter().for_each(Target::print);
    Ok(())
}

fn figures<T>(of: &[T], figure: impl Fn(&T) -> f64) -> Vec<f64> {
    of.iter().map(figure).collect()
}

fn line(name: &str, figures: &[f64]) {
    println!("  {name:46} {}", bench::spread(figures));
}

fn print_kills(kills: &[Kills], seconds: u64) {
    println!("\n== one worker killed every {} s, watched for {seconds} s", trial::KILL_EVERY.as_secs());
    line("calls a second, counted by the system", &figures(kills, |k| k.calls_per_second));
    line("most calls in any second, by the system", &figures(kills, |k| f64::from(k.busiest_second)));
    line("calls refused", &figures(kills, |k| k.refused as f64));
    line("workers killed", &figures(kills, |k| k.killed as f64));
    line("most calls in any second, by the ledger", &figures(kills, |k| k.ledger.most_in_any_second as f64));
    line("permits lost with killed workers", &figures(kills, |k| k.ledger.wasted as f64));
    line("permits missed because of lateness", &figures(kills, |k| k.ledger.missed as f64));
    line("half of the calls waited for at most, ms", &figures(kills, |k| f64::from(k.ledger.waited_ms_half)));
}

fn print_change(title: &str, changes: &[Change]) {
    println!("\n== {title}: {LIMIT} to {LOWER} and back after {} s", trial::LOWERED_FOR.as_secs());
    line("seconds until the last refusal after the lowering", &figures(changes, |c| c.lowered.adapted_s));
    line("refusals after the lowering", &figures(changes, |c| c.lowered.refused as f64));
    line("calls a second at the lower limit", &figures(changes, |c| c.lowered.calls_per_second));
    line("seconds until 27 calls a second after the raising", &figures(changes, |c| c.raised.adapted_s));
    line("refusals after the raising", &figures(changes, |c| c.raised.refused as f64));
}

fn print_shares(shares: &[Share]) {
    println!("\n== a collection of {} pages beside {} huge ones", trial::SMALL_PAGES, trial::HUGE);
    line("seconds until its last page", &figures(shares, |s| s.seconds));
    println!("  {:46} {:.2}", "with an equal share of the limit", equal_share_s());
    line("calls a second of all, meanwhile", &figures(shares, |s| s.calls_per_second));
}

/// How long the small collection takes with its share of the limit.
fn equal_share_s() -> f64 {
    f64::from(trial::SMALL_PAGES * (trial::HUGE + 1)) / f64::from(LIMIT)
}

fn print_peers(peers: &[Peer]) {
    println!("\n== peer: {} processes, each with a limit of {LIMIT} for itself, for 10 s", fleet::SIZE);
    line("calls a second that arrived", &figures(peers, |p| p.calls_per_second));
    line("most calls in any second", &figures(peers, |p| f64::from(p.busiest_second)));
    line("calls refused", &figures(peers, |p| p.refused as f64));
}

fn targets(kills: &[Kills], announced: &[Change]) -> Vec<Target> {
    let most = |figures: Vec<f64>| figures.into_iter().fold(0.0, f64::max);
    let processes = fleet::SIZE as f64;
    vec![
        Target::at_least("calls_per_s", bench::median(&figures(kills, |k| k.calls_per_second)), 29.0),
        Target::at_most("calls_in_busiest_s", most(figures(kills, |k| f64::from(k.busiest_second))), 30.0),
        Target::at_most("refused_calls", most(figures(kills, |k| k.refused as f64)), 0.0),
        Target::at_most(
            "lowered_adapted_s",
            bench::median(&figures(announced, |c| c.lowered.adapted_s)),
            5.0,
        ),
        Target::at_most("raised_adapted_s", bench::median(&figures(announced, |c| c.raised.adapted_s)), 5.0),
        Target::at_most(
            "refused_calls_a_change_and_process",
            most(figures(announced, |c| c.lowered.refused.max(c.raised.refused) as f64 / processes)),
            2.0,
        ),
    ]
}
