use sqlx::PgConnection;

use super::{CallEnd, Permit, grant::milliseconds};

/// Notes the end of a call that says nothing of the source: in the ledger alone. It counts neither for nor
/// against the circuit, and changes nothing of what is known of the limits; one that probed the circuit by
/// chance leaves that to another one.
///
/// One statement, outside of a transaction: it does not wait for the disk.
pub(super) async fn end_aside(
    conn: &mut PgConnection,
    source: &str,
    permit: &Permit,
    end: &CallEnd,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with quickly as materialized (select set_config('synchronous_commit', 'off', true)),
        ended as (
            update call_ledger
            set left_at = departs_at + make_interval(secs => $4), ended_at = clock_timestamp(), status = $5, code = $6,
                bytes = $7, took_ms = $8
            from quickly where id = $2 and departs_at = $3
        )
        update call_limits set probe_id = null, probe_until = null where source = $1 and probe_id = $2
        "#,
        source,
        permit.id,
        permit.departs_at,
        end.late.as_secs_f64(),
        end.status.and_then(|status| i16::try_from(status).ok()),
        end.code.as_deref(),
        i64::try_from(end.bytes).unwrap_or(i64::MAX),
        milliseconds(end.took),
    )
    .execute(conn)
    .await?;
    Ok(())
}
