use std::time::Duration;

use sqlx::PgConnection;

use crate::JobId;

/// A job as its worker gets it.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) id: JobId,
    pub(crate) fence: i32,
    pub(crate) attempt: i32,
    pub(crate) max_attempts: i32,
    pub(crate) priority: i16,
    pub(crate) kind: String,
    pub(crate) args: String,
}

/// Claims up to `limit` jobs of `queue` for `worker_id`, best first: available ones by priority and age, and those whose
/// time has come. One statement; rows that another claim has locked are skipped, never waited for.
///
/// A due `scheduled` or `retryable` job is claimed as it is: nobody has to make it available first.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    queue: &str,
    worker_id: i64,
    limit: usize,
    lease: Duration,
) -> Result<Vec<Claimed>, sqlx::Error> {
    // Each index is read in its own order and only as far as the limit; `= any(array(..))` keeps the planner from
    // turning the update into a join over the whole table.
    let mut claimed = sqlx::query_as!(
        Claimed,
        r#"
        with available as materialized (
            select id, priority, run_at from queue.live_jobs
            where queue = $1 and state = 'available'
            order by priority desc, id limit $3
            for update skip locked
        ), due as materialized (
            select id, priority, run_at from queue.live_jobs
            where queue = $1 and state in ('scheduled', 'retryable') and run_at <= now()
            order by run_at limit $3
            for update skip locked
        )
        update queue.live_jobs
        set state = 'running', attempt = attempt + 1, fence = fence + 1, worker_id = $2,
            started_at = now(), lease_until = now() + make_interval(secs => $4)
        where id = any(array(
            select id from (select * from available union all select * from due) candidates
            order by priority desc, run_at, id limit $3
        ))
        returning id, fence, attempt, max_attempts, priority, kind, args::text as "args!"
        "#,
        queue,
        worker_id,
        limit as i64,
        lease.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    // What an update returns is in no order.
    claimed.sort_unstable_by_key(|job| (std::cmp::Reverse(job.priority), job.id));
    Ok(claimed)
}

/// Hands back what this worker has claimed without knowing it, because the answer to the claim was lost: running jobs of
/// `worker_id` other than those `held`. The caller makes sure that no claim is under way.
pub(crate) async fn hand_back_unknown(
    conn: &mut PgConnection,
    worker_id: i64,
    held: &[JobId],
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        r#"
        with again as (
            update queue.live_jobs
            set state = 'available', attempt = attempt - 1, started_at = null, lease_until = null, worker_id = null
            where worker_id = $1 and state = 'running' and id <> all($2)
            returning queue
        )
        select pg_notify('queue', queue) as "notified!" from again
        "#,
        worker_id,
        held,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// How long until the next scheduled or retryable job of `queue` is due, by the database's clock; zero when one is due.
pub(crate) async fn next_due(conn: &mut PgConnection, queue: &str) -> Result<Option<Duration>, sqlx::Error> {
    // Not `min(run_at)`: a planner that knows nothing yet of a burst of scheduled jobs reads them all for that.
    let seconds = sqlx::query_scalar!(
        r#"
        select extract(epoch from run_at - clock_timestamp())::float8 as "seconds!"
        from queue.live_jobs where queue = $1 and state in ('scheduled', 'retryable')
        order by run_at limit 1
        "#,
        queue
    )
    .fetch_optional(conn)
    .await?;
    Ok(seconds.map(|s| Duration::try_from_secs_f64(s.max(0.0)).unwrap_or(Duration::MAX)))
}
