use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::spacing::Spacing;
use crate::source::definition::Limit;

/// One who wants to make a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Caller {
    /// The collection that the call is for.
    pub collection_id: Uuid,
    /// The call that it makes.
    pub call_id: i64,
    /// How long it has waited already.
    pub waited: Duration,
}

/// What one process asks for.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// The source that is to be called.
    pub source: &'a str,
    /// The worker that asks.
    pub worker_id: i64,
    /// Who waits, the next one first.
    pub callers: &'a [Caller],
    /// The configured limits, which all hold at once.
    pub limits: &'a [Limit],
    /// How many calls may be under way at once, in the whole fleet.
    pub concurrency: Option<u32>,
    /// How long the answer will be on its way: no call leaves before it is there.
    pub lead: Duration,
    /// How far ahead of that permits are given.
    pub horizon: Duration,
    /// The longest silence that the source gets. One that would last longer was noted by a clock that was
    /// ahead.
    pub silence_max: Duration,
}

/// Leave to make one call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Permit {
    /// Its row in the ledger.
    pub id: i64,
    /// When the call may leave, by the database's clock.
    pub departs_at: DateTime<Utc>,
}

/// Why somebody got no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "call_obstacle", rename_all = "snake_case")]
pub enum Obstacle {
    /// It is not yet time for the next call.
    Limit,
    /// As many calls as may be are under way.
    Concurrency,
    /// The source has asked for silence.
    Silence,
    /// The circuit is open, or half open and another call probes it.
    Open,
    /// Somebody holds the source's calls back by hand.
    Held,
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// When the question was answered, by the database's clock: after it was put and before the answer came.
    pub at: DateTime<Utc>,
    /// A permit for each of the first callers, in their order, by time.
    pub permits: Vec<Permit>,
    /// Why the other callers got none, and how long after `at` to ask again. `None` when all got one.
    pub obstacle: Option<(Obstacle, Duration)>,
}

/// Gives permits to the callers of one process, as far as their calls may leave within the horizon.
///
/// One statement. Locks the source's row in `call_limits`, so that those who ask at the same time come one
/// after the other, and writes a row of the ledger for each permit. To be called outside of a transaction: it
/// does not wait for the disk. What a crash of Postgres makes it forget counts as used.
///
/// # Errors
/// The database's; also when there is no such source.
pub async fn grant(conn: &mut PgConnection, demand: &Demand<'_>) -> Result<Answer, sqlx::Error> {
    let (mut intervals, mut tolerances) = (Vec::new(), Vec::new());
    for spacing in demand.limits.iter().map(Spacing::of) {
        intervals.push(spacing.interval_s);
        tolerances.push(spacing.tolerance_s);
    }
    let collections: Vec<Uuid> = demand.callers.iter().map(|caller| caller.collection_id).collect();
    let calls: Vec<i64> = demand.callers.iter().map(|caller| caller.call_id).collect();
    let waited: Vec<i32> = demand.callers.iter().map(|caller| milliseconds(caller.waited)).collect();
    let row = sqlx::query!(
        r#"
        select asked_at as "asked_at!", ids as "ids!", departures as "departures!",
               obstacle as "obstacle: Obstacle", extract(epoch from ask_at - asked_at)::float8 as ask_in_s
        from grant_calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        "#,
        demand.source,
        demand.worker_id,
        &collections,
        &calls,
        &waited,
        &intervals,
        &tolerances,
        demand.concurrency.map(|most| i32::try_from(most).unwrap_or(i32::MAX)),
        demand.lead.as_secs_f64(),
        demand.horizon.as_secs_f64(),
        demand.silence_max.as_secs_f64(),
    )
    .fetch_one(conn)
    .await?;
    let permits = row.ids.into_iter().zip(row.departures);
    Ok(Answer {
        at: row.asked_at,
        permits: permits.map(|(id, departs_at)| Permit { id, departs_at }).collect(),
        obstacle: row.obstacle.map(|obstacle| {
            (obstacle, Duration::try_from_secs_f64(row.ask_in_s.unwrap_or_default()).unwrap_or_default())
        }),
    })
}

/// As whole milliseconds, for a column.
pub(super) fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
