use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::{
    again::Tries,
    filter::{Changed, JobFilter, Progress, Remaining, WINDOW, changed_one},
};
use crate::{JobId, JobState, group::finish_groups};

/// The states of the jobs that can be cancelled or discarded.
pub const END_STATES: [JobState; 4] = JobState::LIVE;

/// Cancels a job. One that waits is over at once; a running one is told to stop, wherever it runs: its
/// handler may clean up ([`Lease::stop_requested`](crate::Lease::stop_requested)) and is dropped then, and
/// the job is cancelled unless it has completed by that time. Its `ON_DISCARD` follow-up is enqueued as for a
/// discarded job.
///
/// Waits while a claim, the end of an attempt or a handler's transaction holds the job's row, and then goes
/// by what became of it. Of two requests for one running job the later one counts.
///
/// # Errors
/// The database's.
pub async fn cancel(pool: &PgPool, id: JobId) -> Result<Changed, sqlx::Error> {
    end_one(pool, JobState::Cancelled, id).await
}

/// Discards a job: as [`cancel`], but it counts as failed and stays with the dead letters, which are kept for
/// 30 days instead of 7.
///
/// # Errors
/// The database's.
pub async fn discard(pool: &PgPool, id: JobId) -> Result<Changed, sqlx::Error> {
    end_one(pool, JobState::Discarded, id).await
}

/// Cancels the next batch of the live jobs that `filter` chooses: of those that are `remaining`, in the order
/// of their ids, or of all that there are now. Follow-ups that an earlier batch has enqueued are not among
/// them, whatever the filter.
///
/// Looks at 5,000 jobs, and ends the chosen ones by one statement, which holds their locks until it ends. It
/// passes by those that somebody else holds; for these it waits one by one, each in a transaction of its own.
/// So it waits for nobody while others wait for it.
///
/// # Errors
/// The database's.
pub async fn cancel_all(
    pool: &PgPool,
    filter: &JobFilter,
    remaining: Option<Remaining>,
) -> Result<Progress, sqlx::Error> {
    let remaining = Remaining::or_all(remaining, pool).await?;
    end_many(pool, &Ending::new(JobState::Cancelled, filter), remaining).await
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
    end_many(pool, &Ending::new(JobState::Discarded, filter), remaining).await
}

/// What is to become of which jobs.
pub(crate) struct Ending {
    end_as: JobState,
    states: Vec<JobState>,
    filter: Value,
}

impl Ending {
    pub(crate) fn new(end_as: JobState, filter: &JobFilter) -> Self {
        Self { end_as, states: filter.states_of(&END_STATES), filter: filter.to_json() }
    }
}

async fn end_one(pool: &PgPool, end_as: JobState, id: JobId) -> Result<Changed, sqlx::Error> {
    let ending = Ending::new(end_as, &JobFilter::default());
    let ended = end_held(&mut *pool.acquire().await?, &ending, id).await?;
    changed_one(pool, id, Progress::of_batch(ended, ended, Remaining::of_one(id), id)).await
}

async fn end_many(pool: &PgPool, ending: &Ending, remaining: Remaining) -> Result<Progress, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let batch = end_batch(&mut conn, ending, remaining, false).await?;
    let mut changed = batch.changed;
    for id in batch.held {
        changed += end_held(&mut conn, ending, id).await?;
    }
    Ok(Progress::of_batch(changed, changed, remaining, batch.done_to))
}

/// Ends one job, also one that somebody holds; gives how many that were.
async fn end_held(conn: &mut PgConnection, ending: &Ending, id: JobId) -> Result<i64, sqlx::Error> {
    Ok(end_batch(conn, ending, Remaining::of_one(id), true).await?.changed)
}

/// What became of the jobs of one statement.
#[derive(Debug)]
pub(crate) struct Batch {
    changed: i64,
    done_to: JobId,
    /// Those that somebody else held.
    held: Vec<JobId>,
}

/// Ends the next jobs, and the groups whose last ones they were. One that `waits` for who holds them ends one
/// job, since it must not hold others meanwhile.
pub(crate) async fn end_batch(
    conn: &mut PgConnection,
    ending: &Ending,
    remaining: Remaining,
    waits: bool,
) -> Result<Batch, sqlx::Error> {
    let window = if waits { 1 } else { WINDOW };
    let mut tries = Tries::default();
    let done = loop {
        let done = sqlx::query_file!(
            "src/control/end.sql",
            ending.end_as as JobState,
            &ending.states as &[JobState],
            ending.filter,
            remaining.after,
            remaining.last,
            window,
            waits,
        )
        .fetch_one(&mut *conn)
        .await;
        match done {
            Err(error) if tries.again(&error) => {}
            done => break done?,
        }
    };
    // The jobs have ended, whatever comes of this.
    if !done.groups.is_empty()
        && let Err(error) = finish_groups(conn, &done.groups).await
    {
        tracing::warn!(%error, "finishing groups failed; the leader does it");
    }
    Ok(Batch { changed: done.changed, done_to: done.done_to, held: done.held })
}
