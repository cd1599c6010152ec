use resume_queue::{Job, hasten_key};
use sqlx::PgConnection;

use crate::jobs::FetchPage;

/// Holds back every call to a source until [`release`]. Calls that are under way go on, and those who wait look again at least
/// every half minute. Holding twice is holding once.
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

/// Lets a source be called again, now: ends what [`hold`] did, closes its circuit, and has the fetching jobs look again that wait
/// for the one or the other. A silence that the source has asked for stays. Gives whether there was anything to end.
///
/// In the caller's transaction; locks the source's row in `call_limits`, then the jobs.
///
/// # Errors
/// The database's.
pub async fn release(conn: &mut PgConnection, source: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        r#"
        update call_limits
        set held_at = null, failures_in_row = 0, denials_in_row = 0, openings_in_row = 0,
            open_until = null, probe_id = null, probe_until = null
        where source = $1 and (held_at is not null or open_until is not null)
        "#,
        source,
    )
    .execute(&mut *conn)
    .await?;
    // They were told to come back when the circuit would have half opened, which may be minutes away.
    hasten_key(conn, FetchPage::KIND, source).await?;
    Ok(done.rows_affected() > 0)
}
