use std::time::Duration;

use sqlx::{Connection, PgConnection};

use super::{CHANNEL, Missed, NewSchedule, Schedule, Timing, pull_back::pull_back};
use crate::{JobId, metrics};

/// All schedules, by name.
///
/// # Errors
/// The database's own.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Schedule>, sqlx::Error> {
    read(conn, None).await
}

/// The schedule of this name.
///
/// # Errors
/// The database's own.
pub async fn get(conn: &mut PgConnection, name: &str) -> Result<Option<Schedule>, sqlx::Error> {
    Ok(read(conn, Some(name)).await?.pop())
}

/// Lets a schedule fire again, in the caller's transaction; false when there is none of this name. The ticks
/// that came while it was disabled count as missed: its [`Missed`] says what becomes of them. A next tick
/// that a clock which was ahead has put off is the next one from now.
///
/// Locks its row until the transaction ends.
///
/// # Errors
/// The database's own.
pub async fn enable(conn: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    switch(conn, name, true).await
}

/// Keeps a schedule from firing, in the caller's transaction; false when there is none of this name.
///
/// Locks its row until the transaction ends.
///
/// # Errors
/// The database's own.
pub async fn disable(conn: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    switch(conn, name, false).await
}

/// Forgets a schedule, in the caller's transaction; false when there is none of this name. Its jobs are left
/// alone.
///
/// # Errors
/// The database's own.
pub async fn delete(conn: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("delete from queue.schedules where name = $1", name).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}

/// Enqueues a job of a schedule now, in the caller's transaction, also of one that is disabled; `None` when
/// there is none of this name. Its ticks stay as they are.
///
/// Locks its row until the transaction ends.
///
/// # Errors
/// The database's own.
pub async fn run_now(conn: &mut PgConnection, name: &str) -> Result<Option<JobId>, sqlx::Error> {
    let job = sqlx::query!(
        r#"
        with schedule as materialized (
            select kind, args, priority, max_attempts, on_discard from queue.schedules where name = $1 for update
        ), enqueued as (
            insert into queue.live_jobs (queue, kind, state, args, priority, max_attempts, on_discard, turn)
            select kind, kind, 'available', args, priority, max_attempts, on_discard,
                   now() - make_interval(mins => priority)
            from schedule
            returning id, kind
        )
        update queue.schedules set last_at = now(), last_job_id = enqueued.id
        from enqueued where name = $1
        returning enqueued.id as "id!", enqueued.kind as "kind!"
        "#,
        name
    )
    .fetch_optional(conn)
    .await?;
    if let Some(job) = &job {
        metrics::sent(&job.kind, 1);
    }
    Ok(job.map(|job| job.id))
}

async fn switch(conn: &mut PgConnection, name: &str, enabled: bool) -> Result<bool, sqlx::Error> {
    let mut tx = conn.begin().await?;
    let done = sqlx::query!(
        "update queue.schedules set enabled = $2, last_error = null, updated_at = now() where name = $1",
        name,
        enabled
    )
    .execute(&mut *tx)
    .await?;
    if enabled {
        pull_back(&mut tx, Some(name)).await?;
    }
    sqlx::query!(r#"select pg_notify($1, '') as "notified!""#, CHANNEL).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(done.rows_affected() == 1)
}

/// The schedule of a name, or all of them.
pub(super) async fn read(conn: &mut PgConnection, name: Option<&str>) -> Result<Vec<Schedule>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select name, cron, time_zone, at, kind, args, priority, max_attempts, on_discard, missed as "missed: Missed", jitter_s,
               enabled, next_at, last_at, last_job_id, last_error, created_at, updated_at,
               clock_timestamp() as "read_at!"
        from queue.schedules where $1::text is null or name = $1 order by name
        "#,
        name
    )
    .fetch_all(conn)
    .await?;
    let schedules = rows.into_iter().map(|row| Schedule {
        what: NewSchedule {
            name: row.name,
            timing: timing(row.cron, row.time_zone, row.at),
            kind: row.kind,
            args: row.args,
            priority: row.priority,
            max_attempts: u16::try_from(row.max_attempts).unwrap_or(u16::MAX),
            on_discard: row.on_discard,
            missed: row.missed,
            jitter: Duration::from_secs(row.jitter_s.unsigned_abs().into()),
        },
        enabled: row.enabled,
        next_at: row.next_at,
        last_at: row.last_at,
        last_job_id: row.last_job_id,
        last_error: row.last_error,
        created_at: row.created_at,
        updated_at: row.updated_at,
        read_at: row.read_at,
    });
    Ok(schedules.collect())
}

/// The timing that a row stands for; a constraint sees to it that it has one of the two.
pub(super) fn timing(
    cron: Option<String>,
    time_zone: String,
    at: Option<chrono::DateTime<chrono::Utc>>,
) -> Timing {
    match at {
        Some(at) => Timing::Once(at),
        None => Timing::Cron { expression: cron.unwrap_or_default(), time_zone },
    }
}
