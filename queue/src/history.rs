use std::time::Duration;

use sqlx::PgPool;

/// How far ahead partitions are made. A week without any worker then still finds them.
const DAYS_AHEAD: i32 = 7;
/// How long completed and cancelled jobs are kept.
const KEEP_ENDED_DAYS: i32 = 7;
/// How long discarded jobs are kept: they wait for a person.
const KEEP_DISCARDED_DAYS: i32 = 30;
/// How long the rows of workers are kept that have stopped: longer than any job that names them.
const KEEP_WORKERS_DAYS: i32 = KEEP_DISCARDED_DAYS + 1;
/// How often a worker looks.
const PASS: Duration = Duration::from_secs(3600);
/// How soon it tries again after a failure.
const RETRY: Duration = Duration::from_secs(60);
/// One worker at a time; the key of the advisory lock is "resh" in ASCII.
const LOCK_KEY: i64 = 0x7265_7368;

/// Keeps the partitions of the history, once an hour.
pub(crate) async fn run(pool: PgPool) {
    loop {
        let pause = match maintain(&pool).await {
            Ok(()) => PASS,
            Err(error) => {
                tracing::warn!(%error, "upkeep of the job history failed");
                RETRY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Creates the partitions of the coming days and drops those past their time. Takes a moment's exclusive lock on the
/// history only when a partition is really created or dropped; does nothing while another worker is at it.
async fn maintain(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    let ours = sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "ours!""#, LOCK_KEY)
        .fetch_one(&mut *tx)
        .await?;
    if !ours {
        return Ok(());
    }
    // Behind this wait for the exclusive lock, while somebody reads the history for long, every job that ends would wait.
    sqlx::query!("select set_config('lock_timeout', '1s', true)").fetch_one(&mut *tx).await?;
    sqlx::query!(
        r#"
        with utc as (select (now() at time zone 'UTC')::date as today)
        select queue.create_history_partitions(today, today + $1::integer) is null as "created!",
               queue.drop_history_partitions('job_history_ended', today - $2::integer) as "ended!",
               queue.drop_history_partitions('job_history_discarded', today - $3::integer) as "discarded!"
        from utc
        "#,
        DAYS_AHEAD,
        KEEP_ENDED_DAYS,
        KEEP_DISCARDED_DAYS,
    )
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query!(
        "delete from queue.workers where stopped_at < now() - make_interval(days => $1)",
        KEEP_WORKERS_DAYS
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}
