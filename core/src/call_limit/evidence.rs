use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::end::{MISSED, REFUSED};
use crate::source::definition::Limit;

/// What the ledger proves of the calls to a source in a period.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Calls that left, and permits of which a crash has kept anybody from telling: they may have left.
    pub calls: i64,
    /// The same by the second, over the whole period.
    pub calls_per_second: f64,
    /// The most calls that left within any one second of the period, wherever it begins.
    pub most_in_any_second: i64,
    /// The same for the time of each limit, in the order given.
    pub most_in_any_window: Vec<WindowUse>,
    /// Calls refused because they were too many.
    pub refused: i64,
    /// Calls that brought no page for another reason.
    pub failed: i64,
    /// Permits whose end nobody told: their worker died, or the database forgot.
    pub wasted: i64,
    /// Permits whose calls did not leave; they are in no other number.
    pub missed: i64,
    /// The time that half of the calls have waited for leave at most, and the longest.
    pub waited_ms_half: i32,
    /// The longest wait for leave.
    pub waited_ms_max: i32,
    /// Bytes received.
    pub bytes: i64,
}

/// How far a limit was used up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowUse {
    /// The limit.
    pub limit: Limit,
    /// The most calls that left within any stretch of its time.
    pub most: i64,
}

/// What the ledger proves of the calls to a source that left from `from` to before `to`. Of a call whose leaving nobody told,
/// the time of its permit counts. Reads all of them: a busy day has some millions.
///
/// # Errors
/// The database's.
pub async fn evidence(
    pool: &PgPool,
    source: &str,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    limits: &[Limit],
) -> Result<Evidence, sqlx::Error> {
    let second = most_in_any(pool, source, (from, to), Duration::from_secs(1)).await?;
    let mut most_in_any_window = Vec::with_capacity(limits.len());
    for &limit in limits {
        let most = most_in_any(pool, source, (from, to), limit.per.0).await?;
        most_in_any_window.push(WindowUse { limit, most });
    }
    let sums = sqlx::query!(
        r#"
        with period as (
            select *, code is not distinct from $4 as is_missed,
                   ended_at is null and (not queue.is_present(worker_id)
                       or departs_at < clock_timestamp() - interval '35 s') as is_wasted
            from call_ledger where source = $1 and departs_at >= $2 and departs_at < $3
        )
        select count(*) filter (where not is_missed) as "calls!",
               count(*) filter (where code = $5) as "refused!",
               count(*) filter (where code is not null and not is_missed and code <> $5) as "failed!",
               count(*) filter (where is_wasted) as "wasted!",
               count(*) filter (where is_missed) as "missed!",
               coalesce(percentile_disc(0.5) within group (order by waited_ms) filter (where not is_missed), 0) as "half!",
               coalesce(max(waited_ms) filter (where not is_missed), 0) as "longest!",
               coalesce(sum(bytes), 0)::bigint as "bytes!"
        from period
        "#,
        source,
        from,
        to,
        MISSED,
        REFUSED,
    )
    .fetch_one(pool)
    .await?;
    let seconds = (to - from).as_seconds_f64();
    Ok(Evidence {
        calls: sums.calls,
        calls_per_second: if seconds > 0.0 { sums.calls as f64 / seconds } else { 0.0 },
        most_in_any_second: second,
        most_in_any_window,
        refused: sums.refused,
        failed: sums.failed,
        wasted: sums.wasted,
        missed: sums.missed,
        waited_ms_half: sums.half,
        waited_ms_max: sums.longest,
        bytes: sums.bytes,
    })
}

/// The most calls that left within any stretch of this length. Its end does not belong to it: a call leaves a second exactly
/// one second after it came.
async fn most_in_any(
    pool: &PgPool,
    source: &str,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    window: Duration,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select coalesce(max(calls), 0) as "most!"
        from (
            select count(*) over (
                order by coalesce(left_at, departs_at)
                range between make_interval(secs => $4) preceding and current row) as calls
            from call_ledger
            where source = $1 and departs_at >= $2 and departs_at < $3 and code is distinct from $5
        ) windows
        "#,
        source,
        from,
        to,
        window.saturating_sub(Duration::from_micros(1)).as_secs_f64(),
        MISSED,
    )
    .fetch_one(pool)
    .await
}
