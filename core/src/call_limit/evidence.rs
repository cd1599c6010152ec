use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{
    busiest::Busiest,
    call_end::{MISSED, REFUSED},
    ledger::{LedgerPlace, Period},
};
use crate::source::definition::Limit;

/// How many rows are read at once: some MiB.
const ROWS_AT_ONCE: i64 = 100_000;

/// What every source is looked at for, whatever its limits.
const SECOND: Duration = Duration::from_secs(1);

/// What the ledger proves of the calls to a source in a period.
#[derive(Debug, Clone, Default, PartialEq)]
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
    /// Permits whose end nobody noted: their worker died, or the database forgot.
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

/// What the ledger proves of the calls to a source that left in a period, however long it takes to read all
/// of them. Of a call whose departure nobody noted, the time of its permit counts.
///
/// # Errors
/// The database's.
pub async fn evidence(
    pool: &PgPool,
    source: &str,
    period: Period,
    limits: &[Limit],
) -> Result<Evidence, sqlx::Error> {
    let mut survey = Survey::new(source, period, limits);
    while survey.go_on(pool).await? {}
    Ok(survey.evidence())
}

/// A ledger that is being read for its [`Evidence`]: once from the beginning of a period to its end, some
/// hundred thousand rows at a time, so that who asks can stop when it takes too long. A busy day has some
/// millions. Keeps the times of the longest limit's stretch.
#[derive(Debug)]
pub struct Survey {
    source: String,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    limits: Vec<Limit>,
    /// Behind the row that was read last.
    place: LedgerPlace,
    /// When calls left that others may have left before, which are not read yet.
    unsettled: Vec<i64>,
    busiest: Busiest,
    /// How many calls waited for so many milliseconds.
    waits: BTreeMap<i32, i64>,
    /// The numbers that are sums over the rows.
    sums: Evidence,
}

impl Survey {
    /// Of the calls that left in a period.
    pub fn new(source: &str, Period { from, to }: Period, limits: &[Limit]) -> Self {
        let lengths = limits.iter().map(|limit| limit.per.0).chain([SECOND]);
        Self {
            source: source.to_owned(),
            from,
            to,
            limits: limits.to_vec(),
            place: LedgerPlace { departs_at: from, id: -1 },
            unsettled: Vec::new(),
            busiest: Busiest::new(lengths),
            waits: BTreeMap::new(),
            sums: Evidence::default(),
        }
    }

    /// Up to where the ledger was read.
    pub fn until(&self) -> DateTime<Utc> {
        self.place.departs_at
    }

    /// Reads on; gives whether there is more to read.
    ///
    /// One statement, which reads the rows by their index.
    ///
    /// # Errors
    /// The database's.
    pub async fn go_on(&mut self, pool: &PgPool) -> Result<bool, sqlx::Error> {
        // A subquery gives its rows in their order to the aggregates, so that the last number is that of the
        // last row.
        let read = sqlx::query!(
            r#"
            select count(*) as "rows!", max(departs_at) as last_departs_at, (array_agg(id))[count(*)] as last_id,
                   coalesce(array_agg(left_at) filter (where not is_missed), '{}') as "left_at!: Vec<DateTime<Utc>>",
                   coalesce(array_agg(waited_ms) filter (where not is_missed), '{}') as "waited_ms!",
                   count(*) filter (where code = $7) as "refused!",
                   count(*) filter (where code <> $6 and code <> $7) as "failed!",
                   count(*) filter (where is_wasted) as "wasted!",
                   count(*) filter (where is_missed) as "missed!",
                   coalesce(sum(bytes), 0)::bigint as "bytes!"
            from (
                select id, departs_at, coalesce(left_at, departs_at) as left_at, waited_ms, code, bytes,
                       code is not distinct from $6 as is_missed,
                       ended_at is null and (not queue.is_present(worker_id)
                           or departs_at < clock_timestamp() - interval '35 s') as is_wasted
                from call_ledger
                where source = $1 and departs_at >= $2 and departs_at < $3 and (departs_at, id) > ($2, $4)
                order by departs_at, id
                limit $5
            ) calls
            "#,
            self.source,
            self.place.departs_at,
            self.to,
            self.place.id,
            ROWS_AT_ONCE,
            MISSED,
            REFUSED,
        )
        .fetch_one(pool)
        .await?;
        if let (Some(departs_at), Some(id)) = (read.last_departs_at, read.last_id) {
            self.place = LedgerPlace { departs_at, id };
        }
        read.waited_ms.iter().for_each(|&waited_ms| *self.waits.entry(waited_ms).or_default() += 1);
        self.sums.refused += read.refused;
        self.sums.failed += read.failed;
        self.sums.wasted += read.wasted;
        self.sums.missed += read.missed;
        self.sums.bytes += read.bytes;
        self.unsettled.extend(read.left_at.iter().map(DateTime::timestamp_micros));
        let has_more = read.rows == ROWS_AT_ONCE;
        self.settle(has_more);
        Ok(has_more)
    }

    /// Takes the times that are in their place. No call leaves before its permit's time: what is read later
    /// is none before the last one.
    fn settle(&mut self, has_more: bool) {
        self.unsettled.sort_unstable();
        let settled = if has_more {
            let last = self.place.departs_at.timestamp_micros();
            self.unsettled.partition_point(|&at| at < last)
        } else {
            self.unsettled.len()
        };
        self.unsettled.drain(..settled).for_each(|at| self.busiest.take(at));
    }

    /// What was read proves.
    pub fn evidence(&self) -> Evidence {
        let calls: i64 = self.waits.values().sum();
        let seconds = (self.to - self.from).as_seconds_f64();
        let used = |&limit: &Limit| WindowUse { limit, most: self.busiest.most_in(limit.per.0) };
        Evidence {
            calls,
            calls_per_second: if seconds > 0.0 { calls as f64 / seconds } else { 0.0 },
            most_in_any_second: self.busiest.most_in(SECOND),
            most_in_any_window: self.limits.iter().map(used).collect(),
            waited_ms_half: self.waited_ms_half(calls),
            waited_ms_max: self.waits.keys().next_back().copied().unwrap_or_default(),
            ..self.sums.clone()
        }
    }

    /// The shortest wait such that half of the calls have waited no longer.
    fn waited_ms_half(&self, calls: i64) -> i32 {
        let mut counted = 0;
        let half = self.waits.iter().find(|(_, count)| {
            counted += **count;
            counted * 2 >= calls
        });
        half.map_or(0, |(waited_ms, _)| *waited_ms)
    }
}
