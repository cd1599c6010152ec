use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

/// The class of the advisory locks that those who hide and those who show the resumes of a source take: "gone" in ASCII.
const LOCK_CLASS: i32 = i32::from_be_bytes(*b"gone");

/// The ids of the resumes of a source that are shown and not among those seen, in the order of their external ids: `seen` has the
/// first eight bytes of the SHA-256 of their external ids, as big-endian integers. What was parsed at `before` or later is left out.
///
/// # Errors
/// The database's.
pub async fn missing(
    pool: &PgPool,
    source: &str,
    before: DateTime<Utc>,
    seen: &[i64],
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select id from resumes
        where source = $1 and gone_at is null and updated_at < $2
          and not exists (
              select from unnest($3::bigint[]) as seen (key)
              where seen.key = ('x' || encode(substring(sha256(convert_to(external_id, 'UTF8')) for 8), 'hex'))::bit(64)::bigint)
        order by external_id
        "#,
        source,
        before,
        seen,
    )
    .fetch_all(pool)
    .await
}

/// Waits for those who [see](see) who is there, and keeps others from it until the end of the transaction: who has been seen is
/// known then.
///
/// # Errors
/// The database's.
pub async fn hold_sight(conn: &mut PgConnection, source: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock($1, hashtext($2))", LOCK_CLASS, source)
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// Hides those of these resumes that are not among those seen, as [`missing`] has them. Gives how many are hidden that were not. Locks
/// them in the order of their external ids.
///
/// # Errors
/// The database's.
pub async fn hide_missing(
    conn: &mut PgConnection,
    ids: &[i64],
    before: DateTime<Utc>,
    seen: &[i64],
) -> Result<u64, sqlx::Error> {
    let update = sqlx::query!(
        r#"
        update resumes set gone_at = now()
        where id in (
            select id from resumes
            where id = any($1) and gone_at is null and updated_at < $2
              and not exists (
                  select from unnest($3::bigint[]) as seen (key)
                  where seen.key = ('x' || encode(substring(sha256(convert_to(external_id, 'UTF8')) for 8), 'hex'))::bit(64)::bigint)
            order by external_id for update)
        "#,
        ids,
        before,
        seen,
    );
    Ok(update.execute(conn).await?.rows_affected())
}

/// Before [`note_seen`] is called because of what a list shows: waits for whoever [hides those who are missing](hold_sight), and
/// lets nobody do that until the end of the transaction.
///
/// # Errors
/// The database's.
pub async fn see(conn: &mut PgConnection, source: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock_shared($1, hashtext($2))", LOCK_CLASS, source)
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// Hides the resumes of those of a source who were deleted, and lets searches find those again who are there. Locks them in the order
/// of their external ids, in one statement.
///
/// # Errors
/// The database's.
pub async fn note_seen(
    conn: &mut PgConnection,
    source: &str,
    (deleted, there): (&[&str], &[&str]),
) -> Result<(), sqlx::Error> {
    if deleted.is_empty() && there.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"
        update resumes set gone_at = case when external_id = any($2) then now() end
        where id in (
            select id from resumes
            where source = $1 and external_id = any($2::text[] || $3::text[]) and (gone_at is null) = (external_id = any($2))
            order by external_id for update)
        "#,
        source,
        deleted as &[&str],
        there as &[&str],
    )
    .execute(conn)
    .await?;
    Ok(())
}
