//! What does a job write, from its insert to its end?

use std::time::Duration;

use anyhow::Result;
use bench::{Target, spread};

use crate::{
    Options,
    act::Role,
    round::Rounds,
    sql,
    stage::{Database, Stage},
};

#[derive(Debug, Default)]
struct Figures {
    rows: Vec<f64>,
    dead: Vec<f64>,
    wal_bytes: Vec<f64>,
}

pub(crate) async fn measure(stage: &mut Stage, options: &Options) -> Result<Vec<Target>> {
    let mut rounds: Rounds<Figures> = Rounds::new(options);
    let jobs = options.jobs;
    while let Some((system, figures)) = rounds.next() {
        let database = stage.database(system).await?;
        let wal_before = stage.wal_bytes().await?;
        let before = rows(&database).await?;
        database.play(Role::Enqueue, &[("jobs", jobs)]).await?;
        database.play(Role::Drain, &[("jobs", jobs)]).await?;
        let after = rows(&database).await?;
        figures.rows.push((after.written - before.written) as f64 / jobs as f64);
        figures.dead.push((after.dead - before.dead) as f64 / jobs as f64);
        figures.wal_bytes.push((stage.wal_bytes().await? - wal_before) / jobs as f64);
        stage.drop_database(database).await?;
    }
    println!("a job from its insert to its end, of {jobs}; {} rounds", options.rounds);
    for (system, figures) in rounds.figures() {
        println!("  {system:10} rows written/job          {}", spread(&figures.rows));
        println!("  {system:10} dead tuples/job           {}", spread(&figures.dead));
        println!("  {system:10} WAL bytes/job             {}", spread(&figures.wal_bytes));
    }
    let least = rounds.peers(|s| s.about().keeps_history, |f| &f.wal_bytes).fold(f64::INFINITY, f64::min);
    let ours = rounds.ours(|f| &f.wal_bytes);
    let target =
        ours.filter(|_| least.is_finite()).map(|ours| Target::at_most("wal_bytes_per_job", ours, least));
    Ok(target.into_iter().collect())
}

/// Other sessions on the database.
const OTHERS: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'";

/// What all tables of a database have seen.
struct Rows {
    /// Inserted, updated and deleted.
    written: i64,
    /// Left behind by an update or a delete, whether or not vacuum was there since.
    dead: i64,
}

async fn rows(database: &Database) -> Result<Rows> {
    let mut conn = database.connect().await?;
    // The processes that wrote are gone, but a session reports its counts when it ends, a moment later.
    while sql::number(&mut conn, OTHERS).await? > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let count = |what| format!("select sum({what})::bigint from pg_stat_user_tables");
    Ok(Rows {
        written: sql::number(&mut conn, count("n_tup_ins + n_tup_upd + n_tup_del")).await?,
        dead: sql::number(&mut conn, count("n_tup_upd + n_tup_del")).await?,
    })
}
