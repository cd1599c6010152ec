use std::time::Duration;

use apalis::prelude::Data;
use resume_connector::{CallError, Page};
use resume_core::{
    call::{self, Answer, Answered, Call, CallFailure, Found, StoreCallError},
    collection, db,
    jobs::MakeCall,
    source::definition::Step,
};
use resume_queue::{JobError, Lease};

use super::{
    call::{end, failed, find_attachments, given_up, leave, not_made, note, note_failure, verdict},
    fetch_attachment, retry,
};
use crate::{
    context::Context,
    permit::{About, Ended},
};

/// How long a page waits for a worker that has the erasure key.
const KEY_PAUSE: Duration = Duration::from_secs(60);

/// The code of a page that waits for it.
const ERASURE_KEY_MISSING: &str = "erasure_key_missing";

/// Fetches a page and stores it, with the jobs that follow and its own completion in the same transaction.
///
/// Running twice does no harm: a page that is stored is not fetched again, and of two attempts that fetched
/// it at the same time the fence lets one commit. A job that was retried after its call had been given up
/// hands the call to a new job, as continuing the collection does.
#[tracing::instrument(name = "make_call", skip_all, fields(collection = %job.collection_id, call = job.call_id))]
pub(crate) async fn run(job: MakeCall, lease: Data<Lease>, context: Data<Context>) -> Result<(), JobError> {
    let mut conn = context.pool.acquire().await.map_err(retry)?;
    let found = call::find(&mut conn, &job, lease.job_id()).await.map_err(retry)?;
    drop(conn);
    let call = match found {
        Found::Pending(call) => call,
        Found::NotWanted(call) => return skip(&context, &lease, &call).await,
        Found::Failed => return open_again(&context, &lease, &job).await,
        Found::Settled => return Ok(()),
    };
    if call.step == Step::Known {
        if call.source.definition.known.is_none() {
            let error = "the source no longer asks for known people: has its definition changed?".to_owned();
            return Err(given_up(&context, &job, CallError::InvalidRequest(error)).await);
        }
        return open_known(&context, &lease, &call).await;
    }
    if call.step == Step::Attachment {
        // Nothing of it is parsed, and its address expires.
        return fetch_attachment::fetch(&context, &lease, &job, &call).await;
    }
    let source = &call.source.definition.name;
    if let Some(pause) = context.lag.pause(&job, source, lease.job_id()).await.map_err(retry)? {
        lease.rest_key(pause);
        return Err(JobError::Snooze(pause));
    }
    fetch(&context, &lease, &job, &call).await
}

async fn fetch(context: &Context, lease: &Lease, job: &MakeCall, call: &Call) -> Result<(), JobError> {
    let definition = &call.source.definition;
    let base = context.bases.of(definition);
    let connector = &context.connector;
    let request = match connector
        .prepare(definition, call.step, base.url(), call.link.as_deref(), &call.values)
        .await
    {
        Ok(request) => request,
        Err(error) => return Err(not_made(context, lease, job, base, error).await),
    };
    let leave = leave(context, lease, job, call, base).await?;
    let called_at = leave.departs_at();
    let reply = request.send().await;
    context.note_base(base, &reply);
    let ended = end(leave, &reply, About::Source).await;
    match reply.result {
        Ok(page) => {
            let answer = Answer { called_at: Some(called_at), ..answer(call, page).await };
            store(context, lease, call, &answer).await
        }
        Err(error) => without_answer(context, lease, job, call, error, ended).await,
    }
}

/// Says what becomes of a call that brought nothing.
async fn without_answer(
    context: &Context,
    lease: &Lease,
    job: &MakeCall,
    call: &Call,
    error: CallError,
    ended: Ended,
) -> Result<(), JobError> {
    match error {
        // The item is gone since it was listed, or the list has no such page: there is nothing to store, and
        // nothing is wrong.
        CallError::Status { status, .. }
            if matches!(status.as_u16(), 404 | 410)
                && (call.step == Step::Detail || call.may_be_behind_the_end()) =>
        {
            store(context, lease, call, &Answer::default()).await
        }
        CallError::CursorExpired { code } => restart(context, lease, job, call, code).await,
        error => Err(failed(context, job, error, ended).await),
    }
}

/// What a page brought, with the attachments of its items if they are kept.
async fn answer(call: &Call, Page { items, next, total }: Page) -> Answer {
    let definition = &call.source.definition;
    if call.step != definition.last_step() {
        return Answer { items, next, total, ..Answer::default() };
    }
    let (items, attachments) = find_attachments(definition, items).await;
    Answer { items, next, total, attachments, called_at: None }
}

/// How often an answer is stored at once: somebody else may have stored one of its people at the same time.
const STORES_MAX: u32 = 5;

async fn store(context: &Context, lease: &Lease, call: &Call, answer: &Answer) -> Result<(), JobError> {
    let mut tries = 1;
    loop {
        let mut tx = db::begin(&context.pool).await.map_err(retry)?;
        let answered = match call::store(&mut tx, call, answer, context.erasure_key.as_ref()).await {
            Ok(Answered::Stored(answered)) => answered,
            // Somebody has stored or closed it meanwhile: another look tells which.
            Ok(Answered::NotPending) => return Err(JobError::Snooze(Duration::ZERO)),
            Err(error) if error.is_contention() && tries < STORES_MAX => {
                tries += 1;
                tx.rollback().await.map_err(retry)?;
                continue;
            }
            Err(error) if error.is_key_missing() => {
                tx.rollback().await.map_err(retry)?;
                return Err(without_key(context, call, &error).await);
            }
            Err(error) => return Err(JobError::retry(error)),
        };
        lease.complete_in(&mut tx).await.map_err(retry)?;
        tx.commit().await.map_err(retry)?;
        context.lag.stored(&call.source.definition.name, answered.stored.ids.len()).await;
        context.details.gather(call.collection_id, call.group, call.batch_size, &answered.without_job);
        return Ok(());
    }
}

/// Keeps a page whose people cannot be told from those who were erased, until a worker has the key; gives
/// what becomes of the job. No failure of the page: it uses up no attempt.
async fn without_key(context: &Context, call: &Call, error: &StoreCallError) -> JobError {
    let collection = call.collection_id;
    tracing::error!(%collection, call = call.id, source = call.source.definition.name, "a page is not stored: {error}");
    let failure = CallFailure {
        code: Some(ERASURE_KEY_MISSING.to_owned()),
        detail: error.to_string(),
        is_call: call.step != Step::Known,
    };
    note_failure(context, &MakeCall { collection_id: collection, call_id: call.id }, &failure).await;
    JobError::Snooze(KEY_PAUSE)
}

/// Closes a page without a call, with the own completion in the same transaction.
async fn skip(context: &Context, lease: &Lease, call: &Call) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(retry)?;
    call::skip(&mut tx, call).await.map_err(retry)?;
    lease.complete_in(&mut tx).await.map_err(retry)?;
    tx.commit().await.map_err(retry)
}

/// Looks for people to ask for, with the own completion in the same transaction.
async fn open_known(context: &Context, lease: &Lease, call: &Call) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(retry)?;
    let opened = call::open_known(&mut tx, call, context.erasure_key.as_ref()).await;
    if let Err(error) = &opened
        && error.is_key_missing()
    {
        tx.rollback().await.map_err(retry)?;
        return Err(without_key(context, call, error).await);
    }
    if !opened.map_err(retry)? {
        // Somebody has looked or stopped it meanwhile: another look tells which.
        return Err(JobError::Snooze(Duration::ZERO));
    }
    lease.complete_in(&mut tx).await.map_err(retry)?;
    tx.commit().await.map_err(retry)
}

/// Begins the list again, with the own completion in the same transaction; gives the page up when that was
/// done before.
async fn restart(
    context: &Context,
    lease: &Lease,
    job: &MakeCall,
    call: &Call,
    code: String,
) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(retry)?;
    if !call::restart(&mut tx, call).await.map_err(retry)? {
        tx.rollback().await.map_err(retry)?;
        let error = CallError::CursorExpired { code };
        note(context, job, &error, true).await;
        return Err(verdict(error));
    }
    lease.complete_in(&mut tx).await.map_err(retry)?;
    tx.commit().await.map_err(retry)?;
    tracing::info!(collection_id = %job.collection_id, call = job.call_id, code, "the list is read again from its beginning");
    Ok(())
}

/// Hands a page that failed to a new job, with the own completion in the same transaction.
async fn open_again(context: &Context, lease: &Lease, job: &MakeCall) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(retry)?;
    let is_open = collection::continue_call(&mut tx, job).await.map_err(retry)?;
    if !is_open {
        // It was opened before us: another look tells by whom.
        return Err(JobError::Snooze(Duration::ZERO));
    }
    lease.complete_in(&mut tx).await.map_err(retry)?;
    tx.commit().await.map_err(retry)?;
    tracing::info!(collection_id = %job.collection_id, call = job.call_id, "a retry has opened the page again");
    Ok(())
}
