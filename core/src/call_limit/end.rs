use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::{
    CallEnd, Ending, Permit, Void,
    call_end::{MISSED, REFUSED},
    grant::milliseconds,
    spacing::Spacing,
};
use crate::source::definition::{Limit, SILENCE_MAX};

/// The silence after a refusal that asks for none.
const SILENCE_DEFAULT: Duration = Duration::from_secs(1);

/// Notes the end of a call, and what it says of the source for the whole fleet.
///
/// `limits` are the configured ones. One statement, a transaction of its own, which does not wait for the
/// disk: what a crash of Postgres makes it forget is a call whose end is unknown. Locks the source's row only
/// when the call changes what is known of it. Gives whether the circuit is open, so that the source is not
/// called for now.
///
/// # Errors
/// The database's.
pub async fn end(
    pool: &PgPool,
    source: &str,
    permit: &Permit,
    limits: &[Limit],
    end: &CallEnd,
) -> Result<bool, sqlx::Error> {
    let announced = end.announced.limit(limits);
    sqlx::query_scalar!(
        r#"
        select end_call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) as "is_open!"
        "#,
        source,
        permit.id,
        permit.departs_at,
        end.late.as_secs_f64(),
        milliseconds(end.took),
        end.status.and_then(|status| i16::try_from(status).ok()),
        if end.ending == Ending::Refused { Some(REFUSED) } else { end.code.as_deref() },
        i64::try_from(end.bytes).unwrap_or(i64::MAX),
        end.ending as Ending,
        !end.announced.limits.is_empty(),
        announced.map(|limit| i32::try_from(limit.calls).unwrap_or(i32::MAX)),
        announced.map(|limit| limit.per.0.as_secs_f64()),
        announced.map(|limit| Spacing::of(&limit).interval_s),
        silence_of(limits, end).map(|silence| silence.as_secs_f64()),
    )
    .fetch_one(pool)
    .await
}

/// How long the source is to be left in peace because of this end, if at all: what the answer asks for, at
/// most [`SILENCE_MAX`] or what the caller has [cut](super::Announced::at_most) it to; after a refusal at
/// least a second. `limits` are the configured ones.
pub fn silence_of(limits: &[Limit], end: &CallEnd) -> Option<Duration> {
    let asked = end.announced.retry_after.filter(|wait| !wait.is_zero());
    let wait = match end.ending {
        Ending::Refused => {
            asked.or(end.announced.exhausted_for).unwrap_or(SILENCE_DEFAULT).max(SILENCE_DEFAULT)
        }
        // Of a source that is overloaded: 503 with `Retry-After`.
        Ending::Failed => asked?,
        Ending::Answered | Ending::Denied => end.announced.drought(limits)?,
        Ending::Aside => return None,
    };
    Some(wait.min(SILENCE_MAX))
}

/// Notes that no call was made with a permit, or that none ended. If its call was to probe a half-open
/// circuit, another one may.
///
/// One statement, to be called outside of a transaction: it does not wait for the disk.
///
/// # Errors
/// The database's.
pub async fn void(
    conn: &mut PgConnection,
    source: &str,
    permit: &Permit,
    why: Void,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with quickly as materialized (select set_config('synchronous_commit', 'off', true)),
        ended as (
            update call_ledger set ended_at = clock_timestamp(), code = $4
            from quickly where id = $2 and departs_at = $3 and ended_at is null
            returning id
        )
        update call_limits l
        set missed = l.missed + 1,
            probe_id = case when l.probe_id = e.id then null else l.probe_id end,
            probe_until = case when l.probe_id = e.id then null else l.probe_until end
        from ended e where l.source = $1
        "#,
        source,
        permit.id,
        permit.departs_at,
        match why {
            Void::Missed => MISSED,
            Void::Abandoned => "call_abandoned",
        },
    )
    .execute(conn)
    .await?;
    Ok(())
}
