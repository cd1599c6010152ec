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
    /// When its next attempt is due; `None`: it is.
    pub next_at: Option<DateTime<Utc>>,
    /// The code of its last error.
    pub code: String,
    /// Its last error.
    pub error: String,
}

/// The jobs that have had an error and are tried again next, the first to come first: of each queue, those
/// among the next `limit` jobs that wait for their time.
///
/// # Errors
/// The database's.
pub async fn next_retries(pool: &PgPool, queues: &[&str], limit: i64) -> Result<Vec<NextRetry>, sqlx::Error> {
    sqlx::query_as!(
        NextRetry,
        r#"
        select id as "id!", queue as "queue!", args as "args!", case when run_at > now() then run_at end as next_at,
               coalesce(errors -> -1 ->> 'code', 'error') as "code!", coalesce(errors -> -1 ->> 'error', '') as "error!"
        from queue.next_retries($1, $2)
        "#,
        queues as &[&str],
        limit,
    )
    .fetch_all(pool)
    .await
}
