//! Handlers that are none of the project's, in a worker process that is this test binary.

use std::{
    env,
    process::{Command, exit},
    time::Duration,
};

use apalis::prelude::{BoxDynError, Data, WorkerBuilder};
use resume_crash_kit::{DATABASE_URL, DIRECT_URL, Invariant, Scenario};
use resume_queue::{Job, Lease, NewJob, QueueConfig, Session, SessionSettings, enqueue_all};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgPool, raw_sql};
use tokio::signal::unix::{SignalKind, signal};

const IS_CAREFUL: &str = "INVOICES_IS_CAREFUL";

#[derive(Debug, Serialize, Deserialize)]
struct WriteInvoice {
    n: i64,
}

impl Job for WriteInvoice {
    const KIND: &'static str = "write_invoice";
}

/// Three invoices to write, in the transaction that completes the job or before it.
pub(crate) struct Invoices {
    pub(crate) is_careful: bool,
}

impl Scenario for Invoices {
    type Fixture = ();

    fn name(&self) -> &str {
        "invoices"
    }

    async fn prepare(&self, pool: &PgPool) -> anyhow::Result<()> {
        let mut conn = pool.acquire().await?;
        raw_sql("create table invoices (n bigint)").execute(&mut *conn).await?;
        let jobs = (1..=3).map(|n| NewJob::new(&WriteInvoice { n })).collect::<Result<Vec<_>, _>>()?;
        enqueue_all(&mut conn, &jobs).await?;
        Ok(())
    }

    fn worker(&self) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "invoices::worker_process", "--nocapture"]);
        command.env(IS_CAREFUL, self.is_careful.to_string());
        command
    }

    fn invariants(&self) -> Vec<Invariant> {
        vec![Invariant::no_rows(
            "every invoice is written once",
            "select n, count(invoices.n) from generate_series(1, 3) n left join invoices using (n) \
             group by n having count(invoices.n) <> 1",
        )]
    }
}

async fn write_invoice(
    job: WriteInvoice,
    lease: Data<Lease>,
    pool: Data<PgPool>,
    is_careful: Data<bool>,
) -> Result<(), BoxDynError> {
    let insert = raw_sql(AssertSqlSafe(format!("insert into invoices values ({})", job.n)));
    if !*is_careful {
        insert.execute(&*pool).await?;
        return Ok(());
    }
    let mut tx = pool.begin().await?;
    insert.execute(&mut *tx).await?;
    lease.complete_in(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// The worker process. As a test of the suite it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_process() {
    if env::var_os(DIRECT_URL).is_none() {
        return;
    }
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let is_careful: bool = env::var(IS_CAREFUL).unwrap().parse().unwrap();
    let pool = PgPool::connect(&env::var(DATABASE_URL).unwrap()).await.unwrap();
    let session = Session::start(pool.clone(), SessionSettings::default()).await.unwrap();
    let worker = WorkerBuilder::new("invoices")
        .backend(session.backend::<WriteInvoice>(QueueConfig::fixed(2)))
        .data(pool)
        .data(is_careful)
        .build(write_invoice);
    tokio::spawn(worker.run());
    terminate.recv().await;
    session.shutdown(Duration::from_secs(1)).await;
    // Nothing else is done by a process that is a worker.
    exit(0);
}
