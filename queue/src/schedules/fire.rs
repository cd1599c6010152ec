use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};

use super::{Missed, TICKS_MAX, control::timing, ticks::Timetable};
use crate::metrics;

/// The most schedules that are fired in one transaction.
const BATCH_MAX: i64 = 100;

/// A schedule that is due.
struct Due {
    name: String,
    kind: String,
    cron: Option<String>,
    time_zone: String,
    at: Option<DateTime<Utc>>,
    missed: Missed,
    next_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

/// What becomes of a schedule that is due.
struct Firing {
    ticks: Vec<DateTime<Utc>>,
    next_at: Option<DateTime<Utc>>,
    error: Option<String>,
}

/// What one transaction fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fired {
    /// The schedules that were due, with or without a job to enqueue.
    pub(crate) schedules: usize,
    /// The jobs enqueued.
    pub(crate) jobs: usize,
}

/// Fires the schedules that are due, in one transaction: enqueues their jobs and moves them on. At most a
/// hundred, and fewer once they have enqueued a thousand jobs; the others stay due.
///
/// A schedule that another leader is firing is locked, and skipped; when the lock is gone it is not due any
/// more. So each tick is fired once. One whose expression or time zone cannot be read is disabled, with the
/// error in its row.
pub(crate) async fn fire_due(conn: &mut PgConnection) -> Result<Fired, sqlx::Error> {
    let mut tx = conn.begin().await?;
    let due = sqlx::query_as!(
        Due,
        r#"
        select name, kind, cron, time_zone, at, missed as "missed: Missed", next_at as "next_at!", now() as "now!"
        from queue.schedules where enabled and next_at <= now()
        order by next_at limit $1
        for update skip locked
        "#,
        BATCH_MAX
    )
    .fetch_all(&mut *tx)
    .await?;
    let (mut firings, mut jobs) = (Vec::new(), 0);
    for schedule in due {
        if jobs >= TICKS_MAX {
            break;
        }
        let firing = firing(&schedule);
        jobs += firing.ticks.len();
        firings.push((schedule, firing));
    }
    if !firings.is_empty() {
        store(&mut tx, &firings).await?;
    }
    tx.commit().await?;
    for (schedule, firing) in firings.iter().filter(|(_, firing)| !firing.ticks.is_empty()) {
        metrics::sent(&schedule.kind, firing.ticks.len());
    }
    Ok(Fired { schedules: firings.len(), jobs })
}

fn firing(schedule: &Due) -> Firing {
    let name = &schedule.name;
    match Timetable::read(&timing(schedule.cron.clone(), schedule.time_zone.clone(), schedule.at)) {
        Ok(timetable) => {
            let ticks = timetable.due(schedule.next_at, schedule.now, schedule.missed);
            tracing::info!(schedule = name, jobs = ticks.len(), due_at = %schedule.next_at, "schedule fired");
            Firing { ticks, next_at: timetable.next_after(schedule.now), error: None }
        }
        Err(error) => {
            tracing::error!(schedule = name, %error, "schedule disabled");
            Firing { ticks: Vec::new(), next_at: Some(schedule.next_at), error: Some(error.to_string()) }
        }
    }
}

async fn store(conn: &mut PgConnection, firings: &[(Due, Firing)]) -> Result<(), sqlx::Error> {
    let ticks =
        || firings.iter().flat_map(|(due, firing)| firing.ticks.iter().map(|tick| (due.name.clone(), *tick)));
    let (tick_names, tick_times): (Vec<String>, Vec<DateTime<Utc>>) = ticks().unzip();
    let names: Vec<String> = firings.iter().map(|(due, _)| due.name.clone()).collect();
    let due_at: Vec<DateTime<Utc>> = firings.iter().map(|(due, _)| due.next_at).collect();
    let next_at: Vec<Option<DateTime<Utc>>> = firings.iter().map(|(_, firing)| firing.next_at).collect();
    let errors: Vec<Option<String>> = firings.iter().map(|(_, firing)| firing.error.clone()).collect();
    let moved = sqlx::query_file!(
        "src/schedules/fire.sql",
        &tick_names,
        &tick_times,
        &names,
        &due_at,
        &next_at as &[Option<DateTime<Utc>>],
        &errors as &[Option<String>],
    )
    .execute(conn)
    .await?;
    // Under the locks that the caller holds this cannot be; were it so, nothing of it must stay.
    if moved.rows_affected() == firings.len() as u64 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

/// How long until the next schedule is due, by the database's clock; zero when one is due, and locked by
/// somebody.
pub(crate) async fn next_due(conn: &mut PgConnection) -> Result<Option<Duration>, sqlx::Error> {
    let seconds = sqlx::query_scalar!(
        r#"
        select extract(epoch from next_at - clock_timestamp())::float8 as "seconds!"
        from queue.schedules where enabled and next_at is not null
        order by next_at limit 1
        "#
    )
    .fetch_optional(conn)
    .await?;
    Ok(seconds.map(|s| Duration::try_from_secs_f64(s.max(0.0)).unwrap_or(Duration::MAX)))
}
