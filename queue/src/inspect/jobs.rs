use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use crate::{GroupId, JobFilter, JobId, JobState};

/// How many live jobs a page of a list looks at, and how many ended ones.
const WINDOW: i64 = 20_000;

/// A job, live or ended.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    /// Its number.
    pub id: JobId,
    /// The queue it waits in.
    pub queue: String,
    /// What sort of job it is.
    pub kind: String,
    /// Where it stands.
    pub state: JobState,
    /// Its payload.
    pub args: Value,
    /// Attempts used.
    pub attempt: i32,
    /// Attempts it has in all.
    pub max_attempts: i32,
    /// Minutes that its turn comes earlier.
    pub priority: i16,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it is or was due.
    pub run_at: DateTime<Utc>,
    /// When its last attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The name of the worker of its last attempt.
    pub worker: Option<String>,
    /// One `{"attempt", "at", "code", "error"}` for each failed attempt, oldest first.
    pub errors: Option<Value>,
    /// Its unique key.
    pub idempotency_key: Option<String>,
    /// Its concurrency key.
    pub concurrency_key: Option<String>,
    /// Its group.
    pub group_id: Option<GroupId>,
    /// What it becomes when its handler has stopped, if somebody asked for that.
    pub end_as: Option<JobState>,
    /// Its W3C trace context.
    pub traceparent: Option<String>,
}

/// A page of a list of jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPage {
    /// Newest first.
    pub jobs: Vec<JobRow>,
    /// Jobs below this id come next. A page looks at 20,000 live and 20,000 ended jobs at most, so it may be
    /// short, or empty, and there may be more all the same.
    pub next: Option<JobId>,
}

/// One job.
///
/// # Errors
/// The database's.
pub async fn job(pool: &PgPool, id: JobId) -> Result<Option<JobRow>, sqlx::Error> {
    // The first job from this id down is this one, or there is none.
    let look = Look { one: Some(id), before: id.saturating_add(1), window: 1, limit: 1 };
    let page = page(&mut *pool.acquire().await?, &JobFilter::default(), look).await?;
    Ok(page.jobs.into_iter().next())
}

/// The jobs that `filter` chooses, newest first, those below `before`; at most `limit`.
///
/// # Errors
/// The database's.
pub async fn jobs(
    pool: &PgPool,
    filter: &JobFilter,
    before: Option<JobId>,
    limit: u32,
) -> Result<JobPage, sqlx::Error> {
    let look = Look { one: None, before: before.unwrap_or(JobId::MAX), window: WINDOW, limit };
    page(&mut *pool.acquire().await?, filter, look).await
}

/// What a page looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) one: Option<JobId>,
    pub(crate) before: JobId,
    pub(crate) window: i64,
    pub(crate) limit: u32,
}

pub(crate) async fn page(
    conn: &mut PgConnection,
    filter: &JobFilter,
    look: Look,
) -> Result<JobPage, sqlx::Error> {
    let states = filter.states_of(&JobState::ALL);
    let rows = sqlx::query_file!(
        "src/inspect/jobs.sql",
        look.one,
        &states as &[JobState],
        filter.to_json(),
        look.before,
        look.window,
        i64::from(look.limit),
    )
    .fetch_all(conn)
    .await?;
    let is_full = rows.iter().filter(|row| row.id.is_some()).count() == look.limit as usize;
    let looked_down_to = rows.first().and_then(|row| row.looked_down_to);
    let jobs: Vec<JobRow> = rows
        .into_iter()
        .filter_map(|row| {
            Some(JobRow {
                id: row.id?,
                queue: row.queue?,
                kind: row.kind?,
                state: row.state?,
                args: row.args?,
                attempt: row.attempt?,
                max_attempts: row.max_attempts?,
                priority: row.priority?,
                created_at: row.created_at?,
                run_at: row.run_at?,
                started_at: row.started_at,
                finished_at: row.finished_at,
                worker: row.worker,
                errors: row.errors,
                idempotency_key: row.idempotency_key,
                concurrency_key: row.concurrency_key,
                group_id: row.group_id,
                end_as: row.end_as,
                traceparent: row.traceparent,
            })
        })
        .collect();
    let next = if is_full { jobs.last().map(|job| job.id) } else { looked_down_to };
    Ok(JobPage { jobs, next })
}
