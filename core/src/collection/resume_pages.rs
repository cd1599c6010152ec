//! The fetching jobs of a collection that goes on: those of many pages are enqueued in portions, by a job.

use resume_queue::{EnqueueError, JobId, NewJob, enqueue_all};
use sqlx::PgConnection;
use uuid::Uuid;

use super::page::{Run, enqueue_fetches};
use crate::jobs::ResumePages;

/// How many pages get their jobs in one transaction: a fraction of a second, for which the collection is locked.
const PAGES_AT_ONCE: usize = 10_000;

/// Enqueues the fetching of the next waiting pages of a collection that was resumed, and a job for those behind them. Does nothing
/// for one that was stopped since. In the caller's transaction, which should also complete the job of this id; locks the
/// pages, then the collection.
///
/// # Errors
/// The database's; roll back.
pub async fn resume_pages(
    conn: &mut PgConnection,
    job: &ResumePages,
    job_id: JobId,
) -> Result<(), EnqueueError> {
    let pages = sqlx::query_scalar!(
        r#"
        select number from pages
        where collection_id = $1 and state = 'pending' and number > $2 and number <= $3
        order by number limit $4
        for update
        "#,
        job.collection_id,
        job.after,
        job.last,
        PAGES_AT_ONCE as i64,
    )
    .fetch_all(&mut *conn)
    .await?;
    let held = sqlx::query!(
        r#"
        select group_id, source from collections
        where id = $1 and finished_at is null and state <> 'paused' and $2 > coalesce(stop_job_id, -1)
        for update
        "#,
        job.collection_id,
        job_id,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(held) = held else { return Ok(()) };
    let run = Run { collection_id: job.collection_id, group: held.group_id, source: &held.source };
    enqueue_portion(conn, run, &pages, job.last).await
}

/// Enqueues the fetching of waiting pages, given in order: of the first ones at once, of the others, up to `last`, by a job. Pages
/// that have a job already are handed over to the new one. In the caller's transaction, which holds the lock of the collection.
pub(super) async fn enqueue_portion(
    conn: &mut PgConnection,
    run: Run<'_>,
    pages: &[i32],
    last: i32,
) -> Result<(), EnqueueError> {
    let portion = &pages[..pages.len().min(PAGES_AT_ONCE)];
    let Some(&after) = portion.last() else { return Ok(()) };
    let jobs = enqueue_fetches(conn, run, portion).await?;
    hand_over(conn, run.collection_id, portion, &jobs).await?;
    if after < last {
        let next = NewJob::new(&ResumePages { collection_id: run.collection_id, after, last })?;
        enqueue_all(conn, &[run.in_group(next)]).await?;
    }
    Ok(())
}

/// Notes which jobs the pages belong to from now on: their earlier ones may be retried as well.
pub(super) async fn hand_over(
    conn: &mut PgConnection,
    id: Uuid,
    pages: &[i32],
    jobs: &[JobId],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update pages set fetch_job_id = j.id from unnest($2::integer[], $3::bigint[]) as j (number, id)
        where pages.collection_id = $1 and pages.number = j.number
        "#,
        id,
        pages,
        jobs,
    )
    .execute(conn)
    .await?;
    Ok(())
}
