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
/// is gone, which is counted nowhere. Neither is one of an earlier pass: later jobs tell what its documents are.
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

/// Counts a batch as failed that nobody parses for now. As [`settle_batch`], also for one that was given up before. Gives whether
/// its documents are to be listed as failed: not if it is of an earlier pass.
pub(super) async fn settle_given_up(
    conn: &mut PgConnection,
    job: &ParseDocuments,
) -> Result<bool, sqlx::Error> {
    let result = BatchResult { parsed: 0, failed: job.document_ids.len() };
    Ok(settle(conn, job, result, true).await? != Counted::Nowhere)
}

/// Whether a batch was open until it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    First,
    Again,
    /// It is of an earlier pass.
    Nowhere,
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
        where collection_id = $1 and number = $2 and pass = $7 and batches_open > 0
          and coalesce($3 <> all(batches_given_up), true)
        returning state = 'done' as "is_done!", documents_open
        "#,
        job.collection_id,
        job.page,
        job.batch(),
        result.parsed as i32,
        result.failed as i32,
        gives_up,
        job.pass,
    )
    .fetch_optional(&mut *conn)
    .await?;
    match page {
        Some(page) if page.is_done => {
            let change = Change { closed: 1, documents: -page.documents_open, ..Change::default() };
            count_pages(conn, job.collection_id, change).await?;
            Ok(Counted::First)
        }
        Some(_) => Ok(Counted::First),
        None => correct(conn, job, result, gives_up).await,
    }
}

/// Corrects the count of a batch that is not open any more: it was given up, or its page was closed without it.
async fn correct(
    conn: &mut PgConnection,
    job: &ParseDocuments,
    result: BatchResult,
    gives_up: bool,
) -> Result<Counted, sqlx::Error> {
    let corrected = sqlx::query_scalar!(
        r#"
        update pages
        set parsed = parsed + $4,
            failed = failed + $5 - case when $3 = any(batches_given_up) then $7 else 0 end,
            batches_given_up = array_remove(batches_given_up, $3)
                || case when $6 then array[$3]::bigint[] else '{}' end
        where collection_id = $1 and number = $2 and pass = $8
        returning number
        "#,
        job.collection_id,
        job.page,
        job.batch(),
        result.parsed as i32,
        result.failed as i32,
        gives_up,
        job.document_ids.len() as i32,
        job.pass,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if corrected.is_none() {
        // Where its page is gone, what counts it is gone with it. The documents are there and keep what became of them.
        let is_there = is_there(conn, job).await?;
        return Ok(if is_there { Counted::Nowhere } else { Counted::Again });
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
    conclude_again(conn, job.collection_id).await?;
    Ok(Counted::Again)
}

/// Whether there is a page of this job.
async fn is_there(conn: &mut PgConnection, job: &ParseDocuments) -> Result<bool, sqlx::Error> {
    let page = sqlx::query_scalar!(
        "select number from pages where collection_id = $1 and number = $2",
        job.collection_id,
        job.page,
    );
    Ok(page.fetch_optional(conn).await?.is_some())
}
