//! Kinds of jobs for tests, and a look at where jobs stand.

use std::time::Duration;

use chrono::{DateTime, Utc};
use resume_queue::{Job, JobState, NewJob};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool, Row, raw_sql};

use super::{number, until};

/// The job of most tests: a number, three attempts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) n: i64,
}

impl Job for Work {
    const KIND: &'static str = "work";
    const MAX_ATTEMPTS: u16 = 3;
}

pub(crate) fn work(n: i64) -> NewJob {
    NewJob::new(&Work { n }).unwrap()
}

/// A job of another queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Other {
    pub(crate) n: i64,
}

impl Job for Other {
    const KIND: &'static str = "other";
}

/// A job with a payload as large as asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Text(pub(crate) String);

impl Job for Text {
    const KIND: &'static str = "text";
}

/// A job that may take 50 ms.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hasty(pub(crate) String);

impl Job for Hasty {
    const KIND: &'static str = "hasty";
    const TIMEOUT: Duration = Duration::from_millis(50);
}

/// A job that somebody must hear of when it is discarded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Watched {
    pub(crate) n: i64,
}

impl Job for Watched {
    const KIND: &'static str = "watched";
    const MAX_ATTEMPTS: u16 = 2;
    const ON_DISCARD: Option<&'static str> = Some("mourn");
}

/// A row of the view `jobs`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobRow {
    pub(crate) id: i64,
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) state: JobState,
    pub(crate) args: Value,
    pub(crate) attempt: i32,
    pub(crate) max_attempts: i32,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) run_at: DateTime<Utc>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    pub(crate) worker: Option<String>,
    pub(crate) last_error: Option<String>,
    pub(crate) errors: Option<Value>,
}

impl JobRow {
    /// The texts of all failed attempts, oldest first, each with its number.
    pub(crate) fn failures(&self) -> Vec<(i64, String)> {
        let errors = self.errors.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        let failure = |e: &Value| (e["attempt"].as_i64().unwrap(), e["error"].as_str().unwrap().to_owned());
        errors.iter().map(failure).collect()
    }
}

/// All jobs, live and ended, oldest first.
pub(crate) async fn jobs(pool: &PgPool) -> Vec<JobRow> {
    sqlx::query_as!(
        JobRow,
        r#"
        select id as "id!", queue as "queue!", kind as "kind!", state as "state!: JobState", args as "args!",
               attempt as "attempt!", max_attempts as "max_attempts!", created_at as "created_at!", run_at as "run_at!",
               started_at, finished_at, worker, last_error, errors
        from queue.jobs order by id
        "#
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

pub(crate) async fn job(pool: &PgPool, id: i64) -> JobRow {
    jobs(pool).await.into_iter().find(|job| job.id == id).unwrap()
}

/// Waits until a job stands as asked.
pub(crate) async fn until_job(pool: &PgPool, id: i64, stands: impl Fn(&JobRow) -> bool) -> JobRow {
    until(&format!("job {id} in the state asked for"), || async { Some(job(pool, id).await).filter(&stands) })
        .await
}

pub(crate) async fn until_state(pool: &PgPool, id: i64, state: JobState) -> JobRow {
    until_job(pool, id, |job| job.state == state).await
}

/// Waits until no job is live and gives the number of those that ended well.
pub(crate) async fn until_all_ended(pool: &PgPool) -> i64 {
    until("no live jobs", || async { (live_jobs(pool).await == 0).then_some(()) }).await;
    completed_jobs(pool).await
}

pub(crate) async fn live_jobs(pool: &PgPool) -> i64 {
    number(pool, "select count(*) from queue.live_jobs").await.unwrap()
}

pub(crate) async fn completed_jobs(pool: &PgPool) -> i64 {
    number(pool, "select count(*) from queue.job_history where state = 'completed'").await.unwrap()
}

/// Claims jobs of the queue `work` as a worker does, for one that does nothing with them; gives their
/// payloads by turn.
pub(crate) async fn claim_by_hand(pool: &PgPool, most: usize) -> Vec<i64> {
    let sql = format!(
        "select coalesce(array_agg((args ->> 'n')::bigint order by turn, id), '{{}}')
         from queue.claim('work', 1, {most}, 30, '-infinity', 0)"
    );
    raw_sql(AssertSqlSafe(sql)).fetch_one(pool).await.unwrap().get(0)
}

/// Makes the lease of a running job run out, as if its worker had been cut off, until another session has
/// taken it back.
pub(crate) async fn lose_lease(pool: &PgPool, id: i64) {
    let attempt = job(pool, id).await.attempt;
    until("the job is rescued", || async {
        let expire =
            "update queue.live_jobs set lease_until = now() - interval '1 minute' where state = 'running'";
        super::execute(pool, format!("{expire} and id = {id} and attempt = {attempt}")).await;
        let job = job(pool, id).await;
        (job.state != JobState::Running || job.attempt != attempt).then_some(())
    })
    .await;
}

/// Waits until a worker has shown so many new signs of life.
pub(crate) async fn until_heartbeats_of(pool: &PgPool, worker: &str, count: usize) {
    let last = || async {
        let last = "select (extract(epoch from max(heartbeat_at)) * 1000000)::bigint from queue.workers where name =";
        number(pool, format!("{last} '{worker}'")).await
    };
    for _ in 0..count {
        let before = last().await;
        until("a heartbeat", || async { last().await.filter(|now| Some(*now) != before) }).await;
    }
}
