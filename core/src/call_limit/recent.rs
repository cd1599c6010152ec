use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::call_end::MISSED;

/// The calls for a collection in the last ten seconds, and what holds its next ones back.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RecentCalls {
    /// How many left.
    pub calls: i64,
    /// How long the answers took that brought a page, in milliseconds: half of them at most so long. `None`
    /// when there was none.
    pub latency_ms: Option<i32>,
    /// How many calls a second all limits in force allow the source; `None` before the first call.
    pub limit_per_second: Option<f64>,
    /// For how long the source wants no call from now on.
    pub silent_for: Option<Duration>,
    /// Whether the circuit of the source is open or held, so that nobody knows when calls are made again.
    pub is_stopped: bool,
}

/// What the ledger tells of the last ten seconds of calls for one collection to its source. Reads all calls
/// to the source in that time. Locks nothing.
///
/// # Errors
/// The database's.
pub async fn recent_calls(
    conn: &mut PgConnection,
    source: &str,
    collection_id: Uuid,
) -> Result<RecentCalls, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select c.calls as "calls!", c.latency_ms, call_pace(l, now()) as pace,
               (select max(i) from unnest(l.intervals) as i) as interval_s,
               extract(epoch from l.silent_until - now())::float8 as silent_for_s,
               coalesce(l.held_at is not null or l.open_until is not null, false) as "is_stopped!"
        from (
            select count(*) as calls,
                   percentile_disc(0.5) within group (order by took_ms) filter (where code is null) as latency_ms
            from call_ledger
            where source = $1 and departs_at > now() - interval '10 s' and departs_at <= now()
              and collection_id = $2 and code is distinct from $3
        ) c
        left join call_limits l on l.source = $1
        "#,
        source,
        collection_id,
        MISSED,
    )
    .fetch_one(conn)
    .await?;
    Ok(RecentCalls {
        calls: row.calls,
        latency_ms: row.latency_ms,
        limit_per_second: row.interval_s.and_then(|interval| Some(row.pace? / interval)),
        silent_for: row
            .silent_for_s
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .filter(|silence| !silence.is_zero()),
        is_stopped: row.is_stopped,
    })
}
