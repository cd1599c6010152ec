use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};

use super::{
    CHANNEL, Missed, NewSchedule, Schedule, ScheduleError, Timing, control::read, pull_back::pull_back,
    search::YEARS_MAX, ticks::Timetable, validate,
};

/// Stores a schedule under its name, in the caller's transaction, and gives it as it is now. Meant to be
/// called at every start of a program: what is there is brought up to date.
///
/// The ticks go on as they were if the timing is the same, else they begin anew from now; so do those that a
/// clock which was ahead has put off. One that somebody disabled stays disabled; one that the queue had to
/// disable for its error is enabled again.
///
/// Locks the schedule's row until the transaction ends, and waits while it is being fired.
///
/// # Errors
/// [`ScheduleError`], which names the field and what is wrong with it.
pub async fn put(conn: &mut PgConnection, schedule: &NewSchedule) -> Result<Schedule, ScheduleError> {
    validate(schedule)?;
    let timetable = Timetable::read(&schedule.timing)?;
    let mut tx = conn.begin().await?;
    let now = sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(&mut *tx).await?;
    let (cron, time_zone, at) = match &schedule.timing {
        Timing::Cron { expression, time_zone } => (Some(expression), time_zone.as_str(), None),
        Timing::Once(at) => (None, "UTC", Some(*at)),
    };
    // A moment that has passed already is a missed tick.
    let next_at = at.or_else(|| timetable.next_after(now));
    if let (Timing::Cron { expression, time_zone }, None) = (&schedule.timing, next_at) {
        return Err(never(expression, time_zone));
    }
    upsert(&mut tx, schedule, (cron, time_zone, at), next_at).await?;
    pull_back(&mut tx, Some(&schedule.name)).await?;
    sqlx::query!(r#"select pg_notify($1, '') as "notified!""#, CHANNEL).execute(&mut *tx).await?;
    let stored = read(&mut tx, Some(&schedule.name)).await?.pop();
    tx.commit().await?;
    stored.ok_or(ScheduleError::Database(sqlx::Error::RowNotFound))
}

/// Of days that exist and times of day that exist, but never together: the clock of the zone leaves them out.
fn never(expression: &str, time_zone: &str) -> ScheduleError {
    let why = format!("in {time_zone} it does not come within {YEARS_MAX} years");
    ScheduleError::Cron { expression: expression.to_owned(), field: "the whole", position: 1, why }
}

async fn upsert(
    conn: &mut PgConnection,
    schedule: &NewSchedule,
    (cron, time_zone, at): (Option<&String>, &str, Option<DateTime<Utc>>),
    next_at: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into queue.schedules as s
            (name, cron, time_zone, at, kind, args, priority, max_attempts, on_discard, missed, next_at, jitter_s)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        on conflict (name) do update
        set cron = excluded.cron, time_zone = excluded.time_zone, at = excluded.at, kind = excluded.kind,
            args = excluded.args, priority = excluded.priority, max_attempts = excluded.max_attempts,
            on_discard = excluded.on_discard, missed = excluded.missed, jitter_s = excluded.jitter_s,
            next_at = case when (s.cron, s.time_zone, s.at)
                                is not distinct from (excluded.cron, excluded.time_zone, excluded.at)
                           then s.next_at else excluded.next_at end,
            enabled = s.enabled or s.last_error is not null, last_error = null, updated_at = now()
        "#,
        schedule.name,
        cron,
        time_zone,
        at,
        schedule.kind,
        schedule.args,
        schedule.priority,
        i32::from(schedule.max_attempts),
        schedule.on_discard,
        schedule.missed as Missed,
        next_at,
        schedule.jitter.as_secs() as i32,
    )
    .execute(conn)
    .await?;
    Ok(())
}
