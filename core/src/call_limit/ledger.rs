use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

/// How far ahead partitions are made. A week without any worker then still finds them.
const DAYS_AHEAD: i32 = 7;
/// How long calls are kept.
const KEEP_DAYS: i32 = 30;
/// One process at a time, should two believe to lead; the key of the advisory lock is "resl" in ASCII.
const LOCK_KEY: i64 = 0x7265_736c;

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// When it begins.
    pub from: DateTime<Utc>,
    /// Its end, which is no longer in it.
    pub to: DateTime<Utc>,
}

/// One permit, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRecord {
    /// Its number.
    pub id: i64,
    /// When the call was allowed to leave.
    pub departs_at: DateTime<Utc>,
    /// When it left; `None` while it is under way, and when it did not leave or nobody could tell any more.
    pub left_at: Option<DateTime<Utc>>,
    /// When its answer was there, or it was given up.
    pub ended_at: Option<DateTime<Utc>>,
    /// The worker that made it.
    pub worker_id: i64,
    /// The collection that it was for.
    pub collection_id: Uuid,
    /// The call of the collection.
    pub call_id: i64,
    /// From asking for the permit to its time, in milliseconds.
    pub waited_ms: i32,
    /// From leaving to the last byte, in milliseconds.
    pub took_ms: Option<i32>,
    /// The status of the answer.
    pub status: Option<i16>,
    /// Why it brought nothing; `None` when it brought a page.
    pub code: Option<String>,
    /// How many bytes came.
    pub bytes: Option<i64>,
}

/// A place in the ledger: behind this call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerPlace {
    /// The call's time.
    pub departs_at: DateTime<Utc>,
    /// Its number.
    pub id: i64,
}

/// The permits of a source whose time is in a period, by time; at most `limit`,
/// behind `after` or from the beginning. Calls are kept for 30 days.
///
/// # Errors
/// The database's.
pub async fn ledger(
    pool: &PgPool,
    source: &str,
    Period { from, to }: Period,
    after: Option<LedgerPlace>,
    limit: u32,
) -> Result<Vec<CallRecord>, sqlx::Error> {
    let after = after.unwrap_or(LedgerPlace { departs_at: from, id: -1 });
    sqlx::query_as!(
        CallRecord,
        r#"
        select id, departs_at, left_at, ended_at, worker_id, collection_id, call_id, waited_ms, took_ms, status, code, bytes
        from call_ledger
        where source = $1 and departs_at >= $2 and departs_at < $3 and (departs_at, id) > ($4, $5)
        order by departs_at, id
        limit $6
        "#,
        source,
        from,
        to,
        after.departs_at,
        after.id,
        i64::from(limit),
    )
    .fetch_all(pool)
    .await
}

/// Creates the partitions of the coming days and drops those past their time; gives how many it dropped.
/// Takes a moment's exclusive lock on the ledger only when a partition is really created or dropped; does
/// nothing while another process is at it. A transaction of its own.
///
/// # Errors
/// The database's; also when the ledger is read for so long that the lock is not to be had within a second.
pub async fn keep_ledger(conn: &mut PgConnection) -> Result<u32, sqlx::Error> {
    let mut tx = conn.begin().await?;
    let ours = sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "ours!""#, LOCK_KEY)
        .fetch_one(&mut *tx)
        .await?;
    if !ours {
        return Ok(0);
    }
    // Behind this wait for the exclusive lock, while somebody reads the ledger for long, every call would
    // wait.
    sqlx::query!("select set_config('lock_timeout', '1s', true)").fetch_one(&mut *tx).await?;
    let dropped =
        sqlx::query_scalar!(r#"select keep_call_ledger($1, $2) as "dropped!""#, DAYS_AHEAD, KEEP_DAYS)
            .fetch_one(&mut *tx)
            .await?;
    tx.commit().await?;
    Ok(dropped.unsigned_abs())
}
