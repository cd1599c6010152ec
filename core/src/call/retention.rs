use sqlx::PgConnection;
use uuid::Uuid;

/// Deletes calls of a collection, at most `limit`, by the index `calls_about`. Returns how many.
///
/// # Errors
/// The database's.
pub(crate) async fn delete_some(
    conn: &mut PgConnection,
    collection_id: Uuid,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        // In the order of the index, or a planner would rather read the table from its beginning.
        r#"
        delete from calls where ctid = any(array(
            select ctid from calls where collection_id = $1
            order by collection_id, step, parent, item, place, reading limit $2))
        "#,
        collection_id,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
