use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::{
    CallEnd, Ending, Permit, Void,
    call_end::{MISSED, REFUSED},
    end_aside::end_aside,
    grant::milliseconds,
    spacing::Spacing,
};
use crate::{
    db,
    source::definition::{Limit, SILENCE_MAX},
};

/// So many failed calls in a row, of the whole fleet, open the circuit.
const FAILURES_MAX: i32 = 5;
/// So many calls in a row whose credentials were not accepted.
const DENIALS_MAX: i32 = 3;
/// How long the circuit stays open the first time, and at most; each time in a row it is twice as long.
const OPEN_FIRST: Duration = Duration::from_secs(5);
const OPEN_MAX: Duration = Duration::from_secs(300);
/// What a refusal that names no limit leaves of the pace, and the least that is left after many. It recovers
/// in a minute.
const PACE_LEFT: f64 = 0.7;
const PACE_MIN: f64 = 1.0 / 16.0;
/// The silence after a refusal that asks for none.
const SILENCE_DEFAULT: Duration = Duration::from_secs(1);
/// A silence is longer by up to this part of it, so that we do not come back at the very moment when others
/// do.
const JITTER: f64 = 0.1;

/// Notes the end of a call, and what it says of the source for the whole fleet.
///
/// `limits` are the configured ones. Transactions of its own, which do not wait for the disk: what a crash of
/// Postgres makes it forget is a call whose end is unknown. Locks the source's row only when the call changes
/// what is known of it. Gives whether the circuit is open, so that the source is not called for now.
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
    let silence = silence_of(limits, end);
    if end.ending == Ending::Aside {
        end_aside(&mut *pool.acquire().await?, source, permit, end).await?;
        return Ok(false);
    }
    if end.ending == Ending::Answered {
        let mut conn = pool.acquire().await?;
        note_answer(&mut conn, source, permit, limits, end).await?;
        if let Some(silence) = silence {
            fall_silent(&mut conn, source, silence).await?;
        }
        return Ok(false);
    }
    let mut tx = db::begin(pool).await?;
    sqlx::query!("select set_config('synchronous_commit', 'off', true)").fetch_one(&mut *tx).await?;
    note_in_ledger(&mut tx, permit, end).await?;
    if !end.announced.limits.is_empty() {
        learn_limit(&mut tx, source, end.announced.limit(limits).as_ref()).await?;
    }
    if let Some(silence) = silence {
        fall_silent(&mut tx, source, silence).await?;
    }
    if end.ending == Ending::Refused {
        slow_down(&mut tx, source, permit, end.announced.limits.is_empty()).await?;
    }
    let is_open = note_failure(&mut tx, source, permit, end.ending).await?;
    tx.commit().await?;
    Ok(is_open)
}

/// How long the source is to be left in peace because of this end, if at all: what the answer asks for, at
/// most [`SILENCE_MAX`] or what the caller has [cut](Announced::at_most) it to; after a refusal at least a
/// second. `limits` are the configured ones.
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

/// Notes in one statement that the source works: in the ledger and, if that is news, in its row, which closes
/// the circuit. A limit that it has not announced again for a while is forgotten.
async fn note_answer(
    conn: &mut PgConnection,
    source: &str,
    permit: &Permit,
    configured: &[Limit],
    end: &CallEnd,
) -> Result<(), sqlx::Error> {
    let announced = end.announced.limit(configured);
    sqlx::query!(
        r#"
        with quickly as materialized (select set_config('synchronous_commit', 'off', true)),
        known as (
            update call_limits
            set announced_calls = case when call_announced_counts(call_limits, $11) then $9 else announced_calls end,
                announced_per_s = case when call_announced_counts(call_limits, $11) then $10 else announced_per_s end,
                announced_interval_s =
                    case when call_announced_counts(call_limits, $11) then $11 else announced_interval_s end,
                announced_at =
                    case when call_announced_counts(call_limits, $11) then clock_timestamp() else announced_at end,
                failures_in_row = 0, denials_in_row = 0, openings_in_row = 0,
                open_until = null, probe_id = null, probe_until = null
            where source = $8
              and (failures_in_row > 0 or denials_in_row > 0 or open_until is not null
                   or call_announced_is_news(call_limits, $11))
        )
        update call_ledger
        set left_at = departs_at + make_interval(secs => $3), ended_at = clock_timestamp(), status = $4, code = $5,
            bytes = $6, took_ms = $7
        from quickly
        where id = $1 and departs_at = $2
        "#,
        permit.id,
        permit.departs_at,
        end.late.as_secs_f64(),
        end.status.and_then(|status| i16::try_from(status).ok()),
        end.code.as_deref(),
        i64::try_from(end.bytes).unwrap_or(i64::MAX),
        milliseconds(end.took),
        source,
        announced.map(|limit| i32::try_from(limit.calls).unwrap_or(i32::MAX)),
        announced.map(|limit| limit.per.0.as_secs_f64()),
        announced.map(|limit| Spacing::of(&limit).interval_s),
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn note_in_ledger(conn: &mut PgConnection, permit: &Permit, end: &CallEnd) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update call_ledger
        set left_at = departs_at + make_interval(secs => $3), ended_at = clock_timestamp(), status = $4, code = $5,
            bytes = $6, took_ms = $7
        where id = $1 and departs_at = $2
        "#,
        permit.id,
        permit.departs_at,
        end.late.as_secs_f64(),
        end.status.and_then(|status| i16::try_from(status).ok()),
        if end.ending == Ending::Refused { Some(REFUSED) } else { end.code.as_deref() },
        i64::try_from(end.bytes).unwrap_or(i64::MAX),
        milliseconds(end.took),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps the limit that a refusal or an error tells. One that tells none changes nothing: errors often come
/// from something in front of the source.
async fn learn_limit(
    conn: &mut PgConnection,
    source: &str,
    announced: Option<&Limit>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update call_limits
        set announced_calls = $2, announced_per_s = $3, announced_interval_s = $4, announced_at = clock_timestamp()
        where source = $1 and call_announced_is_news(call_limits, $4)
        "#,
        source,
        announced.map(|limit| i32::try_from(limit.calls).unwrap_or(i32::MAX)),
        announced.map(|limit| limit.per.0.as_secs_f64()),
        announced.map(|limit| Spacing::of(limit).interval_s),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets nobody call for this long and a little more. A burst has to be earned anew after that.
async fn fall_silent(conn: &mut PgConnection, source: &str, silence: Duration) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update call_limits l
        set silent_until = silence.until, silent_since = clock_timestamp(), silences = l.silences + 1,
            next_at = array(
                select greatest(t.next, silence.until + make_interval(secs => t.tolerance))
                from unnest(l.next_at, l.tolerances) with ordinality as t (next, tolerance, place) order by t.place)
        from (select clock_timestamp() + make_interval(secs => $2 * (1 + $3 * random())) as until) silence
        where l.source = $1 and (l.silent_until is null or l.silent_until < silence.until)
        "#,
        source,
        silence.as_secs_f64(),
        JITTER,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes a part of the pace, unless the call left before another one was refused, or the source names its
/// limit.
async fn slow_down(
    conn: &mut PgConnection,
    source: &str,
    permit: &Permit,
    is_limit_unknown: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update call_limits
        set refused = refused + 1,
            pace = case when $3 and (refused_at is null or refused_at < $2)
                then greatest($5, call_pace(call_limits, clock_timestamp()) * $4) else pace end,
            paced_at = case when $3 and (refused_at is null or refused_at < $2)
                then clock_timestamp() else paced_at end
        where source = $1
        "#,
        source,
        permit.departs_at,
        is_limit_unknown,
        PACE_LEFT,
        PACE_MIN,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts a failure, and opens the circuit when it is one too many, or that of the call that probed it. Calls
/// that were under way when it opened, and refusals of calls that left before another one was refused, add
/// nothing. Gives whether it is open.
async fn note_failure(
    conn: &mut PgConnection,
    source: &str,
    permit: &Permit,
    ending: Ending,
) -> Result<bool, sqlx::Error> {
    let is_open = sqlx::query_scalar!(
        r#"
        with counted as (
            select c.source, c.failures_in_row + n.counts as failures, c.denials_in_row + case when $4 then n.counts else 0 end as denials,
                   coalesce(c.probe_id = $2, false) as is_probe, c.open_until is not null as is_open
            from call_limits c
            cross join lateral (
                select (not $5 or c.refused_at is null or c.refused_at < $3)::int as counts
            ) n
            where c.source = $1
            for no key update of c
        ), judged as (
            select *, is_probe or (not is_open and (failures >= $6 or denials >= $7)) as opens from counted
        )
        update call_limits l
        set failures_in_row = j.failures, denials_in_row = j.denials,
            failed = l.failed + (not $5)::int,
            refused_at = case when $5 then clock_timestamp() else l.refused_at end,
            openings = l.openings + j.opens::int,
            openings_in_row = l.openings_in_row + j.opens::int,
            open_until = case
                when j.opens then clock_timestamp()
                    + make_interval(secs => least($9, $8 * power(2, least(l.openings_in_row, 30))))
                else l.open_until end,
            probe_id = case when j.opens then null else l.probe_id end,
            probe_until = case when j.opens then null else l.probe_until end
        from judged j
        where l.source = j.source
        returning l.open_until is not null as "is_open!"
        "#,
        source,
        permit.id,
        permit.departs_at,
        ending == Ending::Denied,
        ending == Ending::Refused,
        FAILURES_MAX,
        DENIALS_MAX,
        OPEN_FIRST.as_secs_f64(),
        OPEN_MAX.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(is_open.unwrap_or_default())
}

/// Notes that a permit came to nothing. If its call was to probe a half-open circuit, another one may.
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
