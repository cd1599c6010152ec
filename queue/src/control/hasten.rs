use sqlx::PgConnection;

/// Makes the jobs of a queue with this concurrency key available that wait for their time, whether it was
/// set, put off or is that of the next attempt; gives their number. For those whose reason to wait is gone.
///
/// In the caller's transaction; locks the jobs, in the order of their ids, and passes by those that others
/// hold.
///
/// # Errors
/// The database's.
pub async fn hasten_key(
    conn: &mut PgConnection,
    queue: &str,
    concurrency_key: &str,
) -> Result<u64, sqlx::Error> {
    let hastened = sqlx::query_scalar!(
        r#"
        with chosen as materialized (
            select id from queue.live_jobs
            where queue = $1 and state in ('scheduled', 'retryable') and concurrency_key = $2
            order by id
            for update skip locked
        ), hastened as (
            update queue.live_jobs
            set state = 'available', run_at = now(), turn = now() - make_interval(mins => priority)
            where id = any(array(select id from chosen))
            returning id
        ), told as (
            select pg_notify('queue', $1) from hastened limit 1
        )
        select count(*) + 0 * (select count(*) from told) as "hastened!" from hastened
        "#,
        queue,
        concurrency_key,
    )
    .fetch_one(conn)
    .await?;
    Ok(hastened.unsigned_abs())
}
