use sqlx::PgConnection;

use crate::JobId;

/// Whether the end of a cancelled or discarded job still stands: false when a [`retry`](super::retry) has
/// brought it back, whatever became of it since. For follow-ups ([`Job::ON_DISCARD`](crate::Job::ON_DISCARD))
/// that undo or give up what the job was to do: of a job that lives again there is nothing to give up, and if
/// it is discarded again it has another follow-up.
///
/// Until the caller's transaction ends, a retry waits: it locks the job's row in the history for key share,
/// after having waited for a retry that is under way. A job that is too old to be known was not retried.
///
/// # Errors
/// The database's.
pub async fn end_stands(conn: &mut PgConnection, id: JobId) -> Result<bool, sqlx::Error> {
    let held = sqlx::query_scalar!(
        r#"select state <> 'completed' as "stands!" from queue.job_history where id = $1 for key share"#,
        id
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(stands) = held {
        return Ok(stands);
    }
    // It has come back, or is forgotten. One look at both places: it could move between two.
    sqlx::query_scalar!(
        r#"
        select not exists (select from queue.live_jobs where id = $1)
           and not exists (select from queue.job_history where id = $1) as "stands!"
        "#,
        id
    )
    .fetch_one(conn)
    .await
}
