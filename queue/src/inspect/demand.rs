use std::time::Duration;

use sqlx::PgPool;

/// How many workers a queue wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// Jobs that could start now, at most 100,000.
    pub waiting: u64,
    /// Whether there are exactly that many; else there are more.
    pub waiting_is_exact: bool,
    /// Jobs that run.
    pub running: u64,
    /// How long a job takes on average, in seconds; `None` before the first has ended.
    pub mean_run_s: Option<f64>,
    /// How many jobs a worker runs at once on average.
    pub slots_per_worker: f64,
    /// Live workers that take jobs of the queue.
    pub workers: u64,
    /// As many as it takes to do what waits within the target, beside what runs; never more than the queue's
    /// limit can use, and none for a paused queue.
    pub workers_wanted: u64,
}

/// Tells how many workers `queue` wants so that what waits now is done within `target`, for an autoscaler.
/// The SQL function `queue.demand(queue, target_s)` answers the same; its comment has the formula.
///
/// # Errors
/// The database's.
pub async fn demand(pool: &PgPool, queue: &str, target: Duration) -> Result<Demand, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select waiting as "waiting!", waiting_is_exact as "waiting_is_exact!", running as "running!", mean_run_s,
               slots_per_worker as "slots_per_worker!", workers as "workers!", workers_wanted as "workers_wanted!"
        from queue.demand($1, $2)
        "#,
        queue,
        target.as_secs_f64()
    )
    .fetch_one(pool)
    .await?;
    Ok(Demand {
        waiting: row.waiting.unsigned_abs(),
        waiting_is_exact: row.waiting_is_exact,
        running: row.running.unsigned_abs(),
        mean_run_s: row.mean_run_s,
        slots_per_worker: row.slots_per_worker,
        workers: row.workers.unsigned_abs(),
        workers_wanted: row.workers_wanted.unsigned_abs(),
    })
}
