use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::AnnouncedLimit;

/// What holds for the calls to a source now.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The even rate of the limits in force, as of the last permits; `None` before the first.
    pub calls_per_second: Option<f64>,
    /// The limit that the source tells, where it is lower than the configured ones.
    pub announced: Option<AnnouncedLimit>,
    /// The part of the rate that refusals without a limit have left: over 0, at most 1.
    pub pace: f64,
    /// The source has asked for silence until then; `None` when that is over.
    pub silent_until: Option<DateTime<Utc>>,
    /// Whether calls are made at all.
    pub circuit: Circuit,
    /// Calls that failed since the last one that did not.
    pub failures_in_row: i32,
    /// Calls under way, or about to leave.
    pub under_way: i64,
    /// Permits given.
    pub granted: i64,
    /// Permits whose calls did not leave in time, or nobody waited for.
    pub missed: i64,
    /// Calls that the source refused because they were too many.
    pub refused: i64,
    /// Calls that failed for reasons of the source.
    pub failed: i64,
    /// Silences.
    pub silences: i64,
    /// How often the circuit opened.
    pub openings: i64,
}

/// Whether a source is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// As its limits allow.
    Closed,
    /// Not before this moment.
    Open(DateTime<Utc>),
    /// By one call at a time, until one succeeds.
    HalfOpen,
    /// Not until somebody releases it; since then.
    Held(DateTime<Utc>),
}

/// What holds for the calls to a source. `None` when none was ever asked for. Locks nothing.
///
/// # Errors
/// The database's.
pub async fn state(pool: &PgPool, source: &str) -> Result<Option<State>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select call_pace(l, clock_timestamp()) as "pace!",
               (select max(i) from unnest(l.intervals) as i) as interval_s,
               l.announced_calls, l.announced_per_s,
               case when l.silent_until > clock_timestamp() then l.silent_until end as silent_until,
               l.open_until, coalesce(l.open_until > clock_timestamp(), false) as "is_open!", l.held_at,
               l.failures_in_row, l.granted, l.missed, l.refused, l.failed, l.silences, l.openings,
               (select count(*) from call_ledger c
                where c.source = l.source and c.ended_at is null
                  and c.departs_at > clock_timestamp() - interval '35 s' and queue.is_present(c.worker_id)) as "under_way!"
        from call_limits l where l.source = $1
        "#,
        source,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| State {
        calls_per_second: row.interval_s.map(|interval| row.pace / interval),
        announced: row.announced_calls.map(|calls| AnnouncedLimit {
            calls: calls.unsigned_abs(),
            per: row.announced_per_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        }),
        pace: row.pace,
        silent_until: row.silent_until,
        circuit: match (row.held_at, row.open_until) {
            (Some(since), _) => Circuit::Held(since),
            (None, None) => Circuit::Closed,
            (None, Some(until)) if row.is_open => Circuit::Open(until),
            (None, Some(_)) => Circuit::HalfOpen,
        },
        failures_in_row: row.failures_in_row,
        under_way: row.under_way,
        granted: row.granted,
        missed: row.missed,
        refused: row.refused,
        failed: row.failed,
        silences: row.silences,
        openings: row.openings,
    }))
}
