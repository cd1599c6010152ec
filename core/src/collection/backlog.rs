//! How far parsing lags behind fetching. What a collection has stored and not parsed is counted in its row, by pages:
//! a page that is stored adds its documents, and takes them away when its last batch is settled.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// How many documents of all collections may wait to be parsed before no further page is fetched. At full speed that is some
/// seconds of parsing on two cores, so parsing never runs dry while fetching waits for its turn. When the parsers are slow,
/// paused or gone, it bounds what piles up: a thousand jobs with batches of a hundred, and a few hundred MB of raw documents.
pub const BACKLOG_MAX: u32 = 100_000;

/// Notes that a page of a collection is not fetched for now, because parsing lags behind. Changes nothing for one that was
/// noted within half a second, or is over; else locks the collection for a moment.
///
/// # Errors
/// The database's.
pub async fn note_lagging(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update collections set lagged_at = now()
        where id = $1 and finished_at is null and coalesce(lagged_at < now() - interval '0.5 s', true)
        "#,
        id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts the documents that wait to be parsed anew, from the pages of the collections that are under way. A count that is too
/// high by more than the bound would hold all fetching back for good: a worker of an earlier version, which parses without
/// counting, can bring that about. Logs what it corrects.
///
/// One short transaction for each collection, which it locks while it reads its pages.
///
/// # Errors
/// The database's.
pub async fn recount_backlog(pool: &PgPool) -> Result<(), sqlx::Error> {
    let counted =
        sqlx::query_scalar!("select id from collections where finished_at is null and documents_open > 0");
    for id in counted.fetch_all(pool).await? {
        recount(pool, id).await?;
    }
    Ok(())
}

async fn recount(pool: &PgPool, id: Uuid) -> Result<(), sqlx::Error> {
    let mut tx = crate::db::begin(pool).await?;
    // First the lock, so that the next statement sees the pages of all who have counted theirs.
    let counted = sqlx::query_scalar!("select documents_open from collections where id = $1 for update", id)
        .fetch_optional(&mut *tx)
        .await?;
    let documents = sqlx::query_scalar!(
        r#"
        select coalesce(sum(documents_open), 0)::integer as "documents!" from pages
        where collection_id = $1 and state = 'fetched'
        "#,
        id,
    )
    .fetch_one(&mut *tx)
    .await?;
    if counted.is_some_and(|counted| counted != documents) {
        tracing::warn!(collection_id = %id, counted, documents, "the count of the documents to parse was wrong");
        sqlx::query!("update collections set documents_open = $2 where id = $1", id, documents)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await
}
