use sqlx::PgPool;

use super::filter::{Changed, JobFilter, Progress, Remaining, WINDOW, changed_one};
use crate::{JobId, JobState};

const WAITING: [JobState; 2] = [JobState::Scheduled, JobState::Retryable];
const ENDED: [JobState; 2] = [JobState::Cancelled, JobState::Discarded];

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
    let waiting = hasten(pool, Some(id), &filter, this).await?;
    let progress = if waiting.changed > 0 { waiting } else { revive(pool, Some(id), &filter, this).await? };
    changed_one(pool, id, progress).await
}

/// [Retries](retry) the next batch of the jobs that `filter` chooses: of those that are `remaining`, in the order of their ids,
/// or of all that there are now.
///
/// Looks at 5,000 live and 5,000 ended jobs, in two statements, and locks the chosen ones in the order of their ids until each
/// ends. A conflict may be counted again by the next batch. `filter.states` says whether all dead letters come back too.
///
/// # Errors
/// The database's.
pub async fn retry_all(
    pool: &PgPool,
    filter: &JobFilter,
    remaining: Option<Remaining>,
) -> Result<Progress, sqlx::Error> {
    let remaining = Remaining::or_all(remaining, pool).await?;
    let waiting = hasten(pool, None, filter, remaining).await?;
    let ended = revive(pool, None, filter, remaining).await?;
    // Both go on from where the slower one stands; what is done is not chosen again.
    let next = waiting.next.into_iter().chain(ended.next).min_by_key(|remaining| remaining.after);
    Ok(Progress { changed: waiting.changed + ended.changed, conflicts: ended.conflicts, next })
}

/// Makes waiting jobs available.
async fn hasten(
    pool: &PgPool,
    one: Option<JobId>,
    filter: &JobFilter,
    remaining: Remaining,
) -> Result<Progress, sqlx::Error> {
    let states = filter.states_of(&WAITING);
    let done = sqlx::query!(
        r#"
        with seen as materialized (
            select id, state = any($2) and queue.matches(queue, kind, errors, created_at, group_id, args, $3) as is_chosen
            from queue.live_jobs
            where id > $4 and ($1::bigint is null or id = $1)
            order by id limit $6
        ), chosen as materialized (
            select id from queue.live_jobs
            where id = any(array(select id from seen where is_chosen and id <= $5)) and state = any($2)
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
        select (select count(*) from hastened) as "changed!",
               least($5, (select max(id) from seen having count(*) = $6)) as "done_to!",
               (select n from told) as "told!"
        "#,
        one,
        &states as &[JobState],
        filter.to_json(),
        remaining.after,
        remaining.last,
        WINDOW,
    )
    .fetch_one(pool)
    .await?;
    Ok(Progress::of_batch(done.changed, done.changed, remaining, done.done_to))
}

/// Brings ended jobs back from the history.
async fn revive(
    pool: &PgPool,
    one: Option<JobId>,
    filter: &JobFilter,
    remaining: Remaining,
) -> Result<Progress, sqlx::Error> {
    let states = filter.states_of(&ENDED);
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
