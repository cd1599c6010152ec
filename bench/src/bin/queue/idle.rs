//! What do workers ask of the database that have nothing to do?

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use bench::{Target, spread};

use crate::{
    Options,
    act::Role,
    flat::SEED_SCHEDULED,
    peers::System,
    round::Rounds,
    sql,
    stage::{Database, Stage},
};

const WORKERS: usize = 10;
/// Jobs that have ended before, so that there is something to scan.
const ENDED: u64 = 20_000;
/// Jobs of ours that wait for their time.
const SCHEDULED: u64 = 100_000;
/// How long the workers are left alone before they are called idle, and how long they are then watched.
const SETTLE: Duration = Duration::from_secs(5);
const WATCH: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Figures {
    statements_per_s: Vec<f64>,
    scans: Vec<f64>,
}

pub(crate) async fn measure(stage: &mut Stage, options: &Options) -> Result<Vec<Target>> {
    let mut rounds: Rounds<Figures> = Rounds::new(options);
    while let Some((system, figures)) = rounds.next() {
        let database = prepare(stage, system).await?;
        watch(stage, &database, figures).await?;
        stage.drop_database(database).await?;
    }
    println!("{WORKERS} idle workers, watched for {} s; {} rounds", WATCH.as_secs(), options.rounds);
    for (system, figures) in rounds.figures() {
        println!("  {system:10} statements/worker/s       {}", spread(&figures.statements_per_s));
        println!("  {system:10} scans of a whole table    {}", spread(&figures.scans));
    }
    let statements = rounds.ours(|f| &f.statements_per_s);
    let scans = rounds.ours(|f| &f.scans);
    let targets = [
        statements.map(|per_s| Target::at_most("idle_statements_per_worker_and_second", per_s, 1.0)),
        scans.map(|scans| Target::at_most("idle_scans_of_a_table", scans, 0.0)),
    ];
    Ok(targets.into_iter().flatten().collect())
}

async fn prepare(stage: &mut Stage, system: System) -> Result<Database> {
    let database = stage.database(system).await?;
    database.play(Role::Enqueue, &[("jobs", ENDED)]).await?;
    database.play(Role::Drain, &[("jobs", ENDED)]).await?;
    let mut conn = database.connect().await?;
    if system == System::Ours {
        sql::execute(&mut conn, SEED_SCHEDULED.replace("$count", &SCHEDULED.to_string())).await?;
    }
    sql::execute(&mut conn, "vacuum analyze").await?;
    stage.log_statements(&database).await?;
    Ok(database)
}

async fn watch(stage: &Stage, database: &Database, figures: &mut Figures) -> Result<()> {
    let mut conn = database.connect().await?;
    sql::execute(&mut conn, "set log_statement = none").await?;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(database.start(Role::Idle, &[])?);
    }
    tokio::time::sleep(SETTLE).await;
    let statements_before = statements(stage)?;
    let scans_before = sql::number(&mut conn, SCANS).await?;
    tokio::time::sleep(WATCH).await;
    let statements = statements(stage)? - statements_before;
    let scans = sql::number(&mut conn, SCANS).await? - scans_before;
    for worker in workers {
        database.report(worker).await?;
    }
    figures.statements_per_s.push(statements as f64 / WATCH.as_secs_f64() / WORKERS as f64);
    figures.scans.push(scans as f64);
    Ok(())
}

/// Scans of tables that are too large to read them whole: over ten pages of 8 kB. Sessions that are idle
/// report what they did within ten seconds.
const SCANS: &str =
    "select sum(seq_scan)::bigint from pg_stat_user_tables where pg_relation_size(relid) > 81920";

/// Statements in the server's log. Statements that many clients send in turn are one line each.
fn statements(stage: &Stage) -> Result<usize> {
    let log: PathBuf = stage.cluster.data_dir().with_file_name("server.log");
    let log = std::fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let log = String::from_utf8_lossy(&log);
    Ok(log
        .lines()
        .filter(|line| line.contains("LOG:  execute ") || line.contains("LOG:  statement: "))
        .count())
}
