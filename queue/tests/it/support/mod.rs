//! What the tests share: databases, waits, and a look at the jobs.

mod jobs;
mod process;
mod proxy;
mod worker;

use std::{
    future::Future,
    time::{Duration, Instant},
};

use resume_postgres::testing::TestDatabase;
use resume_queue::{Enqueued, Job, MIGRATOR, NewJob};
use sqlx::{AssertSqlSafe, PgPool, Row, postgres::PgPoolOptions, raw_sql};

pub(crate) use jobs::*;
pub(crate) use process::*;
pub(crate) use proxy::*;
pub(crate) use worker::*;

/// How long a test waits for what must happen, where no promise is measured.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn database() -> TestDatabase {
    TestDatabase::new(&[&MIGRATOR]).await.unwrap()
}

pub(crate) async fn own_cluster() -> TestDatabase {
    TestDatabase::on_own_cluster(&[&MIGRATOR]).await.unwrap()
}

/// A pool of its own on the test database, as each process has one.
pub(crate) async fn pool(url: &str, connections_max: u32) -> PgPool {
    let options = PgPoolOptions::new().max_connections(connections_max).acquire_timeout(DEADLINE);
    options.connect(url).await.unwrap()
}

/// Waits until `condition` gives a value.
pub(crate) async fn until<T, F, Fut>(what: &str, mut condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for a future, which must end before the deadline.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(DEADLINE, future).await;
    ended.unwrap_or_else(|_| panic!("waited {DEADLINE:?} in vain: {what}"))
}

/// Executes statements whose result is of no interest.
pub(crate) async fn execute(pool: &PgPool, sql: impl Into<String>) {
    raw_sql(AssertSqlSafe(sql.into())).execute(pool).await.unwrap();
}

/// Reads one number. For tables that only a test has, and for the server's own; `None` for null.
pub(crate) async fn number(pool: &PgPool, sql: impl Into<String>) -> Option<i64> {
    raw_sql(AssertSqlSafe(sql.into())).fetch_one(pool).await.unwrap().try_get(0).unwrap()
}

/// Enqueues `count` jobs that carry what `payload` makes of 0, 1, ..; gives their ids in that order.
pub(crate) async fn enqueue_many<J: Job>(pool: &PgPool, count: i64, payload: impl Fn(i64) -> J) -> Vec<i64> {
    let jobs: Vec<NewJob> = (0..count).map(|n| NewJob::new(&payload(n)).unwrap()).collect();
    let mut ids = Vec::with_capacity(jobs.len());
    for chunk in jobs.chunks(5000) {
        ids.extend(enqueue_jobs(pool, chunk).await.into_iter().map(inserted));
    }
    ids
}

/// Enqueues jobs in a transaction of their own.
pub(crate) async fn enqueue_jobs(pool: &PgPool, jobs: &[NewJob]) -> Vec<Enqueued> {
    let mut conn = pool.acquire().await.unwrap();
    resume_queue::enqueue_all(&mut conn, jobs).await.unwrap()
}

pub(crate) async fn enqueue_one(pool: &PgPool, job: NewJob) -> i64 {
    inserted(enqueue_jobs(pool, &[job]).await[0])
}

pub(crate) fn inserted(outcome: Enqueued) -> i64 {
    match outcome {
        Enqueued::Inserted(id) => id,
        Enqueued::Duplicate(_) => panic!("not inserted: {outcome:?}"),
    }
}

/// Waits until some session of this database waits for a lock.
pub(crate) async fn until_waiting_for_lock(pool: &PgPool) {
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    until("a session waits for a lock", || async { number(pool, waiting).await.filter(|n| *n > 0) }).await;
}

/// Waits until the workers of this database have not looked for jobs for 0.3 s, so that only a wake-up, or
/// the time of a scheduled job, makes them look again.
pub(crate) async fn idle(pool: &PgPool) {
    let looks = "select count(*) from pg_stat_activity where datname = current_database() \
                 and (query like '%from queue.claim(%' or query like '%as next_due_s%') \
                 and query not like '%pg_stat_activity%' and (state <> 'idle' or clock_timestamp() - state_change < '300 ms')";
    let start = Instant::now();
    let mut quiet_since = start;
    while quiet_since.elapsed() < Duration::from_millis(300) {
        assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain: the workers sleep");
        if number(pool, looks).await != Some(0) {
            quiet_since = Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Counts the transactions of this database for a while; those of the one who asks are a handful.
pub(crate) async fn transactions_per_second(pool: &PgPool, window: Duration) -> f64 {
    let count = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()";
    let before = number(pool, count).await.unwrap();
    let start = Instant::now();
    // Not a wait for something to happen, but the time that is measured.
    tokio::time::sleep(window).await;
    let after = number(pool, count).await.unwrap();
    (after - before) as f64 / start.elapsed().as_secs_f64()
}
