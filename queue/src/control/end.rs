use sqlx::PgPool;

use super::filter::{Changed, JobFilter, Progress, Remaining, WINDOW, changed_one};
use crate::{JobId, JobState, group::finish_groups};

/// The states of the jobs that can be cancelled or discarded.
pub const END_STATES: [JobState; 4] = JobState::LIVE;

/// Cancels a job. One that waits is over at once; a running one is told to stop, wherever it runs: its handler may clean
/// up ([`Lease::stop_requested`](crate::Lease::stop_requested)) and is dropped then, and the job is cancelled unless it has
/// completed by that time. Its `ON_DISCARD` follow-up is enqueued as for a discarded job.
///
/// Waits while a claim, the end of an attempt or a handler's transaction holds the job's row, and then goes by what became of
/// it. Of two requests for one running job the later one counts.
///
/// # Errors
/// The database's.
pub async fn cancel(pool: &PgPool, id: JobId) -> Result<Changed, sqlx::Error> {
    let this = Remaining::of_one(id);
    let progress = end_batch(pool, JobState::Cancelled, Some(id), &JobFilter::default(), this).await?;
    changed_one(pool, id, progress).await
}

/// Discards a job: as [`cancel`], but it counts as failed and stays with the dead letters, which are kept for 30 days instead
/// of 7.
///
/// # Errors
/// The database's.
pub async fn discard(pool: &PgPool, id: JobId) -> Result<Changed, sqlx::Error> {
    let this = Remaining::of_one(id);
    let progress = end_batch(pool, JobState::Discarded, Some(id), &JobFilter::default(), this).await?;
    changed_one(pool, id, progress).await
}

/// Cancels the next batch of the live jobs that `filter` chooses: of those that are `remaining`, in the order of their ids, or
/// of all that there are now. Follow-ups that an earlier batch has enqueued are not among them, whatever the filter.
///
/// Looks at 5,000 jobs, in one statement. Locks the chosen ones in the order of their ids until it ends, and waits for whoever
/// holds one of them.
///
/// # Errors
/// The database's.
pub async fn cancel_all(
    pool: &PgPool,
    filter: &JobFilter,
    remaining: Option<Remaining>,
) -> Result<Progress, sqlx::Error> {
    let remaining = Remaining::or_all(remaining, pool).await?;
    end_batch(pool, JobState::Cancelled, None, filter, remaining).await
}

/// Discards the next batch of the live jobs that `filter` chooses: as [`cancel_all`] otherwise.
///
/// # Errors
/// The database's.
pub async fn discard_all(
    pool: &PgPool,
    filter: &JobFilter,
    remaining: Option<Remaining>,
) -> Result<Progress, sqlx::Error> {
    let remaining = Remaining::or_all(remaining, pool).await?;
    end_batch(pool, JobState::Discarded, None, filter, remaining).await
}

async fn end_batch(
    pool: &PgPool,
    end_as: JobState,
    one: Option<JobId>,
    filter: &JobFilter,
    remaining: Remaining,
) -> Result<Progress, sqlx::Error> {
    let states = filter.states_of(&END_STATES);
    let mut conn = pool.acquire().await?;
    let done = sqlx::query_file!(
        "src/control/end.sql",
        end_as as JobState,
        one,
        &states as &[JobState],
        filter.to_json(),
        remaining.after,
        remaining.last,
        WINDOW,
    )
    .fetch_one(&mut *conn)
    .await?;
    if !done.groups.is_empty() {
        finish_groups(&mut conn, &done.groups).await?;
    }
    Ok(Progress::of_batch(done.changed, done.changed, remaining, done.done_to))
}
