use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::settle::storable;

/// What a maintenance service did last, and what it has cost so far.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceReport {
    /// The service: the name of its file.
    pub service: String,
    /// The leader that ran it last.
    pub worker_id: i64,
    /// How often it was run, failures included. The runs of the last ten seconds may be missing.
    pub runs: i64,
    /// How often it failed.
    pub failures: i64,
    /// When its last run began, by the database's clock.
    pub last_started_at: DateTime<Utc>,
    /// How long ago that was.
    pub age: Duration,
    /// How long its last run took.
    pub last_duration: Duration,
    /// How many jobs, rows, partitions or indexes its last run dealt with.
    pub last_affected: i64,
    /// Why its last run failed; `None` when it went well.
    pub last_error: Option<String>,
    /// How long all its runs took.
    pub total_duration: Duration,
    /// How many jobs, rows, partitions or indexes all its runs dealt with.
    pub total_affected: i64,
}

/// What each maintenance service has done, by name. Empty before a worker has led for the first time.
///
/// Reads a handful of rows and locks nothing.
///
/// # Errors
/// The database's own.
pub async fn report(pool: &PgPool) -> Result<Vec<ServiceReport>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select service, worker_id, runs, failures, last_started_at, last_duration_ms, last_affected, last_error,
               total_duration_ms, total_affected,
               extract(epoch from clock_timestamp() - last_started_at)::float8 as "age_s!"
        from queue.maintenance order by service
        "#
    )
    .fetch_all(pool)
    .await?;
    let ms = |ms: f64| Duration::from_secs_f64(ms.max(0.0) / 1000.0);
    let reports = rows.into_iter().map(|row| ServiceReport {
        service: row.service,
        worker_id: row.worker_id,
        runs: row.runs,
        failures: row.failures,
        last_started_at: row.last_started_at,
        age: Duration::try_from_secs_f64(row.age_s).unwrap_or_default(),
        last_duration: ms(row.last_duration_ms),
        last_affected: row.last_affected,
        last_error: row.last_error,
        total_duration: ms(row.total_duration_ms),
        total_affected: row.total_affected,
    });
    Ok(reports.collect())
}

/// The runs of a service that are not written down yet.
#[derive(Debug, Default)]
pub(super) struct Tally {
    runs: i64,
    failures: i64,
    duration: Duration,
    affected: u64,
    last: Option<LastRun>,
}

#[derive(Debug)]
struct LastRun {
    started: Instant,
    duration: Duration,
    affected: u64,
    error: Option<String>,
}

impl Tally {
    /// Adds a run that ends now; `result` has what it affected, or why it failed.
    pub(super) fn add(&mut self, started: Instant, result: Result<u64, String>) {
        let duration = started.elapsed();
        let (affected, error) = match result {
            Ok(affected) => (affected, None),
            Err(error) => (0, Some(storable(&error))),
        };
        self.runs += 1;
        self.failures += i64::from(error.is_some());
        self.duration += duration;
        self.affected += affected;
        self.last = Some(LastRun { started, duration, affected, error });
    }
}

/// Writes down runs of a service.
pub(super) async fn record(
    conn: &mut PgConnection,
    service: &str,
    worker_id: i64,
    tally: &Tally,
) -> Result<(), sqlx::Error> {
    let Some(last) = &tally.last else { return Ok(()) };
    // How long ago a run began is measured here; when that was, the database's clock says.
    sqlx::query!(
        r#"
        insert into queue.maintenance as m
            (service, worker_id, runs, failures, last_started_at, last_duration_ms, last_affected, last_error,
             total_duration_ms, total_affected)
        values ($1, $2, $3, $4, clock_timestamp() - make_interval(secs => $5), $6, $7, $8, $9, $10)
        on conflict (service) do update
        set worker_id = excluded.worker_id, runs = m.runs + excluded.runs, failures = m.failures + excluded.failures,
            last_started_at = excluded.last_started_at, last_duration_ms = excluded.last_duration_ms,
            last_affected = excluded.last_affected, last_error = excluded.last_error,
            total_duration_ms = m.total_duration_ms + excluded.total_duration_ms,
            total_affected = m.total_affected + excluded.total_affected
        "#,
        service,
        worker_id,
        tally.runs,
        tally.failures,
        last.started.elapsed().as_secs_f64(),
        millis(last.duration),
        last.affected as i64,
        last.error,
        millis(tally.duration),
        tally.affected as i64,
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
