use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Timing, ticks::Timetable};

/// A schedule whose next tick is not near.
struct Distant {
    name: String,
    cron: String,
    time_zone: String,
    next_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

/// Pulls back to its next tick what a clock that was ahead has put off: schedules by cron whose tick is
/// further away than the next two from now. One tick too far is no error: it is fired already when the clock
/// is put right by a moment. Looks at the schedule of a name, or at all that are enabled; gives how many
/// there were.
pub(crate) async fn pull_back(conn: &mut PgConnection, name: Option<&str>) -> Result<u64, sqlx::Error> {
    // No two ticks are closer than a minute.
    let distant = sqlx::query_as!(
        Distant,
        r#"
        select name, cron as "cron!", time_zone, next_at as "next_at!", now() as "now!"
        from queue.schedules
        where cron is not null and next_at > now() + interval '1 min'
          and (name = $1 or $1::text is null and enabled)
        "#,
        name
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut pulled_back = 0;
    for schedule in distant {
        let Some(next_at) = next_of(&schedule) else { continue };
        let (name, was) = (&schedule.name, schedule.next_at);
        let done = sqlx::query!(
            "update queue.schedules set next_at = $3 where name = $1 and next_at = $2",
            name,
            was,
            next_at
        );
        if done.execute(&mut *conn).await?.rows_affected() == 1 {
            tracing::warn!(schedule = name, %was, %next_at, "schedule pulled back: a clock was ahead");
            pulled_back += 1;
        }
    }
    Ok(pulled_back)
}

/// The next tick from now, for one whose own is too far away. One that cannot be read is left to its firing.
fn next_of(schedule: &Distant) -> Option<DateTime<Utc>> {
    let timing = Timing::Cron { expression: schedule.cron.clone(), time_zone: schedule.time_zone.clone() };
    let timetable = Timetable::read(&timing).ok()?;
    let next_at = timetable.next_after(schedule.now)?;
    (schedule.next_at > timetable.next_after(next_at)?).then_some(next_at)
}
