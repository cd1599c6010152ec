//! How long after the call that enqueues a job does its handler start?

use std::time::Duration;

use anyhow::Result;
use bench::{Target, spread};

use crate::{
    Options,
    act::Role,
    peers::System,
    round::Rounds,
    stage::{Database, Stage},
};

/// A steady stream of single jobs.
#[derive(Debug, Clone, Copy)]
struct Stream {
    jobs_per_s: u64,
    seconds: u64,
}

const STREAMS: [Stream; 3] = [
    Stream { jobs_per_s: 10, seconds: 20 },
    Stream { jobs_per_s: 500, seconds: 10 },
    Stream { jobs_per_s: 2000, seconds: 10 },
];
/// The stream that something is promised for.
const PROMISED: u64 = 500;
/// How long a worker has to get ready.
const READY: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct Figures {
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    /// Jobs a million that never started.
    lost: Vec<f64>,
}

pub(crate) async fn measure(stage: &mut Stage, options: &Options) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for stream in STREAMS {
        let mut rounds: Rounds<Figures> = Rounds::new(options);
        while let Some((system, figures)) = rounds.next() {
            run(stage, system, stream, figures).await?;
        }
        println!(
            "{} single jobs a second for {} s; {} rounds",
            stream.jobs_per_s, stream.seconds, options.rounds
        );
        for (system, figures) in rounds.figures() {
            println!("  {system:10} p50, ms                   {}", spread(&figures.p50_ms));
            println!("  {system:10} p99, ms                   {}", spread(&figures.p99_ms));
            if figures.lost.iter().any(|lost| *lost > 0.0) {
                println!("  {system:10} not started in 20 s, %    {}", spread(&figures.lost));
            }
        }
        if stream.jobs_per_s == PROMISED {
            let p50 = rounds.ours(|f| &f.p50_ms).map(|ms| Target::at_most("latency_500_p50_ms", ms, 3.0));
            let p99 = rounds.ours(|f| &f.p99_ms).map(|ms| Target::at_most("latency_500_p99_ms", ms, 20.0));
            targets.extend([p50, p99].into_iter().flatten());
        }
    }
    Ok(targets)
}

async fn run(stage: &mut Stage, system: System, stream: Stream, figures: &mut Figures) -> Result<()> {
    let database = stage.database(system).await?;
    let mut waits_ms = waits(&database, stream).await?;
    waits_ms.sort_by(f64::total_cmp);
    let jobs = stream.jobs_per_s * stream.seconds;
    figures.p50_ms.push(percentile(&waits_ms, 0.50));
    figures.p99_ms.push(percentile(&waits_ms, 0.99));
    figures.lost.push(100.0 * (jobs as f64 - waits_ms.len() as f64) / jobs as f64);
    stage.drop_database(database).await
}

/// Runs a worker and, in another process, who enqueues for it.
async fn waits(database: &Database, stream: Stream) -> Result<Vec<f64>> {
    let jobs = ("jobs", stream.jobs_per_s * stream.seconds);
    let worker = database.start(Role::Consume, &[jobs])?;
    tokio::time::sleep(READY).await;
    database.play(Role::Produce, &[jobs, ("rate", stream.jobs_per_s)]).await?;
    Ok(database.report(worker).await?.latencies_ms)
}

/// Of sorted figures the least that so large a part of them does not exceed.
fn percentile(sorted: &[f64], part: f64) -> f64 {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::INFINITY)
}
