//! The tokens that sources gave us, shared by all processes. They come sealed and are opened elsewhere:
//! nothing here or in the database can read one.

use std::time::Duration;

use sqlx::PgConnection;

/// The class of the advisory locks of [`hold`]: "tokn" in ASCII. The other half is the number of the source.
const LOCK_CLASS: i32 = 0x746f_6b6e;

/// The longest pause in a transaction that holds a source's tokens. A token is asked for meanwhile, which
/// takes a minute at most, or two where it waits for the file of a refresh token; a process that is stopped
/// or cut off for longer makes room for the next one.
const HOLD_MAX: &str = "180s";

/// The newest token of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedToken {
    /// The token, sealed.
    pub sealed: Vec<u8>,
    /// How long ago it was fetched.
    pub age: Duration,
    /// For how long it is good.
    pub good_for: Duration,
}

/// Returns the newest token of a proof of a source, by the proof's place in `auth`, if it is still good.
///
/// # Errors
/// The database's.
pub async fn newest(
    conn: &mut PgConnection,
    source: &str,
    proof: usize,
) -> Result<Option<SharedToken>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select t.sealed,
               greatest(0, extract(epoch from clock_timestamp() - t.fetched_at))::float8 as "age_s!",
               extract(epoch from t.good_until - clock_timestamp())::float8 as "good_for_s!"
        from source_tokens t join sources s on s.id = t.source_id
        where s.name = $1 and t.proof = $2 and t.good_until > clock_timestamp()
        "#,
        source,
        place(proof),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| SharedToken {
        sealed: row.sealed,
        age: seconds(row.age_s),
        good_for: seconds(row.good_for_s),
    }))
}

/// Waits until no other transaction holds the tokens of a source, and holds them until the end of this one,
/// also where its process dies. The transaction may pause for as long as a login takes.
///
/// Takes an advisory lock and no other: a transaction that has changed nothing yet keeps neither vacuum nor a
/// reparse waiting, however long the system takes to answer.
///
/// # Errors
/// The database's.
pub async fn hold(conn: &mut PgConnection, source: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        select set_config('idle_in_transaction_session_timeout', $3, true),
               pg_advisory_xact_lock($1, id) as "held: ()"
        from sources where name = $2
        "#,
        LOCK_CLASS,
        source,
        HOLD_MAX,
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

/// Keeps a token as the newest of a proof, good for this long. The caller [holds](hold) the tokens of the
/// source. A source that was removed gets none.
///
/// # Errors
/// The database's.
pub async fn replace(
    conn: &mut PgConnection,
    source: &str,
    proof: usize,
    sealed: &[u8],
    good_for: Duration,
) -> Result<(), sqlx::Error> {
    // The lock of the row keeps a token from staying that is given while the source is removed.
    sqlx::query!(
        r#"
        insert into source_tokens (source_id, proof, sealed, good_until)
        select id, $2, $3, clock_timestamp() + make_interval(secs => $4)
        from sources where name = $1 and removed_at is null for share
        on conflict (source_id, proof) do update
        set sealed = excluded.sealed, fetched_at = excluded.fetched_at, good_until = excluded.good_until
        "#,
        source,
        place(proof),
        sealed,
        good_for.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes the tokens of a source, which the caller has locked.
pub(super) async fn delete(conn: &mut PgConnection, source_id: i32) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from source_tokens where source_id = $1", source_id).execute(conn).await?;
    Ok(())
}

/// A list of proofs is short.
fn place(proof: usize) -> i32 {
    i32::try_from(proof).unwrap_or(i32::MAX)
}

fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number).unwrap_or_default()
}
