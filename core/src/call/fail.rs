use resume_queue::{Discarded, EnqueueError, JobId};
use sqlx::PgConnection;

use super::{NewCall, Run, WINDOW_PAGES, next, open, pages_of};
use crate::{
    jobs::MakeCall,
    progress::counts::{self, Counts},
    resume::by_request,
    source::{self, definition::Step},
};

/// A call to a source that did not bring its answer.
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
pub(crate) fn shown(error: &str) -> String {
    let mut chars = error.chars().map(|c| if c == '\0' { '\u{fffd}' } else { c });
    let mut text: String = chars.by_ref().take(ERROR_CHARS_MAX).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}

/// Notes a call that did not bring its answer: the count of calls, and what went wrong.
///
/// # Errors
/// The database's.
pub async fn note_failure(
    conn: &mut PgConnection,
    job: &MakeCall,
    failure: &CallFailure,
) -> Result<(), sqlx::Error> {
    let is_refused = failure.code.is_none();
    let noted = sqlx::query!(
        r#"
        update calls
        set made = made + case when $4 then 1 else 0 end,
            rate_limited = rate_limited + case when $2::text is null then 1 else 0 end,
            error_code = coalesce($2, error_code), error = case when $2::text is null then error else $3 end
        where id = $1 and state = 'pending'
        "#,
        job.call_id,
        failure.code,
        shown(&failure.detail),
        failure.is_call,
    )
    .execute(&mut *conn)
    .await?;
    if noted.rows_affected() == 0 {
        return Ok(());
    }
    let change =
        Counts { made: i64::from(failure.is_call), rate_limited: i64::from(is_refused), ..Counts::default() };
    counts::add(conn, job.collection_id, change).await
}

/// Gives a call up, because its job was discarded: it is listed as failed, and the page after the window
/// takes its place. Behind a failed page of a chain nothing can be fetched;
/// [`continue_collection`](crate::collection::continue_collection()) goes on from there.
///
/// Does nothing when the call is no longer pending, or when its collection was stopped after the job was
/// enqueued: the call has another job then, or gets one when somebody continues the collection. Locks the
/// call, then shares a lock on the collection, so that nobody stops and continues it meanwhile.
///
/// # Errors
/// The database's; roll back.
pub async fn give_up(
    conn: &mut PgConnection,
    job: &MakeCall,
    discarded: &Discarded,
) -> Result<(), EnqueueError> {
    let Some(row) = mark_failed(conn, job, discarded).await? else { return Ok(()) };
    let source = source::of_collection(conn, &row.source).await?;
    let list = &source.definition.list;
    let is_windowed = row.step == Step::List && list.is_windowed() && row.reading == 1;
    let takes_count = row.count.is_some() && list.takes_count();
    let follow = if is_windowed && (row.pages_expected.is_some() || !is_dead_end(conn, job).await?) {
        let pages_max = pages_of(row.count, row.per_page.unsigned_abs());
        next::after_failed(row.place, takes_count, row.pages_expected, pages_max)
    } else {
        Vec::new()
    };
    let run = Run { collection_id: job.collection_id, group: row.group_id, source: &row.source };
    let pages: Vec<NewCall> =
        follow.into_iter().map(|place| NewCall::page(row.step, "", place, None)).collect();
    let opened = open::open(conn, run, &pages).await?;
    let change = Counts { opened, failed_calls: 1, ..Counts::default() };
    counts::add(conn, job.collection_id, change).await?;
    Ok(())
}

/// A call that was just marked as failed.
struct Failed {
    step: Step,
    place: i32,
    reading: i32,
    source: String,
    count: Option<i64>,
    per_page: i32,
    pages_expected: Option<i32>,
    group_id: Option<JobId>,
}

async fn mark_failed(
    conn: &mut PgConnection,
    job: &MakeCall,
    discarded: &Discarded,
) -> Result<Option<Failed>, sqlx::Error> {
    let code = by_request(discarded).or(discarded.code.as_deref()).unwrap_or("job_failed");
    sqlx::query_as!(
        Failed,
        r#"
        with given_up as materialized (
            select id, collection_id from calls where id = $1 and state = 'pending' for update
        ), held as materialized (
            select c.source, c.count, c.per_page, c.pages_expected, c.group_id
            from given_up join collections c on c.id = given_up.collection_id
            where c.state not in ('paused', 'cancelled') and $4 > coalesce(c.stop_job_id, -1)
            for share of c
        )
        update calls p
        set state = 'failed', error_code = coalesce(p.error_code, $3), error = coalesce(p.error, $2)
        from held c where p.id = $1
        returning p.step as "step: Step", p.place, p.reading, c.source, c.count, c.per_page, c.pages_expected,
                  c.group_id
        "#,
        job.call_id,
        shown(discarded.error.as_deref().unwrap_or("discarded without an error")),
        code,
        discarded.job_id,
    )
    .fetch_optional(conn)
    .await
}

/// Whether so many numbered pages in a row have failed that there are hardly any behind them: a list whose
/// end nobody knows would otherwise be searched to the last page that could be.
async fn is_dead_end(conn: &mut PgConnection, job: &MakeCall) -> Result<bool, sqlx::Error> {
    let failed = sqlx::query_scalar!(
        r#"
        select count(*) as "failed!" from calls
        where collection_id = $1 and step = 'list' and parent = '' and item = '' and state = 'failed'
          and place > (select coalesce(max(place), 0) from calls
                       where collection_id = $1 and step = 'list' and parent = '' and item = '' and state = 'done')
        "#,
        job.collection_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(failed >= i64::from(WINDOW_PAGES) / 2)
}
