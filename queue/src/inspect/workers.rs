use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// A worker process.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerRow {
    /// Its number, unique for ever.
    pub id: i64,
    /// Its name; not unique.
    pub name: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it last told that it lives; up to a third of its lease ago.
    pub heartbeat_at: DateTime<Utc>,
    /// When it left, or was found dead.
    pub stopped_at: Option<DateTime<Utc>>,
    /// What it works on, by name.
    pub queues: Vec<QueueOfWorker>,
}

/// A queue that a worker works on.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct QueueOfWorker {
    /// The queue.
    pub queue: String,
    /// How many of its jobs the worker runs at once.
    pub slots: i32,
    /// How many it runs now.
    pub running: i64,
    /// How long a job takes it on average, in seconds.
    pub mean_run_s: Option<f64>,
}

/// The live workers, and those that stopped within the last hour; newest first, at most 1,000.
///
/// # Errors
/// The database's.
pub async fn workers(pool: &PgPool) -> Result<Vec<WorkerRow>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select w.id, w.name, w.started_at, w.heartbeat_at, w.stopped_at,
               coalesce(q.queues, '[]') as "queues!: sqlx::types::Json<Vec<QueueOfWorker>>"
        from queue.workers w
        left join lateral (
            select jsonb_agg(jsonb_build_object(
                'queue', q.queue, 'slots', q.slots, 'mean_run_s', q.mean_run_s, 'running', (
                    select count(*) from queue.live_jobs j
                    where j.queue = q.queue and j.worker_id = w.id and j.state = 'running'
                )) order by q.queue) as queues
            from queue.worker_queues q where q.worker_id = w.id
        ) q on true
        where w.stopped_at is null or w.stopped_at > now() - interval '1 hour'
        order by w.id desc limit 1000
        "#
    )
    .fetch_all(pool)
    .await?;
    let worker = rows.into_iter().map(|row| WorkerRow {
        id: row.id,
        name: row.name,
        started_at: row.started_at,
        heartbeat_at: row.heartbeat_at,
        stopped_at: row.stopped_at,
        queues: row.queues.0,
    });
    Ok(worker.collect())
}
