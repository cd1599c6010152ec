//! How fast are jobs worked off that do nothing?

use anyhow::Result;
use bench::{Target, spread};

use crate::{
    Options,
    act::Role,
    peers::System,
    round::{Rounds, least_ratio},
    stage::Stage,
};

/// The figures of one system, one a round.
#[derive(Debug, Default)]
struct Figures {
    jobs_per_s: Vec<f64>,
    worker_us: Vec<f64>,
    server_us: Vec<f64>,
    enqueue_wal: Vec<f64>,
    drain_wal: Vec<f64>,
}

pub(crate) async fn measure(stage: &mut Stage, options: &Options) -> Result<Vec<Target>> {
    let mut rounds: Rounds<Figures> = Rounds::new(options);
    while let Some((system, figures)) = rounds.next() {
        run(stage, system, options.jobs, figures).await?;
    }
    println!("{} no-op jobs, enqueued before; {} rounds", options.jobs, options.rounds);
    for (system, figures) in rounds.figures() {
        println!("  {system:10} jobs/s                    {}", spread(&figures.jobs_per_s));
        println!("  {system:10} processor us/job, worker  {}", spread(&figures.worker_us));
        println!("  {system:10} processor us/job, server  {}", spread(&figures.server_us));
        println!("  {system:10} WAL bytes/job, enqueue    {}", spread(&figures.enqueue_wal));
        println!("  {system:10} WAL bytes/job, drain      {}", spread(&figures.drain_wal));
    }
    let keeps_history = |system: System| system.about().keeps_history;
    let targets = [
        least_ratio("drain_to_fastest_peer_with_history", &rounds, 2.0, keeps_history, |f| &f.jobs_per_s),
        least_ratio("drain_to_fastest_peer", &rounds, 1.2, |_| true, |f| &f.jobs_per_s),
    ];
    Ok(targets.into_iter().flatten().collect())
}

async fn run(stage: &mut Stage, system: System, jobs: u64, figures: &mut Figures) -> Result<()> {
    let per_job = |figure: f64| figure / jobs as f64;
    let database = stage.database(system).await?;
    let before = stage.wal_bytes().await?;
    database.play(Role::Enqueue, &[("jobs", jobs)]).await?;
    let enqueued = stage.wal_bytes().await?;
    stage.settle().await?;
    let settled = stage.wal_bytes().await?;
    let server_before = stage.server_processor_seconds()?;
    let report = database.play(Role::Drain, &[("jobs", jobs)]).await?;
    let server_s = stage.server_processor_seconds()? - server_before;
    figures.jobs_per_s.push(jobs as f64 / report.seconds);
    figures.worker_us.push(per_job(report.processor_s * 1e6));
    figures.server_us.push(per_job(server_s * 1e6));
    figures.enqueue_wal.push(per_job(enqueued - before));
    figures.drain_wal.push(per_job(stage.wal_bytes().await? - settled));
    stage.drop_database(database).await
}
