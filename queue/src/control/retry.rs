use sqlx::{PgConnection, PgPool};

use super::{
    again::Tries,
    filter::{Changed, JobFilter, Progress, Remaining, WINDOW, changed_one},
};
use crate::{JobId, JobState};

/// The states of the jobs that can be retried.
pub const RETRY_STATES: [JobState; 4] =
    [JobState::Scheduled, JobState::Retryable, JobState::Cancelled, JobState::Discarded];

/// Makes a job run now: a scheduled or retryable one does not wait any longer, a cancelled or discarded one
/// comes back from the history under its id, with its errors and one more attempt. It does not come back
/// while another job has its unique key, and it leaves its group if that has finished. One that is available,
/// running or completed is left alone.
///
/// Locks the job's row, and its unique key, for the moment of the statement.
///
/// # Errors
/// The database's.
pub async fn retry(pool: &PgPool, id: JobId) -> Result<Changed, sqlx::Error> {
    let (filter, this) = (JobFilter::default(), Remaining::of_one(id));
    let mut conn = pool.acquire().await?;
    if hasten(&mut conn, &filter, this, &[]).await? > 0 {
        return Ok(Changed::Done);
    }
    let revival = revive(&mut conn, &filter, this, 1).await?;
    changed_one(pool, id, revival.progress(this, 0)).await
}

/// [Retries](retry) the next batch of the jobs that `filter` chooses: of those that are `remaining`, in the
/// order of their ids, or of all that there are now. Each job is counted once.
///
/// Looks at 5,000 live and 5,000 cancelled or discarded jobs, and locks the chosen ones in the order of their
/// ids until each of two statements ends; the second one also the groups of those that come back, so that
/// nobody finishes these meanwhile. `filter.states` says whether all dead letters come back too.
///
/// # Errors
/// The database's.
pub async fn retry_all(
    pool: &PgPool,
    filter: &JobFilter,
    remaining: Option<Remaining>,
) -> Result<Progress, sqlx::Error> {
    let remaining = Remaining::or_all(remaining, pool).await?;
    let mut conn = pool.acquire().await?;
    // Live and ended jobs of the same ids, those that both windows reach: what one has beyond them would be
    // looked at again.
    let last = end_of_live_window(&mut conn, remaining).await?;
    let revival = revive(&mut conn, filter, Remaining { last, ..remaining }, WINDOW).await?;
    let live = Remaining { last: revival.done_to, ..remaining };
    let hastened = hasten(&mut conn, filter, live, &revival.revived).await?;
    Ok(revival.progress(remaining, hastened))
}

/// The id up to which the next window of live jobs reaches.
async fn end_of_live_window(conn: &mut PgConnection, remaining: Remaining) -> Result<JobId, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select least($2, (select id from queue.live_jobs where id > $1 order by id offset $3 limit 1)) as "last!"
        "#,
        remaining.after,
        remaining.last,
        WINDOW - 1,
    )
    .fetch_one(conn)
    .await
}

/// Makes waiting jobs available, all that remain but those that were just `revived`, which may have failed
/// again by now; gives their number.
pub(crate) async fn hasten(
    conn: &mut PgConnection,
    filter: &JobFilter,
    remaining: Remaining,
    revived: &[JobId],
) -> Result<i64, sqlx::Error> {
    let (states, filter) = (filter.states_of(&RETRY_STATES), filter.to_json());
    let mut tries = Tries::default();
    loop {
        let done = sqlx::query_scalar!(
            r#"
            with seen as materialized (
                select id, state = any($1)
                           and queue.matches(queue, kind, errors, created_at, group_id, args, $2) as is_chosen
                from queue.live_jobs where id > $3 and id <= $4
            ), chosen as materialized (
                select id from queue.live_jobs
                where id = any(array(select id from seen where is_chosen except select unnest($5::bigint[])))
                  and state = any($1)
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
            filter,
            remaining.after,
            remaining.last,
            revived,
        )
        .fetch_one(&mut *conn)
        .await;
        match done {
            Err(error) if tries.again(&error) => {}
            done => return done,
        }
    }
}

/// What came back from the history.
#[derive(Debug)]
pub(crate) struct Revival {
    chosen: i64,
    revived: Vec<JobId>,
    done_to: JobId,
}

impl Revival {
    /// With that many live jobs besides.
    fn progress(&self, remaining: Remaining, hastened: i64) -> Progress {
        let revived = i64::try_from(self.revived.len()).unwrap_or(i64::MAX);
        Progress::of_batch(self.chosen + hastened, revived + hastened, remaining, self.done_to)
    }
}

/// Brings ended jobs back from the history, the next ones of a window of that many.
pub(crate) async fn revive(
    conn: &mut PgConnection,
    filter: &JobFilter,
    remaining: Remaining,
    window: i64,
) -> Result<Revival, sqlx::Error> {
    let (states, filter) = (filter.states_of(&RETRY_STATES), filter.to_json());
    let mut tries = Tries::default();
    loop {
        let done = sqlx::query_file_as!(
            Revival,
            "src/control/revive.sql",
            &states as &[JobState],
            filter,
            remaining.after,
            remaining.last,
            window,
        )
        .fetch_one(&mut *conn)
        .await;
        match done {
            Err(error) if tries.again(&error) => {}
            done => return done,
        }
    }
}
