use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    GroupId, JobId,
    settle::{Outcome, Settlement, settle},
    shares::Holds,
};

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
    pub(crate) group_id: Option<GroupId>,
    /// Told by claims in shares only.
    pub(crate) concurrency_key: Option<String>,
    pub(crate) traceparent: Option<String>,
    /// Its place in the order of the queue, before its id.
    pub(crate) turn: DateTime<Utc>,
    /// How long it waited after it was due; not before it was there, as for a tick that was missed.
    pub(crate) waited_s: f64,
}

/// A place in the order of a queue's available jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    turn: DateTime<Utc>,
    id: JobId,
}

impl Claimed {
    pub(crate) fn place(&self) -> Place {
        Place { turn: self.turn, id: self.id }
    }
}

/// Claims up to `limit` jobs of `queue` for `worker_id` in the order of their turns, after it has made those
/// available whose time has come, 1,000 at most. Rows that another claim has locked are skipped, never waited
/// for; but claims of a queue with limits across the fleet come one after the other. Nothing of a paused
/// queue.
///
/// `behind` leaves out what comes earlier in the order. Jobs that were claimed leave dead entries at the
/// front of the index until a vacuum; whoever has just read over them need not do so again for each claim.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    queue: &str,
    worker_id: i64,
    limit: usize,
    lease: Duration,
    behind: Option<Place>,
) -> Result<Vec<Claimed>, sqlx::Error> {
    let claimed = sqlx::query_as!(
        Claimed,
        r#"
        select id as "id!", fence as "fence!", attempt as "attempt!", max_attempts as "max_attempts!",
               priority as "priority!", kind as "kind!", args::text as "args!", group_id, traceparent,
               null::text as concurrency_key,
               turn as "turn!", extract(epoch from now() - greatest(run_at, created_at))::float8 as "waited_s!"
        from queue.claim($1, $2, $3, $4, coalesce($5, '-infinity'::timestamptz), coalesce($6, 0::bigint))
        "#,
        queue,
        worker_id,
        limit as i32,
        lease.as_secs_f64(),
        behind.map(|place| place.turn),
        behind.map(|place| place.id),
    )
    .fetch_all(conn)
    .await?;
    Ok(in_order(claimed))
}

/// Claims jobs of `queue` for `worker_id`, which has `free` slots for them and `holds` others, so that its
/// slots are shared among the concurrency keys, after it has made those available whose time has come, 1,000
/// at most. In the order of their turns. Rows that another claim has locked are skipped, never waited for;
/// but claims of a queue with limits across the fleet come one after the other. Nothing of a paused queue.
pub(crate) async fn claim_in_shares(
    conn: &mut PgConnection,
    queue: &str,
    worker_id: i64,
    free: usize,
    lease: Duration,
    holds: &Holds,
) -> Result<Vec<Claimed>, sqlx::Error> {
    let claimed = sqlx::query_as!(
        Claimed,
        r#"
        select id as "id!", fence as "fence!", attempt as "attempt!", max_attempts as "max_attempts!",
               priority as "priority!", kind as "kind!", args::text as "args!", group_id, traceparent, concurrency_key,
               turn as "turn!", extract(epoch from now() - greatest(run_at, created_at))::float8 as "waited_s!"
        from queue.claim_in_shares($1, $2, $3, $4, $5, $6, $7)
        "#,
        queue,
        worker_id,
        free as i32,
        lease.as_secs_f64(),
        &holds.keys,
        &holds.held,
        &holds.behind as &[Option<GroupId>],
    )
    .fetch_all(conn)
    .await?;
    Ok(in_order(claimed))
}

/// By turn; what an update returns is in no order.
fn in_order(mut claimed: Vec<Claimed>) -> Vec<Claimed> {
    claimed.sort_unstable_by_key(|job| (job.turn, job.id));
    claimed
}

/// Hands back what this worker has claimed without knowing it, because the answer to the claim was lost:
/// running jobs of `worker_id` other than those `held`. One that was asked to end does so. The caller makes
/// sure that no claim is under way.
pub(crate) async fn hand_back_unknown(
    conn: &mut PgConnection,
    worker_id: i64,
    held: &[JobId],
) -> Result<u64, sqlx::Error> {
    let unknown = sqlx::query!(
        "select id, fence from queue.live_jobs where worker_id = $1 and state = 'running' and id <> all($2)",
        worker_id,
        held,
    )
    .fetch_all(&mut *conn)
    .await?;
    let hand_back = |id, fence| Settlement { id, fence, outcome: Outcome::HandedBack };
    let batch: Vec<Settlement> = unknown.into_iter().map(|job| hand_back(job.id, job.fence)).collect();
    Ok(settle(conn, &batch).await?.len() as u64)
}

/// What a claimer that found too little learns for its next look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outlook {
    /// How long until the next scheduled or retryable job is due, by the database's clock; zero when one is
    /// due, or available where nothing holds it up: it has just come, or another claim had it locked, as when
    /// that one made more jobs available than it took.
    pub(crate) next_due: Option<Duration>,
    pub(crate) is_paused: bool,
    /// Whether the queue has limits across the fleet.
    pub(crate) is_limited: bool,
    /// Whether a job could start if there were room for it below the limits, or in its share.
    pub(crate) is_held_up: bool,
}

/// Looks at what `queue` will have next, for a claimer that takes its jobs `in_shares` or by turn.
pub(crate) async fn outlook(
    conn: &mut PgConnection,
    queue: &str,
    in_shares: bool,
) -> Result<Outlook, sqlx::Error> {
    // Not `min(run_at)`: a planner that knows nothing yet of a burst of scheduled jobs reads them all for
    // that. And one that knows of many available jobs would look for any of them in the table, unless it is
    // asked for the first.
    let row = sqlx::query!(
        r#"
        select case when a.is_available and not (l.is_limited or $2) then 0 else (
            select extract(epoch from run_at - clock_timestamp())::float8 from queue.live_jobs
            where queue = $1 and state in ('scheduled', 'retryable')
            order by run_at limit 1
        ) end as next_due_s,
        coalesce(q.paused_at is not null, false) as "is_paused!",
        l.is_limited as "is_limited!",
        a.is_available and (l.is_limited or $2) as "is_held_up!"
        from (select coalesce((
            select true from queue.live_jobs where queue = $1 and state = 'available' order by turn, id limit 1
        ), false) as is_available) a
        left join queue.queues q on q.name = $1
        cross join lateral (select coalesce(q.max_running, q.max_running_per_key) is not null as is_limited) l
        "#,
        queue,
        in_shares,
    )
    .fetch_one(conn)
    .await?;
    let until = |s: f64| Duration::try_from_secs_f64(s.max(0.0)).unwrap_or(Duration::MAX);
    Ok(Outlook {
        next_due: row.next_due_s.map(until),
        is_paused: row.is_paused,
        is_limited: row.is_limited,
        is_held_up: row.is_held_up,
    })
}
