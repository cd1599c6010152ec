use chrono::{DateTime, Utc};
use resume_queue::{Job, hasten_key};
use sqlx::PgConnection;

use crate::jobs::MakeCall;

/// Holds back every call to a source until [`release`]. Calls that are under way go on, and those who wait
/// look again at least every half minute. Holding twice is holding once.
///
/// # Errors
/// The database's; also when there is no such source.
pub async fn hold(conn: &mut PgConnection, source: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into call_limits (source, held_at) values ($1, now())
        on conflict (source) do update set held_at = coalesce(call_limits.held_at, now())
        "#,
        source,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What [`release`] has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Released {
    /// Whether the source was held, or its circuit was open.
    pub was_stopped: bool,
    /// Until when the source had asked for silence.
    pub silent_until: Option<DateTime<Utc>>,
}

/// Lets a source be called again, now: ends what [`hold`] did and a silence that an answer has asked for,
/// closes its circuit, and has the fetching jobs look again that wait for one of them. Its limits hold as
/// ever.
///
/// In the caller's transaction; locks the source's row in `call_limits`, then the jobs.
///
/// # Errors
/// The database's.
pub async fn release(conn: &mut PgConnection, source: &str) -> Result<Released, sqlx::Error> {
    let released = sqlx::query_as!(
        Released,
        r#"
        update call_limits l
        set held_at = null, failures_in_row = 0, denials_in_row = 0, openings_in_row = 0,
            open_until = null, probe_id = null, probe_until = null, silent_until = null, silent_since = null,
            next_at = call_next_at_within(l, clock_timestamp())
        from (
            select source, held_at is not null or open_until is not null as was_stopped,
                   case when silent_until > clock_timestamp() then silent_until end as silent_until
            from call_limits where source = $1 for no key update
        ) was
        where l.source = was.source and (was.was_stopped or was.silent_until is not null)
        returning was.was_stopped as "was_stopped!", was.silent_until
        "#,
        source,
    )
    .fetch_optional(&mut *conn)
    .await?;
    // They were told to come back when the one or the other would be over, which may be hours away.
    hasten_key(conn, MakeCall::KIND, source).await?;
    Ok(released.unwrap_or_default())
}
