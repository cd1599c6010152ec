use sqlx::PgConnection;

use super::finish::{Change, conclude_again, count_pages};
use crate::jobs::ParseDocuments;

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
/// A batch counts once. One that was given up before, and whose job was retried, opens and closes nothing: its documents
/// are no longer counted as failed but as they are given here. Gives whether it was one of these: the failures that were
/// listed for it are void then. Locks the collection too, whose end may be another one now. True also of a batch whose page
/// is gone, which is counted nowhere.
///
/// # Errors
/// The database's; roll back.
pub async fn settle_batch(
    conn: &mut PgConnection,
    job: &ParseDocuments,
    result: BatchResult,
) -> Result<bool, sqlx::Error> {
    Ok(settle(conn, job, result, false).await? == Counted::Again)
}

/// Counts a batch as failed that nobody parses for now. As [`settle_batch`], also for one that was given up before.
pub(super) async fn settle_given_up(
    conn: &mut PgConnection,
    job: &ParseDocuments,
) -> Result<(), sqlx::Error> {
    let result = BatchResult { parsed: 0, failed: job.document_ids.len() };
    settle(conn, job, result, true).await?;
    Ok(())
}

/// Whether a batch was open until it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    First,
    Again,
}

async fn settle(
    conn: &mut PgConnection,
    job: &ParseDocuments,
    result: BatchResult,
    gives_up: bool,
) -> Result<Counted, sqlx::Error> {
    let page = sqlx::query!(
        r#"
        update pages
        set parsed = parsed + $4, failed = failed + $5, batches_open = batches_open - 1,
            state = case when batches_open = 1 then 'done' else state end, settled_at = now(),
            batches_given_up = case when $6 then batches_given_up || $3::bigint else batches_given_up end
        where collection_id = $1 and number = $2 and batches_open > 0
          and coalesce($3 <> all(batches_given_up), true)
        returning state = 'done' as "is_done!", stored
        "#,
        job.collection_id,
        job.page,
        job.batch(),
        result.parsed as i32,
        result.failed as i32,
        gives_up,
    )
    .fetch_optional(&mut *conn)
    .await?;
    match page {
        Some(page) if page.is_done => {
            let change = Change { closed: 1, documents: -page.stored, ..Change::default() };
            count_pages(conn, job.collection_id, change).await?;
            Ok(Counted::First)
        }
        Some(_) => Ok(Counted::First),
        None => {
            correct(conn, job, result, gives_up).await?;
            Ok(Counted::Again)
        }
    }
}

/// Corrects the count of a batch that is not open any more: it was given up, or its page was closed without it.
async fn correct(
    conn: &mut PgConnection,
    job: &ParseDocuments,
    result: BatchResult,
    gives_up: bool,
) -> Result<(), sqlx::Error> {
    let corrected = sqlx::query_scalar!(
        r#"
        update pages
        set parsed = parsed + $4,
            failed = failed + $5 - case when $3 = any(batches_given_up) then $7 else 0 end,
            batches_given_up = array_remove(batches_given_up, $3)
                || case when $6 then array[$3]::bigint[] else '{}' end
        where collection_id = $1 and number = $2
        returning number
        "#,
        job.collection_id,
        job.page,
        job.batch(),
        result.parsed as i32,
        result.failed as i32,
        gives_up,
        job.document_ids.len() as i32,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if corrected.is_none() {
        // Its page is gone, and what counts it with it. The documents are there and keep what became of them.
        return Ok(());
    }
    // All that it lacked has come after all.
    sqlx::query!(
        r#"
        update pages set error_code = null, error = null
        where collection_id = $1 and number = $2 and state = 'done' and error_code = 'job_lost'
          and parsed + failed = stored
        "#,
        job.collection_id,
        job.page,
    )
    .execute(&mut *conn)
    .await?;
    conclude_again(conn, job.collection_id).await
}
