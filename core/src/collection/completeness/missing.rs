use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{attachment, db, resume, source};

/// How many resumes are hidden in one transaction, for which those who store pages wait.
const HIDDEN_AT_ONCE: usize = 10_000;
/// How much later than its items were noted a page may be stored: many times what it takes.
const STORING_MAX: TimeDelta = TimeDelta::minutes(1);

/// Hides the resumes that a collection has not seen, if its source wants that, and if it has everything: a full run that was not cut
/// and leaves no doubt. Documents that failed to parse were seen. A run that saw nobody at all hides nobody. Gives how many.
///
/// In transactions of its own; doing it again does no harm.
///
/// # Errors
/// The database's.
pub async fn hide_missing(pool: &PgPool, collection_id: Uuid) -> Result<u64, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let run = sqlx::query!(
        r#"
        select source, created_at from collections c
        where id = $1 and state in ('completed', 'completed_with_errors') and not is_cut and since is null
          and not exists (select from pages where collection_id = $1 and (state = 'failed' or error_code is not null)
                          and coalesce(error_code, '') <> all($2))
          and not exists (select from doubts where collection_id = $1)
          and exists (select from page_items where collection_id = $1 and cardinality(keys) > 0)
        "#,
        collection_id,
        &attachment::NOT_KEPT as &[&str],
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(run) = run else { return Ok(0) };
    if !source::of_collection(&mut conn, &run.source).await?.definition.list.hides_missing() {
        return Ok(0);
    }
    let looked_at = sqlx::query_scalar!(r#"select clock_timestamp() as "at!""#).fetch_one(&mut *conn).await?;
    let seen = seen_since(&mut conn, &run.source, run.created_at, run.created_at).await?;
    drop(conn);
    let missing = resume::missing(pool, &run.source, run.created_at, &seen).await?;
    let mut hidden = 0;
    for ids in missing.chunks(HIDDEN_AT_ONCE) {
        let mut tx = db::begin(pool).await?;
        resume::hold_sight(&mut tx, &run.source).await?;
        // The next run may have begun long ago, and have seen who has come back.
        let lately = looked_at - STORING_MAX;
        let seen = seen_since(&mut tx, &run.source, run.created_at, lately).await?;
        hidden += resume::hide_missing(&mut tx, ids, run.created_at, &seen).await?;
        tx.commit().await?;
    }
    Ok(hidden)
}

/// The keys of the items of a source that the pages of runs since `begun` have shown since `at`.
async fn seen_since(
    conn: &mut PgConnection,
    source: &str,
    begun: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select unnest(keys) as "key!" from page_items i join collections c on c.id = i.collection_id
        where c.source = $1 and c.created_at >= $2 and i.seen_at >= $3
        "#,
        source,
        begun,
        at,
    )
    .fetch_all(conn)
    .await
}
