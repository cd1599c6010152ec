use sqlx::PgPool;

use super::filter::{Changed, JobFilter, Progress, Remaining, WINDOW, changed_one};
use crate::{JobId, JobState};

/// The states of the jobs that can be retried.
pub const RETRY_STATES: [JobState; 4] =
    [JobState::Scheduled, JobState::Retryable, JobState::Cancelled, JobState::Discarded];

/// Makes a job run now: a scheduled or retryable one does not wait any longer, a cancelled or discarded one comes back from
/// the history under its id, with its errors and one more attempt. It does not come back while another job has its
/// unique key, and it leaves its group if that has finished. One that is available, running or completed is left alone.
///
/// Locks the job's row, and its unique key, for the moment of the statement.
///
/// # Errors
/// The database's.
pub async fn retry(pool: &PgPool, id: JobId) -> Result<Changed, sqlx::Error> {
    let (filter, this) = (JobFilter::default(), Remaining::of_one(id));
    if hasten(pool, &filter, this).await? > 0 {
        return Ok(Changed::Done);
    }
    changed_one(pool, id, revive(pool, Some(id), &filter, this).await?).await
}

/// [Retries](retry) the next batch of the jobs that `filter` chooses: of those that are `remaining`, in the order of their ids,
/// or of all that there are now. Each job is counted once.
///
/// Looks at 5,000 live and 5,000 ended jobs, and locks the chosen ones in the order of their ids until each of two statements
/// ends. `filter.states` says whether all dead letters come back too.
///
/// # Errors
/// The database's.
pub async fn retry_all(
    pool: &PgPool,
    filter: &JobFilter,
    remaining: Option<Remaining>,
) -> Result<Progress, sqlx::Error> {
    let remaining = Remaining::or_all(remaining, pool).await?;
    // Live and ended jobs of the same ids, those that both windows reach: what one has beyond them would be looked at again.
    let last = end_of_live_window(pool, remaining).await?;
    let ended = revive(pool, None, filter, Remaining { last, ..remaining }).await?;
    let done_to = ended.next.map_or(last, |next| next.after);
    let waiting = hasten(pool, filter, Remaining { last: done_to, ..remaining }).await?;
    Ok(Progress { changed: waiting + ended.changed, next: remaining.behind(done_to), ..ended })
}

/// The id up to which the next window of live jobs reaches.
async fn end_of_live_window(pool: &PgPool, remaining: Remaining) -> Result<JobId, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select least($2, (select id from queue.live_jobs where id > $1 order by id offset $3 limit 1)) as "last!"
        "#,
        remaining.after,
        remaining.last,
        WINDOW - 1,
    )
    .fetch_one(pool)
    .await
}

/// Makes waiting jobs available, all that remain; gives their number.
async fn hasten(pool: &PgPool, filter: &JobFilter, remaining: Remaining) -> Result<u64, sqlx::Error> {
    let states = filter.states_of(&RETRY_STATES);
    let changed = sqlx::query_scalar!(
        r#"
        with chosen as materialized (
            select id from queue.live_jobs
            where id > $3 and id <= $4 and state = any($1)
              and queue.matches(queue, kind, errors, created_at, group_id, args, $2)
            order by id
            for update
        ), hastened as (
            update queue.live_jobs
            set state = 'available', run_at = now(), turn = now() - make_interval(mins => priority)
            where id = any(array(select id from chosen))
            returning queue
        ), told as (
            select count(pg_notify('queue', queue)) as n from (select distinct queue from hastened) q
        )
        select (select count(*) from hastened) as "changed!" from told
        "#,
        &states as &[JobState],
        filter.to_json(),
        remaining.after,
        remaining.last,
    )
    .fetch_one(pool)
    .await?;
    Ok(changed.unsigned_abs())
}

/// Brings ended jobs back from the history.
async fn revive(
    pool: &PgPool,
    one: Option<JobId>,
    filter: &JobFilter,
    remaining: Remaining,
) -> Result<Progress, sqlx::Error> {
    let states = filter.states_of(&RETRY_STATES);
    let done = sqlx::query_file!(
        "src/control/revive.sql",
        one,
        &states as &[JobState],
        filter.to_json(),
        remaining.after,
        remaining.last,
        WINDOW,
    )
    .fetch_one(pool)
    .await?;
    Ok(Progress::of_batch(done.chosen, done.changed, remaining, done.done_to))
}
