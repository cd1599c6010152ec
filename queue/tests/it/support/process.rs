//! Workers that are processes of their own, to be killed.

use std::{
    env,
    process::{Child, Command, Stdio},
    time::Duration,
};

use resume_queue::{Lease, SessionSettings};
use sqlx::{AssertSqlSafe, PgPool, raw_sql};

use super::{HandlerResult, TestWorker, Work, execute};

const DATABASE: &str = "QUEUE_TEST_DATABASE";
const CONCURRENCY: &str = "QUEUE_TEST_CONCURRENCY";
const JOB_MS: &str = "QUEUE_TEST_JOB_MS";
const LEASE_MS: &str = "QUEUE_TEST_LEASE_MS";

/// How a worker process treats the queue `work`. Each job is an effect in the table `effects` that is
/// committed together with the completion.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessSettings {
    pub(crate) concurrency: usize,
    /// How long each job takes before its effect.
    pub(crate) job: Duration,
    pub(crate) lease: Duration,
}

/// A worker process. It is killed with the value.
#[derive(Debug)]
pub(crate) struct WorkerProcess(Child);

impl WorkerProcess {
    pub(crate) fn start(url: &str, settings: ProcessSettings) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "support::process::worker_process", "--nocapture"])
            .env(DATABASE, url)
            .env(CONCURRENCY, settings.concurrency.to_string())
            .env(JOB_MS, settings.job.as_millis().to_string())
            .env(LEASE_MS, settings.lease.as_millis().to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// What its worker calls itself.
    pub(crate) fn name(&self) -> String {
        format!("process {}", self.id())
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Stops the process as `SIGSTOP` does, or lets it go on.
    pub(crate) fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Creates the table of effects: one row for each time that a job ran to its end, `starts` for each time it
/// began.
pub(crate) async fn create_effects(pool: &PgPool) {
    execute(
        pool,
        "create table effects (n bigint, attempt integer, pid integer); create table starts (like effects)",
    )
    .await;
}

/// The body of a worker process. As a test of the suite it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_process() {
    let Ok(url) = env::var(DATABASE) else { return };
    let read = |name: &str| env::var(name).unwrap().parse::<u64>().unwrap();
    let job = Duration::from_millis(read(JOB_MS));
    let settings = SessionSettings {
        name: format!("process {}", std::process::id()),
        lease: Duration::from_millis(read(LEASE_MS)),
        poll: Duration::from_secs(5),
        ..SessionSettings::default()
    };
    let worker = TestWorker::start_with(&url, settings).await;
    let pool = worker.pool.clone();
    let _worker = worker.work(read(CONCURRENCY) as usize, move |work: Work, lease| {
        let pool = pool.clone();
        async move { effect(&pool, work.n, &lease, job).await }
    });
    std::future::pending::<()>().await;
}

/// A handler: the effect and the completion in one transaction.
pub(crate) async fn effect(pool: &PgPool, n: i64, lease: &Lease, takes: Duration) -> HandlerResult {
    let values = format!("values ({n}, {}, {})", lease.attempt(), std::process::id());
    let mut conn = pool.acquire().await?;
    raw_sql(AssertSqlSafe(format!("insert into starts {values}"))).execute(&mut *conn).await?;
    drop(conn);
    tokio::time::sleep(takes).await;
    // In a task of its own: sqlx returns a connection whose `begin` is dropped half-way to the pool with the
    // transaction open, and this handler may be stopped at any moment.
    let pool = pool.clone();
    let mut tx = tokio::spawn(async move { pool.begin().await }).await??;
    raw_sql(AssertSqlSafe(format!("insert into effects {values}"))).execute(&mut *tx).await?;
    lease.complete_in(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}
