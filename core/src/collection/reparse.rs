use std::collections::BTreeSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::finish::conclude_again;
use crate::resume::Recount;

/// Counts on their pages what parsing again has made of documents, so that a collection whose last failure is gone is
/// complete, and the other way round. In the caller's transaction; locks the pages, then the collections that are over, both
/// in the order of their ids.
///
/// A page of which jobs were given up is left as it is: if one of them is retried, it counts its documents anew.
///
/// # Errors
/// The database's; roll back.
pub async fn count_reparsed(conn: &mut PgConnection, changes: &[Recount]) -> Result<(), sqlx::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = changes.iter().map(|change| change.collection_id).collect();
    let numbers: Vec<i32> = changes.iter().map(|change| change.page).collect();
    let parsed: Vec<i32> = changes.iter().map(|change| change.parsed).collect();
    let changed = sqlx::query_scalar!(
        r#"
        with changes as (
            select p.collection_id, p.number, c.parsed
            from unnest($1::uuid[], $2::integer[], $3::integer[]) as c (collection_id, number, parsed)
            join pages p using (collection_id, number)
            where p.batches_given_up = '{}'
            order by p.collection_id, p.number
            for update of p
        )
        update pages p set parsed = p.parsed + c.parsed, failed = p.failed - c.parsed
        from changes c where p.collection_id = c.collection_id and p.number = c.number
        returning p.collection_id
        "#,
        &ids,
        &numbers,
        &parsed,
    )
    .fetch_all(&mut *conn)
    .await?;
    for id in BTreeSet::from_iter(changed) {
        conclude_again(conn, id).await?;
    }
    Ok(())
}
