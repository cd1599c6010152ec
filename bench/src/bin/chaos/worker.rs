//! A worker process: each job has one effect, a row that is written in the transaction of the job's
//! completion.

use std::time::Duration;

use anyhow::Result;
use apalis::prelude::{BoxDynError, Data, WorkerBuilder};
use bench::sql;
use clap::Args;
use resume_core::db::{self, Role};
use resume_queue::{CompleteError, Job, Lease, QueueConfig, Session, SessionSettings};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};

/// How long a job takes before its effect, and how many a worker runs at once: the rate of the fleet is set
/// by these, and not by what else the machine is doing.
pub(crate) const TAKES: Duration = Duration::from_millis(100);
pub(crate) const SLOTS: usize = 20;

/// How long a worker that is told to end waits for its jobs.
const GRACE: Duration = Duration::from_secs(5);

/// The job with the number `n`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Numbered {
    pub(crate) n: i64,
}

impl Job for Numbered {
    const KIND: &'static str = "numbered";
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Work {
    #[arg(long)]
    url: String,
    #[arg(long)]
    lease_s: u64,
}

/// What a worker process calls itself in `queue.workers`.
pub(crate) fn name(pid: u32) -> String {
    format!("process {pid}")
}

/// Makes the tables of the handlers. No constraint keeps a second effect out, so that there can be one to
/// see.
pub(crate) async fn create_tables(conn: &mut PgConnection) -> Result<()> {
    let create = "create table starts
            (n bigint, attempt integer, pid integer, at timestamptz not null default clock_timestamp());
        create table effects (like starts including defaults);
        create table refusals (like starts including defaults)";
    sql::execute(conn, create).await
}

/// Works until the input ends.
pub(crate) async fn work(work: &Work) -> Result<()> {
    let pool = db::pool(&work.url, Role::Worker)?;
    let settings = SessionSettings {
        name: name(std::process::id()),
        lease: Duration::from_secs(work.lease_s),
        ..SessionSettings::default()
    };
    let session = Session::start(pool.clone(), settings).await?;
    let worker = WorkerBuilder::new(Numbered::KIND)
        .backend(session.backend::<Numbered>(QueueConfig::fixed(SLOTS)))
        .data(pool)
        .build(run);
    let worker = tokio::spawn(worker.run());
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
    session.shutdown(GRACE).await;
    Ok(worker.await??)
}

async fn run(job: Numbered, lease: Data<Lease>, pool: Data<PgPool>) -> Result<(), BoxDynError> {
    let (lease, pool) = (lease.0, pool.0);
    let row = format!("({}, {}, {})", job.n, lease.attempt(), std::process::id());
    let mut conn = pool.acquire().await?;
    sql::execute(&mut conn, format!("insert into starts values {row}")).await?;
    drop(conn);
    tokio::time::sleep(TAKES).await;
    // In a task of its own, which goes on when the handler is stopped: a worker that has lost its jobs must
    // not get by because its heartbeat tells it so in time, but because the database refuses.
    tokio::spawn(take_effect(pool, lease, row)).await??;
    Ok(())
}

async fn take_effect(pool: PgPool, lease: Lease, row: String) -> Result<()> {
    let mut tx = db::begin(&pool).await?;
    sql::execute(&mut tx, format!("insert into effects values {row}")).await?;
    match lease.complete_in(&mut tx).await {
        Ok(()) => tx.commit().await?,
        Err(lost @ CompleteError::LeaseLost(_)) => {
            tx.rollback().await?;
            let mut conn = pool.acquire().await?;
            sql::execute(&mut conn, format!("insert into refusals values {row}")).await?;
            return Err(lost.into());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
