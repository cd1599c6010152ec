//! Does a drain cost the same beside a long history, beside jobs of the far future, and while somebody reads
//! for long?

use std::time::{Duration, Instant};

use anyhow::Result;
use bench::{Target, median, spread};
use sqlx::PgConnection;

use crate::{
    Options,
    act::Role,
    peers::System,
    sql,
    stage::{Database, Stage},
};

/// Finished jobs in the history, over the days that it is kept.
const HISTORY: u64 = 10_000_000;
const SEED_HISTORY: &str = "
    select queue.create_history_partitions((now() - interval '6 days')::date, now()::date);
    insert into queue.job_history
        (id, fence, attempt, max_attempts, priority, state, run_at, created_at, started_at, finished_at, queue, kind, args)
    select -n, 1, 1, 10, 0, 'completed', t, t, t, t, 'no_op', 'no_op', '{\"n\": 1, \"made_at_us\": 1}'
    from (select n, now() - n * interval '6 days' / $count as t from generate_series(1, $count) n) g";
/// Jobs that are due tomorrow or later.
const SCHEDULED: u64 = 1_000_000;
pub(crate) const SEED_SCHEDULED: &str = "
    insert into queue.live_jobs (queue, kind, state, max_attempts, run_at, args)
    select 'no_op', 'no_op', 'scheduled', 10, now() + interval '1 day' + n * interval '1 second',
           '{\"n\": 1, \"made_at_us\": 1}'
    from generate_series(1, $count) n";
/// How long the reader keeps its snapshot.
const PIN: Duration = Duration::from_secs(60);
/// How long autovacuum, which looks once a minute, has to clean up after it.
const CLEAN_UP: Duration = Duration::from_secs(150);
/// Dead tuples that are left to wait for the next vacuum: twice the table's own threshold.
const DEAD_MAX: f64 = 10_000.0;
/// How far a drain may fall behind that of an empty database.
const FLAT: f64 = 0.85;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    History,
    Scheduled,
    Reader,
}

#[derive(Debug)]
struct Case {
    beside: Beside,
    name: &'static str,
    database: Database,
    jobs_per_s: Vec<f64>,
}

/// The databases are made once: filling them takes longer than the drains.
pub(crate) async fn measure(stage: &mut Stage, options: &Options) -> Result<Vec<Target>> {
    if !options.systems.contains(&System::Ours) {
        return Ok(Vec::new());
    }
    let mut cases = Vec::new();
    for (beside, name, seed) in [
        (Beside::Nothing, "nothing", None),
        (Beside::History, "history", Some((SEED_HISTORY, HISTORY))),
        (Beside::Scheduled, "scheduled", Some((SEED_SCHEDULED, SCHEDULED))),
        (Beside::Reader, "reader", None),
    ] {
        let database = stage.database(System::Ours).await?;
        let mut conn = database.connect().await?;
        if let Some((seed, count)) = seed {
            sql::execute(&mut conn, seed.replace("$count", &count.to_string())).await?;
            sql::execute(&mut conn, "vacuum analyze").await?;
        }
        cases.push(Case { beside, name, database, jobs_per_s: Vec::new() });
    }
    let (mut dead_most, mut dead_after) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        for case in &mut cases {
            if case.beside == Beside::Reader {
                let dead = drain_beside_reader(stage, case, options.jobs).await?;
                dead_most.push(dead.most);
                dead_after.push(dead.after);
            } else {
                let rate = drain(stage, &case.database, options.jobs).await?;
                case.jobs_per_s.push(rate);
            }
        }
    }
    print(&cases, options, &dead_most, &dead_after);
    let targets = targets(&cases, median(&dead_after));
    for case in cases {
        stage.drop_database(case.database).await?;
    }
    Ok(targets)
}

async fn drain(stage: &mut Stage, database: &Database, jobs: u64) -> Result<f64> {
    database.play(Role::Enqueue, &[("jobs", jobs)]).await?;
    stage.settle().await?;
    Ok(jobs as f64 / database.play(Role::Drain, &[("jobs", jobs)]).await?.seconds)
}

/// Dead tuples of all tables of the queue.
struct Dead {
    /// When the reader ended.
    most: f64,
    /// When autovacuum had its time.
    after: f64,
}

/// Drains again and again while a reader keeps its snapshot, which hides no job but keeps every dead tuple.
async fn drain_beside_reader(stage: &mut Stage, case: &mut Case, jobs: u64) -> Result<Dead> {
    let mut look = case.database.connect().await?;
    let mut reader = case.database.connect().await?;
    sql::execute(&mut reader, "begin isolation level repeatable read; select count(*) from queue.live_jobs")
        .await?;
    let begun = Instant::now();
    let mut rates = Vec::new();
    while begun.elapsed() < PIN {
        rates.push(drain(stage, &case.database, jobs).await?);
    }
    case.jobs_per_s.push(median(&rates));
    let most = dead_tuples(&mut look).await?;
    sql::execute(&mut reader, "commit").await?;
    let ended = Instant::now();
    let mut after = most;
    while after > DEAD_MAX && ended.elapsed() < CLEAN_UP {
        tokio::time::sleep(Duration::from_secs(1)).await;
        after = dead_tuples(&mut look).await?;
    }
    Ok(Dead { most, after })
}

async fn dead_tuples(conn: &mut PgConnection) -> Result<f64> {
    let count = "select sum(n_dead_tup)::bigint from pg_stat_user_tables where schemaname = 'queue'";
    Ok(sql::number(conn, count).await? as f64)
}

fn print(cases: &[Case], options: &Options, dead_most: &[f64], dead_after: &[f64]) {
    println!("ours: {} no-op jobs beside something; {} rounds", options.jobs, options.rounds);
    for case in cases {
        println!("  {:10} jobs/s                    {}", case.name, spread(&case.jobs_per_s));
    }
    println!("  reader     dead tuples at its end    {}", spread(dead_most));
    println!("  reader     and after autovacuum      {}", spread(dead_after));
}

fn targets(cases: &[Case], dead_after: f64) -> Vec<Target> {
    let rate = |beside| cases.iter().find(|case| case.beside == beside).map(|case| median(&case.jobs_per_s));
    let empty = rate(Beside::Nothing).unwrap_or_default();
    let mut targets = Vec::new();
    for case in cases.iter().filter(|case| case.beside != Beside::Nothing) {
        let ratio = rate(case.beside).unwrap_or_default() / empty;
        targets.push(Target::at_least(format!("flat_{}_to_empty", case.name), ratio, FLAT));
    }
    targets.push(Target::at_most("flat_dead_tuples_after_reader", dead_after, DEAD_MAX));
    targets
}
