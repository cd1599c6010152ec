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

/// Waits for those who [hide](hide()) and [show](show_again) resumes of a source because of what they see, and keeps others from it until the
/// end of the transaction: who has been seen is known then.
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

/// Hides those resumes of a source, who were deleted. Locks them in the order of their external ids, and waits for whoever [hides those
/// who are missing](hold_sight).
///
/// # Errors
/// The database's.
pub async fn hide(conn: &mut PgConnection, source: &str, external_ids: &[&str]) -> Result<(), sqlx::Error> {
    if external_ids.is_empty() {
        return Ok(());
    }
    see(conn, source).await?;
    sqlx::query!(
        r#"
        update resumes set gone_at = now()
        where id in (select id from resumes where source = $1 and external_id = any($2) and gone_at is null
                     order by external_id for update)
        "#,
        source,
        external_ids as &[&str],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets searches find those resumes of a source again that were hidden: they were seen. Locks them in the order of their external
/// ids, and waits for whoever [hides those who are missing](hold_sight).
///
/// # Errors
/// The database's.
pub async fn show_again(
    conn: &mut PgConnection,
    source: &str,
    external_ids: &[&str],
) -> Result<(), sqlx::Error> {
    see(conn, source).await?;
    sqlx::query!(
        r#"
        update resumes set gone_at = null
        where id in (select id from resumes where source = $1 and external_id = any($2) and gone_at is not null
                     order by external_id for update)
        "#,
        source,
        external_ids as &[&str],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Before any resume is locked: who hides those who are missing locks them last.
async fn see(conn: &mut PgConnection, source: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock_shared($1, hashtext($2))", LOCK_CLASS, source)
        .fetch_one(conn)
        .await?;
    Ok(())
}
