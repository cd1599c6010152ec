use sqlx::PgPool;
use uuid::Uuid;

use crate::{resume, source};

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
          and not exists (select from pages where collection_id = $1 and (state = 'failed' or error_code is not null))
          and not exists (select from doubts where collection_id = $1)
          and exists (select from page_items where collection_id = $1 and cardinality(keys) > 0)
        "#,
        collection_id,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(run) = run else { return Ok(0) };
    if !source::of_collection(&mut conn, &run.source).await?.definition.list.hides_missing() {
        return Ok(0);
    }
    // Later runs may have seen what has come back since.
    let seen = sqlx::query_scalar!(
        r#"
        select unnest(keys) as "key!" from page_items i join collections c on c.id = i.collection_id
        where c.source = $1 and c.created_at >= $2
        "#,
        run.source,
        run.created_at,
    )
    .fetch_all(&mut *conn)
    .await?;
    drop(conn);
    resume::hide_missing(pool, &run.source, run.created_at, &seen).await
}
