use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::Limits;

/// A queue.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueRow {
    /// Its name.
    pub name: String,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Its limits across the fleet.
    pub limits: Limits,
    /// Live workers that take its jobs.
    pub workers: u64,
    /// How many of its jobs they run at once.
    pub slots: u64,
}

/// The queues that somebody works on, paused or limited, and those with live jobs; by name.
///
/// # Errors
/// The database's.
pub async fn queues(pool: &PgPool) -> Result<Vec<QueueRow>, sqlx::Error> {
    some(pool, None).await
}

/// One of the queues; `None` when nobody works on it, it is neither paused nor limited, and has no live job.
///
/// # Errors
/// The database's.
pub async fn queue(pool: &PgPool, name: &str) -> Result<Option<QueueRow>, sqlx::Error> {
    Ok(some(pool, Some(name)).await?.pop())
}

async fn some(pool: &PgPool, one: Option<&str>) -> Result<Vec<QueueRow>, sqlx::Error> {
    // The names of the queues with jobs: one step through an index for each queue and state, however many
    // jobs there are.
    let rows = sqlx::query!(
        r#"
        with recursive with_available as (
            (select queue from queue.live_jobs where state = 'available' order by queue limit 1)
            union all
            select (select j.queue from queue.live_jobs j where j.state = 'available' and j.queue > q.queue
                    order by j.queue limit 1)
            from with_available q where q.queue is not null
        ), with_waiting as (
            (select queue from queue.live_jobs where state in ('scheduled', 'retryable') order by queue limit 1)
            union all
            select (select j.queue from queue.live_jobs j where j.state in ('scheduled', 'retryable')
                    and j.queue > q.queue order by j.queue limit 1)
            from with_waiting q where q.queue is not null
        ), fleet as (
            select q.queue, count(*) as workers, sum(q.slots) as slots
            from queue.worker_queues q join queue.workers w on w.id = q.worker_id
            where w.stopped_at is null group by q.queue
        ), names as (
            -- The row of one that was unpaused, or whose limits were lifted, says nothing.
            select name from queue.queues
            where paused_at is not null or max_running is not null or max_running_per_key is not null
            union select queue from fleet
            union select queue from with_available where queue is not null
            union select queue from with_waiting where queue is not null
        )
        select n.name as "name!", q.paused_at, q.max_running, q.max_running_per_key,
               coalesce(f.workers, 0) as "workers!", coalesce(f.slots, 0) as "slots!"
        from names n left join queue.queues q on q.name = n.name left join fleet f on f.queue = n.name
        where $1::text is null or n.name = $1
        order by n.name
        "#,
        one
    )
    .fetch_all(pool)
    .await?;
    let number = |limit: Option<i32>| limit.map(i32::unsigned_abs);
    let queue = rows.into_iter().map(|row| QueueRow {
        name: row.name,
        paused_at: row.paused_at,
        limits: Limits {
            max_running: number(row.max_running),
            max_running_per_key: number(row.max_running_per_key),
        },
        workers: row.workers.unsigned_abs(),
        slots: row.slots.unsigned_abs(),
    });
    Ok(queue.collect())
}
