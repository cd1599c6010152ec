use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

/// How many resumes are hidden by one statement, whose locks others may wait for.
const HIDDEN_AT_ONCE: usize = 10_000;

/// Hides the resumes of a source that are not among those seen: `seen` has the first eight bytes of the SHA-256 of their external
/// ids, as big-endian integers. What was parsed at `before` or later stays. Gives how many are hidden that were not.
///
/// In transactions of its own, ten thousand at a time; doing it again does no harm.
///
/// # Errors
/// The database's.
pub async fn hide_missing(
    pool: &PgPool,
    source: &str,
    before: DateTime<Utc>,
    seen: &[i64],
) -> Result<u64, sqlx::Error> {
    let missing = sqlx::query_scalar!(
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
    .await?;
    let mut hidden = 0;
    for ids in missing.chunks(HIDDEN_AT_ONCE) {
        let update = sqlx::query!(
            r#"
            update resumes set gone_at = now()
            where id in (select id from resumes where id = any($1) and gone_at is null and updated_at < $2
                         order by external_id for update)
            "#,
            ids,
            before,
        );
        hidden += update.execute(pool).await?.rows_affected();
    }
    Ok(hidden)
}

/// Lets searches find those resumes of a source again that were hidden: they were seen. Locks them in the order of their external ids.
///
/// # Errors
/// The database's.
pub async fn show_again(
    conn: &mut PgConnection,
    source: &str,
    external_ids: &[&str],
) -> Result<(), sqlx::Error> {
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
