//! How fast are jobs enqueued, thousands at once and one by one?

use anyhow::Result;
use bench::{Target, spread};

use crate::{
    Options,
    act::{CHUNK, CLIENTS, Role},
    round::{Rounds, least_ratio},
    stage::Stage,
};

/// Single jobs that are enqueued, for every 200 of a bulk: each costs a commit.
const BULK_PER_SINGLE: u64 = 10;

#[derive(Debug, Default)]
struct Figures {
    bulk_per_s: Vec<f64>,
    single_per_s: Vec<f64>,
}

pub(crate) async fn measure(stage: &mut Stage, options: &Options) -> Result<Vec<Target>> {
    let mut rounds: Rounds<Figures> = Rounds::new(options);
    let singles = options.jobs / BULK_PER_SINGLE;
    while let Some((system, figures)) = rounds.next() {
        let database = stage.database(system).await?;
        let bulk = database.play(Role::Enqueue, &[("jobs", options.jobs)]).await?;
        stage.settle().await?;
        let single = database.play(Role::EnqueueSingly, &[("jobs", singles)]).await?;
        figures.bulk_per_s.push(options.jobs as f64 / bulk.seconds);
        figures.single_per_s.push(singles as f64 / single.seconds);
        stage.drop_database(database).await?;
    }
    println!(
        "{} jobs, {CHUNK} at once; then {singles} jobs, each in a transaction of its own, from {CLIENTS} clients; {} rounds",
        options.jobs, options.rounds
    );
    for (system, figures) in rounds.figures() {
        println!("  {system:10} bulk, jobs/s              {}", spread(&figures.bulk_per_s));
        println!("  {system:10} single, jobs/s            {}", spread(&figures.single_per_s));
    }
    let targets = [
        least_ratio("enqueue_bulk_to_fastest_peer", &rounds, 1.2, |_| true, |f| &f.bulk_per_s),
        least_ratio("enqueue_single_to_fastest_peer", &rounds, 1.2, |_| true, |f| &f.single_per_s),
    ];
    Ok(targets.into_iter().flatten().collect())
}
