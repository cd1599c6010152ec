use resume_queue::{Discarded, EnqueueError};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    WINDOW_PAGES, ahead,
    finish::{Change, count_pages},
    page::{NUMBERS_BEHIND, Run, insert_pages},
    settle::settle_given_up,
};
use crate::{
    jobs::{FetchPage, ParseDocuments},
    resume,
    source::{self, definition::Step},
};

/// A call to a source that did not bring its page.
#[derive(Debug, Clone, PartialEq)]
pub struct CallFailure {
    /// A stable code, such as `source_http_500`; `None` for a refusal by the rate limit, which is no failure.
    pub code: Option<String>,
    /// What happened, for people.
    pub detail: String,
    /// Whether the source was called. Some things go wrong before, such as a secret that is missing.
    pub is_call: bool,
}

/// The longest text that is kept of an error: some of it comes from the source, which may send megabytes.
const ERROR_CHARS_MAX: usize = 500;

/// An error as it can be stored and shown: bounded, and without NUL, which Postgres refuses.
fn shown(error: &str) -> String {
    let mut chars = error.chars().map(|c| if c == '\0' { '\u{fffd}' } else { c });
    let mut text: String = chars.by_ref().take(ERROR_CHARS_MAX).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}

/// Notes a call that did not bring its page: the count of calls, and what went wrong.
///
/// # Errors
/// The database's.
pub async fn note_failed_call(
    conn: &mut PgConnection,
    job: &FetchPage,
    failure: &CallFailure,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update pages
        set calls = calls + case when $5 then 1 else 0 end, rate_limited = rate_limited + case when $3::text is null then 1 else 0 end,
            error_code = coalesce($3, error_code),
            error = case when $3::text is null then error else $4 end
        where collection_id = $1 and number = $2 and state = 'pending'
        "#,
        job.collection_id,
        job.page,
        failure.code,
        shown(&failure.detail),
        failure.is_call,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a collection waits for its source, which is silent, or not called because its calls fail. Until the next page is
/// stored. Changes nothing for one that is noted already, or stopped, or over; else locks the collection for a moment.
///
/// # Errors
/// The database's.
pub async fn note_waiting(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update collections set state = 'waiting_for_source' where id = $1 and state in ('pending', 'running')",
        id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives a page up, because its job was discarded: it is listed as failed, and the page after the window takes its
/// place. Behind a failed page of a chain nothing can be fetched; [`resume`](super::resume) goes on from there.
///
/// Does nothing when the page is no longer pending, or when another job fetches it by now, or will once its
/// collection goes on that is paused or cancelled. Locks the page and the collection.
///
/// # Errors
/// The database's; roll back.
pub async fn give_up_page(
    conn: &mut PgConnection,
    job: &FetchPage,
    discarded: &Discarded,
) -> Result<(), EnqueueError> {
    let row = sqlx::query!(
        r#"
        update pages p
        set state = 'failed', error_code = coalesce(p.error_code, $4), error = coalesce(p.error, $3)
        from collections c
        where p.collection_id = $1 and p.number = $2 and p.state = 'pending' and c.id = p.collection_id
          and coalesce(p.fetch_job_id, $5) <= $5
          and c.state not in ('paused', 'cancelled') and $5 > coalesce(c.stop_job_id, -1)
        returning p.step as "step: Step", c.source, c.count, c.per_page, c.pages_expected, c.group_id
        "#,
        job.collection_id,
        job.page,
        error_of(discarded),
        by_request(discarded).unwrap_or("job_failed"),
        discarded.job_id,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let list = source::of_collection(conn, &row.source).await?.definition.list;
    let is_windowed = row.step == Step::List && list.is_windowed() && job.page < NUMBERS_BEHIND;
    let follow = if is_windowed && (row.pages_expected.is_some() || !is_dead_end(conn, job).await?) {
        let pages_max = row.count.unsigned_abs().div_ceil(row.per_page.unsigned_abs().max(1)).cast_signed();
        ahead::after_failed(job.page, list.is_told_count(), row.pages_expected, pages_max)
    } else {
        Vec::new()
    };
    let run = Run { collection_id: job.collection_id, group: row.group_id, source: &row.source };
    let opened = insert_pages(conn, run, row.step, follow.into_iter().map(|page| (page, None))).await?;
    count_pages(conn, job.collection_id, Change { opened, closed: 1, ..Change::default() }).await?;
    Ok(())
}

/// Whether so many numbered pages in a row have failed that there are hardly any behind them: a list whose end nobody has told would
/// else be looked for to the last page that could be.
async fn is_dead_end(conn: &mut PgConnection, job: &FetchPage) -> Result<bool, sqlx::Error> {
    let failed = sqlx::query_scalar!(
        r#"
        select count(*) as "failed!" from pages
        where collection_id = $1 and step = 'list' and state = 'failed' and number < $2
          and number > (select coalesce(max(number), 0) from pages
                        where collection_id = $1 and step = 'list' and fetched_at is not null and number < $2)
        "#,
        job.collection_id,
        NUMBERS_BEHIND,
    )
    .fetch_one(conn)
    .await?;
    Ok(failed >= i64::from(WINDOW_PAGES) / 2)
}

/// Gives a batch up, because its job was discarded: its documents are listed as failed, with the code `parser_crashed`, or
/// with that of the request (`cancelled_by_request`, `discarded_by_request`). If the job is retried they are parsed after all.
///
/// Doing it again changes nothing but what is listed; where later jobs parse the documents again it changes nothing. Locks the page, and with the last batch the collection. For a job whose
/// [end stands](resume_queue::end_stands) only.
///
/// # Errors
/// The database's; roll back.
pub async fn give_up_documents(
    conn: &mut PgConnection,
    job: &ParseDocuments,
    discarded: &Discarded,
) -> Result<(), sqlx::Error> {
    if !settle_given_up(conn, job).await? {
        return Ok(());
    }
    let code = by_request(discarded).unwrap_or(resume::PARSER_CRASHED);
    let failures: Vec<resume::NewParseFailure> = job
        .document_ids
        .iter()
        .map(|&raw_document_id| resume::NewParseFailure {
            raw_document_id,
            code,
            pointer: String::new(),
            detail: error_of(discarded).to_owned(),
        })
        .collect();
    let source = sqlx::query_scalar!("select source from collections where id = $1", job.collection_id)
        .fetch_optional(&mut *conn)
        .await?;
    // Nobody has read them, with no map.
    let of = (source.as_deref().unwrap_or_default(), 0);
    resume::store_failures(conn, of, (job.collection_id, job.page), &failures).await
}

fn error_of(discarded: &Discarded) -> &str {
    discarded.error.as_deref().unwrap_or("discarded without an error")
}

/// The code of a job that did not fail, but was ended by somebody.
fn by_request(discarded: &Discarded) -> Option<&'static str> {
    resume::BY_REQUEST.into_iter().find(|code| discarded.code.as_deref() == Some(code))
}
