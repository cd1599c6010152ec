use sqlx::PgPool;

/// How many jobs of a queue may run at once in the whole fleet, from 1; `None`: as many as there are slots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub max_running: Option<u32>,
    /// With the same concurrency key. Jobs whose key may start no more are passed by.
    pub max_running_per_key: Option<u32>,
}

/// Pauses a queue everywhere: no further job of it starts, while those that run go on. A claim that is under
/// way at this very moment still counts. A queue that is paused stays so since the first time; one that
/// nobody knows can be paused too.
///
/// # Errors
/// The database's.
pub async fn pause_queue(pool: &PgPool, queue: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into queue.queues (name, paused_at) values ($1, now())
        on conflict (name) do update
        set paused_at = coalesce(queues.paused_at, now()), updated_at = now()
        "#,
        queue
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Lets a paused queue go on, at once; does nothing to one that is not paused. Its limits stay.
///
/// # Errors
/// The database's.
pub async fn unpause_queue(pool: &PgPool, queue: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with unpaused as (update queue.queues set paused_at = null, updated_at = now() where name = $1)
        select pg_notify('queue', $1) as "notified!"
        "#,
        queue
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Limits a queue across the fleet, from the next claim on. What is running is counted from the jobs
/// themselves, so that the death of a worker frees its share; claims of a limited queue come one after the
/// other, those of others do not. Replaces both limits; a pause stays.
///
/// # Errors
/// The database's; a limit of 0 is refused by it: pause the queue instead.
pub async fn limit_queue(pool: &PgPool, queue: &str, limits: Limits) -> Result<(), sqlx::Error> {
    let number = |limit: Option<u32>| limit.map(|n| i32::try_from(n).unwrap_or(i32::MAX));
    sqlx::query!(
        r#"
        with limited as (
            insert into queue.queues (name, max_running, max_running_per_key) values ($1, $2, $3)
            on conflict (name) do update
            set max_running = excluded.max_running, max_running_per_key = excluded.max_running_per_key,
                updated_at = now()
        )
        select pg_notify('queue', $1) as "notified!"
        "#,
        queue,
        number(limits.max_running),
        number(limits.max_running_per_key),
    )
    .execute(pool)
    .await?;
    Ok(())
}
