use sqlx::PgConnection;
use uuid::Uuid;

use super::finish::{Change, count_pages};

/// What parsing one batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchResult {
    /// Documents that became resumes.
    pub parsed: usize,
    /// Documents that failed.
    pub failed: usize,
}

/// Counts a parsed batch of a page, and closes the page with its last batch. In the caller's transaction, which should
/// also store the resumes and complete the parsing job. Locks the page, and with the last batch the collection.
///
/// # Errors
/// The database's; roll back.
pub async fn settle_batch(
    conn: &mut PgConnection,
    collection_id: Uuid,
    page: i32,
    result: BatchResult,
) -> Result<(), sqlx::Error> {
    let is_done = sqlx::query_scalar!(
        r#"
        update pages
        set parsed = parsed + $3, failed = failed + $4, batches_open = batches_open - 1,
            state = case when batches_open = 1 then 'done' else state end
        where collection_id = $1 and number = $2
        returning state = 'done' as "is_done!"
        "#,
        collection_id,
        page,
        result.parsed as i32,
        result.failed as i32,
    )
    .fetch_one(&mut *conn)
    .await?;
    if is_done {
        count_pages(conn, collection_id, Change { closed: 1, ..Change::default() }).await?;
    }
    Ok(())
}
