use std::time::Duration;

use sqlx::{Connection, PgConnection};

use super::{Pass, Service};
use crate::{group::forget_groups, unique::forget_keys};

/// How far ahead partitions are made. A week without any worker then still finds them.
const DAYS_AHEAD: i32 = 7;
/// How long completed and cancelled jobs are kept.
const KEEP_ENDED_DAYS: i32 = 7;
/// How long discarded jobs are kept: they wait for a person.
const KEEP_DISCARDED_DAYS: i32 = 30;
/// How long the rows of workers are kept that have stopped: longer than any job that names them.
const KEEP_WORKERS_DAYS: i32 = KEEP_DISCARDED_DAYS + 1;
/// How often it runs.
const PASS: Duration = Duration::from_secs(3600);
/// One worker at a time; the key of the advisory lock is "resh" in ASCII.
const LOCK_KEY: i64 = 0x7265_7368;
/// The most rows deleted by one statement.
const BATCH_MAX: i64 = 10_000;

/// Creates the partitions of the coming days, drops those past their time, and deletes what is as old
/// elsewhere: jobs outside a partition, workers, groups and unique keys.
#[derive(Debug)]
pub(crate) struct Retention;

impl Service for Retention {
    const NAME: &'static str = "retention";
    const RUN_MAX: Duration = Duration::from_secs(600);
    const RETRY: Duration = Duration::from_secs(60);

    async fn run(&mut self, conn: &mut PgConnection) -> Result<Pass, sqlx::Error> {
        // First, so that little is left for the transaction that holds the lock.
        let mut affected = 0;
        loop {
            let deleted = delete_strays(conn, BATCH_MAX).await?;
            affected += deleted;
            if deleted == 0 {
                break;
            }
        }
        affected += keep_partitions(conn).await?;
        affected += delete_workers(conn).await?;
        affected += delete_groups(conn, BATCH_MAX).await?;
        affected += delete_keys(conn, BATCH_MAX).await?;
        Ok(Pass { affected, next: PASS })
    }
}

/// Deletes what is past its time from the default partitions, which hold it when there was no partition of
/// its day; at most `limit` jobs of each.
pub(crate) async fn delete_strays(conn: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query_scalar!(
        r#"
        with utc as (select date_trunc('day', now() at time zone 'UTC') as today),
        ended as (
            delete from queue.job_history_ended_default where ctid = any(array(
                select ctid from queue.job_history_ended_default
                where finished_at < (select (today - make_interval(days => $1)) at time zone 'UTC' from utc)
                limit $3 for update skip locked))
            returning id
        ), discarded as (
            delete from queue.job_history_discarded_default where ctid = any(array(
                select ctid from queue.job_history_discarded_default
                where finished_at < (select (today - make_interval(days => $2)) at time zone 'UTC' from utc)
                limit $3 for update skip locked))
            returning id
        )
        select (select count(*) from ended) + (select count(*) from discarded) as "deleted!"
        "#,
        KEEP_ENDED_DAYS,
        KEEP_DISCARDED_DAYS,
        limit,
    )
    .fetch_one(conn)
    .await?;
    Ok(done as u64)
}

/// Creates the partitions of the coming days and drops those past their time; gives how many it dropped.
/// Takes a moment's exclusive lock on the history only when a partition is really created or dropped; does
/// nothing while another worker is at it.
async fn keep_partitions(conn: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let mut tx = conn.begin().await?;
    let ours = sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "ours!""#, LOCK_KEY)
        .fetch_one(&mut *tx)
        .await?;
    if !ours {
        return Ok(0);
    }
    // Behind this wait for the exclusive lock, while somebody reads the history for long, every job that ends
    // would wait.
    sqlx::query!("select set_config('lock_timeout', '1s', true)").fetch_one(&mut *tx).await?;
    let done = sqlx::query!(
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
    tx.commit().await?;
    Ok(u64::from(done.ended.unsigned_abs() + done.discarded.unsigned_abs()))
}

/// Deletes all groups that were finished long ago, by batches.
pub(crate) async fn delete_groups(conn: &mut PgConnection, batch: i64) -> Result<u64, sqlx::Error> {
    let mut deleted = 0;
    loop {
        let now = forget_groups(conn, KEEP_WORKERS_DAYS, batch).await?;
        deleted += now;
        if now == 0 {
            return Ok(deleted);
        }
    }
}

/// Deletes all unique keys that have outlived their jobs, by batches.
pub(crate) async fn delete_keys(conn: &mut PgConnection, batch: i64) -> Result<u64, sqlx::Error> {
    let (mut deleted, mut after) = (0, None);
    loop {
        let forgotten = forget_keys(conn, KEEP_ENDED_DAYS + 1, after, batch).await?;
        deleted += forgotten.keys;
        after = forgotten.next;
        if after.is_none() {
            return Ok(deleted);
        }
    }
}

pub(crate) async fn delete_workers(conn: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "delete from queue.workers where stopped_at < now() - make_interval(days => $1)",
        KEEP_WORKERS_DAYS
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
