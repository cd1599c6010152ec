use sqlx::PgConnection;
use uuid::Uuid;

use super::findings::Reading;

/// All readings of a collection's list, in the order of their time: eight bytes for each item.
///
/// # Errors
/// The database's.
pub(super) async fn all(conn: &mut PgConnection, collection_id: Uuid) -> Result<Vec<Reading>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select place, reading, total, coalesce(item_keys, '{}') as "keys!" from calls
        where collection_id = $1 and step = 'list' and item = '' and state = 'done'
          and (item_keys is not null or items = 0)
        order by done_at, id
        "#,
        collection_id,
    )
    .fetch_all(conn)
    .await?;
    let readings = rows.into_iter().map(|row| Reading {
        page: row.place,
        round: row.reading,
        keys: row.keys,
        total: row.total,
    });
    Ok(readings.collect())
}
