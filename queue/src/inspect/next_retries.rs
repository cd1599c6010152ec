use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgPool;

use crate::JobId;

/// A job that waits for its next attempt, and what went wrong the last time.
#[derive(Debug, Clone, PartialEq)]
pub struct NextRetry {
    /// The job.
    pub id: JobId,
    /// Its queue.
    pub queue: String,
    /// Its payload.
    pub args: Value,
    /// When its next attempt is due.
    pub next_at: DateTime<Utc>,
    /// The code of its last error.
    pub code: String,
    /// Its last error.
    pub error: String,
}

/// The jobs that have had an error and are tried again next, the first to come first. Looks at the next `limit`
/// jobs of each of these queues that wait for their time, by the index `live_jobs_due`.
///
/// # Errors
/// The database's.
pub async fn next_retries(pool: &PgPool, queues: &[&str], limit: i64) -> Result<Vec<NextRetry>, sqlx::Error> {
    sqlx::query_as!(
        NextRetry,
        r#"
        select j.id, j.queue, j.args, j.run_at as next_at, coalesce(j.errors -> -1 ->> 'code', 'error') as "code!",
               coalesce(j.errors -> -1 ->> 'error', '') as "error!"
        from unnest($1::text[]) as q (name)
        cross join lateral (
            select * from queue.live_jobs
            where queue = q.name and state in ('scheduled', 'retryable') order by run_at limit $2
        ) j
        where j.errors is not null
        order by j.run_at, j.id
        "#,
        queues as &[&str],
        limit,
    )
    .fetch_all(pool)
    .await
}
