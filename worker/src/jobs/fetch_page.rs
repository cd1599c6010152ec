use std::time::Duration;

use apalis::prelude::Data;
use resume_connector::{Answer, CallError, Page, TokenError};
use resume_core::{
    attachment::Finder,
    collection::{self, CallFailure, FetchedPage, FoundAttachments, FoundPage, PageToFetch},
    db,
    jobs::FetchPage,
    raw::NewRawDocument,
    source::definition::{Definition, Step},
};
use resume_queue::{Coded, JobError, Lease};

use super::fetch_attachment;
use crate::{
    bases::Base,
    context::Context,
    permit::{About, Ended, Finished, Leave},
};

/// A silence that people should see: longer than a source that is asked a little too fast mostly wants.
const LONG_SILENCE: Duration = Duration::from_secs(3);

/// For how long at most no page of a source is claimed that cannot be called: so late may it be noticed that it can again, because
/// somebody has released it.
const REST_MAX: Duration = Duration::from_secs(5);

/// Fetches a page and stores it, with the jobs that follow and its own completion in the same transaction.
///
/// Running twice does no harm: a page that is stored is not fetched again, and of two attempts that fetched it at the
/// same time the fence lets one commit. A job that was retried after its page had been given up hands the page to a new job, as
/// a resume of the collection does, and is discarded with the code `page_taken_over` where a resume has done so before it.
#[tracing::instrument(name = "fetch_page", skip_all, fields(collection = %job.collection_id, page = job.page))]
pub(crate) async fn run(job: FetchPage, lease: Data<Lease>, context: Data<Context>) -> Result<(), JobError> {
    let mut conn = context.pool.acquire().await.map_err(JobError::retry)?;
    let found = collection::find_page(&mut conn, &job, lease.job_id()).await.map_err(JobError::retry)?;
    drop(conn);
    let page = match found {
        FoundPage::Pending(page) => page,
        FoundPage::NotWanted(page) => return skip(&context, &lease, &page).await,
        FoundPage::Failed => return open_again(&context, &lease, &job).await,
        FoundPage::TakenOver => {
            let error = "another job fetches the page since it was opened again";
            return Err(JobError::discard(Coded::new("page_taken_over", error)));
        }
        FoundPage::Settled => return Ok(()),
    };
    if page.step == Step::Known {
        if page.source.definition.known.is_none() {
            let error = "the source is asked for known people no more: has it been changed?".to_owned();
            return Err(given_up(&context, &job, CallError::InvalidRequest(error)).await);
        }
        return open_known(&context, &lease, &page).await;
    }
    if page.step == Step::Attachment {
        // Nothing of it is parsed, and its address expires.
        return fetch_attachment::fetch(&context, &lease, &job, &page).await;
    }
    if let Some(pause) = context.lag.pause(&job, page.backlog, lease.job_id()).await {
        lease.rest_key(pause);
        return Err(JobError::Snooze(pause));
    }
    fetch(&context, &lease, &job, &page).await
}

async fn fetch(
    context: &Context,
    lease: &Lease,
    job: &FetchPage,
    page: &PageToFetch,
) -> Result<(), JobError> {
    let definition = &page.source.definition;
    let base = context.bases.of(definition);
    let connector = &context.connector;
    let call = match connector
        .prepare(definition, page.step, base.url(), page.link.as_deref(), &page.values)
        .await
    {
        Ok(call) => call,
        Err(error) => return Err(not_made(context, lease, job, (base, error)).await),
    };
    let leave = leave(context, lease, job, page, base).await?;
    let answer = call.send().await;
    context.note_base(base, &answer);
    let ended = end(leave, &answer, About::Source).await;
    settle(context, lease, job, page, (answer.result, ended)).await
}

/// Waits for leave to make one call, to this address.
pub(super) async fn leave(
    context: &Context,
    lease: &Lease,
    job: &FetchPage,
    page: &PageToFetch,
    base: Base<'_>,
) -> Result<Leave, JobError> {
    let pacer = context.permits.pacer(&page.source);
    // The slot is for those who may call: other sources can be called.
    match pacer.leave(job.collection_id, job.page).await {
        Ok(leave) => Ok(leave),
        Err(wait) => {
            context.bases.not_called(base);
            note_waiting(context, job).await;
            lease.rest_key(wait.left.min(REST_MAX));
            Err(JobError::Snooze(wait.left))
        }
    }
}

/// Tells the fleet what the answer says of the source.
pub(super) async fn end<T>(leave: Leave, answer: &Answer<T>, about: About) -> Ended {
    let is_old_token = matches!(answer.result, Err(CallError::TokenExpired));
    let about = if is_old_token { About::OldToken } else { about };
    let code = answer.result.as_ref().err().and_then(CallError::code);
    let finished = Finished {
        status: answer.status,
        headers: &answer.headers,
        is_broken: answer.is_broken(),
        code: code.as_deref(),
        bytes: answer.bytes,
        about,
    };
    leave.end(finished).await
}

/// Stores what the call brought, or says what becomes of the page without it.
async fn settle(
    context: &Context,
    lease: &Lease,
    job: &FetchPage,
    page: &PageToFetch,
    (result, ended): (Result<Page, CallError>, Ended),
) -> Result<(), JobError> {
    match result {
        Ok(answered) => {
            let fetched = fetched(page, answered).await;
            store(context, lease, page, &fetched).await
        }
        // The item is gone since it was listed, or the list has no such page: there is nothing to store, and nothing is wrong.
        Err(CallError::Status { status, .. })
            if matches!(status.as_u16(), 404 | 410)
                && (page.step == Step::Detail || page.may_be_behind_the_end()) =>
        {
            store(context, lease, page, &FetchedPage::default()).await
        }
        Err(CallError::CursorExpired { code }) => restart(context, lease, job, page, code).await,
        Err(error) => Err(failed(context, job, error, ended).await),
    }
}

/// What a page brought, with the attachments of its items if they are kept.
async fn fetched(page: &PageToFetch, Page { items, next, total }: Page) -> FetchedPage {
    let definition = &page.source.definition;
    if page.step != definition.last_step() {
        return FetchedPage { items, next, total, ..FetchedPage::default() };
    }
    let (items, attachments) = find_attachments(definition, items).await;
    FetchedPage { items, next, total, attachments }
}

/// Finds the attachments of items, on the threads for blocking work.
pub(super) async fn find_attachments(
    definition: &Definition,
    items: Vec<NewRawDocument>,
) -> (Vec<NewRawDocument>, FoundAttachments) {
    // It was checked when the source was added.
    let Some(finder) = definition.attachments.as_ref().and_then(|attachments| Finder::new(attachments).ok())
    else {
        return (items, FoundAttachments::default());
    };
    let finding = tokio::task::spawn_blocking(move || {
        let found = FoundAttachments::of(&finder, &items);
        (items, found)
    });
    match finding.await {
        Ok(found) => found,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Notes a call that could not be made, to this address; gives what becomes of the job.
pub(super) async fn not_made(
    context: &Context,
    lease: &Lease,
    job: &FetchPage,
    (base, error): (Base<'_>, CallError),
) -> JobError {
    context.bases.not_called(base);
    let CallError::Token(TokenError { wait, .. }) = error else { return given_up(context, job, error).await };
    // As with a credential that the source itself refuses: it is the trouble of all pages, and uses up no attempt of one.
    note(context, job, &error, false).await;
    note_waiting(context, job).await;
    lease.rest_key(wait.min(REST_MAX));
    JobError::Snooze(wait)
}

/// Notes why no call is made; gives what becomes of the job.
pub(super) async fn given_up(context: &Context, job: &FetchPage, error: CallError) -> JobError {
    note(context, job, &error, false).await;
    verdict(error)
}

/// Notes a call that failed; gives what becomes of the job.
pub(super) async fn failed(context: &Context, job: &FetchPage, error: CallError, ended: Ended) -> JobError {
    // What is a refusal, and for how long, the headers tell.
    let error = ended.refused_for.map_or(error, CallError::RateLimited);
    note(context, job, &error, true).await;
    match error {
        // The limit is no failure of the page. Those that were refused together come back one after the other: the permits
        // are spaced.
        CallError::RateLimited(silence) => {
            if silence >= LONG_SILENCE {
                note_waiting(context, job).await;
            }
            JobError::Snooze(silence.max(Duration::from_millis(1)))
        }
        // That the source is away, or has locked us out, uses up no attempt of the page. The permits tell until when.
        error if ended.is_circuit_open && error.is_of_source() => {
            note_waiting(context, job).await;
            JobError::Snooze(Duration::ZERO)
        }
        error => verdict(error),
    }
}

/// Lets people see that the collection waits. Where even that fails the database is away, which the snooze will find out.
async fn note_waiting(context: &Context, job: &FetchPage) {
    let noted = async {
        let mut conn = context.pool.acquire().await?;
        collection::note_waiting(&mut conn, job.collection_id).await
    };
    if let Err(error) = noted.await {
        tracing::warn!(%error, "it was not noted that a collection waits for its source");
    }
}

async fn store(
    context: &Context,
    lease: &Lease,
    page: &PageToFetch,
    fetched: &FetchedPage,
) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(JobError::retry)?;
    let Some(stored) = collection::store_page(&mut tx, page, fetched).await.map_err(JobError::retry)? else {
        // Somebody has stored or closed it meanwhile: another look tells which.
        return Err(JobError::Snooze(Duration::ZERO));
    };
    lease.complete_in(&mut tx).await.map_err(JobError::retry)?;
    tx.commit().await.map_err(JobError::retry)?;
    tracing::debug!(collection_id = %page.collection_id, page = page.number, ?stored, "page stored");
    Ok(())
}

/// Closes a page without a call, with the own completion in the same transaction.
async fn skip(context: &Context, lease: &Lease, page: &PageToFetch) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(JobError::retry)?;
    collection::skip_page(&mut tx, page).await.map_err(JobError::retry)?;
    lease.complete_in(&mut tx).await.map_err(JobError::retry)?;
    tx.commit().await.map_err(JobError::retry)
}

/// Looks for people to ask for, with the own completion in the same transaction.
async fn open_known(context: &Context, lease: &Lease, page: &PageToFetch) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(JobError::retry)?;
    if !collection::open_known(&mut tx, page).await.map_err(JobError::retry)? {
        // Somebody has looked or stopped it meanwhile: another look tells which.
        return Err(JobError::Snooze(Duration::ZERO));
    }
    lease.complete_in(&mut tx).await.map_err(JobError::retry)?;
    tx.commit().await.map_err(JobError::retry)
}

/// Begins the list again, with the own completion in the same transaction; gives the page up when that was done before.
async fn restart(
    context: &Context,
    lease: &Lease,
    job: &FetchPage,
    page: &PageToFetch,
    code: String,
) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(JobError::retry)?;
    if !collection::restart(&mut tx, page).await.map_err(JobError::retry)? {
        tx.rollback().await.map_err(JobError::retry)?;
        let error = CallError::CursorExpired { code };
        note(context, job, &error, true).await;
        return Err(verdict(error));
    }
    lease.complete_in(&mut tx).await.map_err(JobError::retry)?;
    tx.commit().await.map_err(JobError::retry)?;
    tracing::info!(collection_id = %job.collection_id, page = job.page, code, "the list is read again from its beginning");
    Ok(())
}

/// Hands a page that failed to a new job, with the own completion in the same transaction.
async fn open_again(context: &Context, lease: &Lease, job: &FetchPage) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(JobError::retry)?;
    let is_open = collection::resume_page(&mut tx, job).await.map_err(JobError::retry)?;
    if !is_open {
        // It was opened before us: another look tells by whom.
        return Err(JobError::Snooze(Duration::ZERO));
    }
    lease.complete_in(&mut tx).await.map_err(JobError::retry)?;
    tx.commit().await.map_err(JobError::retry)?;
    tracing::info!(collection_id = %job.collection_id, page = job.page, "a retry has opened the page again");
    Ok(())
}

/// Counts the call in the collection, if it was made, and notes what went wrong. Where even that fails the database is away, which the attempt's end will find out.
async fn note(context: &Context, job: &FetchPage, error: &CallError, is_call: bool) {
    let detail = std::error::Error::source(error)
        .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    let failure = CallFailure { code: error.code(), detail, is_call };
    let noted = async {
        let mut conn = context.pool.acquire().await?;
        collection::note_failed_call(&mut conn, job, &failure).await
    };
    if let Err(error) = noted.await {
        tracing::warn!(%error, "a failed call was not counted");
    }
}

fn verdict(error: CallError) -> JobError {
    match error {
        CallError::Status { retry_after: Some(wait), .. } if error.is_passing() => {
            JobError::RetryAfter(error.into(), wait)
        }
        error if error.is_passing() => JobError::retry(error),
        error => JobError::discard(error),
    }
}
