//! What every job that makes a call does, whatever the call is for: it waits for leave, tells the fleet how
//! the call ended, and notes what went wrong.

use std::time::Duration;

use resume_connector::{Answer as Reply, CallError, TokenError};
use resume_core::{
    attachment::Finder,
    call::{self, Call, CallFailure, FoundAttachments},
    collection,
    document::NewDocument,
    jobs::MakeCall,
    source::definition::Definition,
};
use resume_queue::{Coded, JobError, Lease};

use crate::{
    bases::Base,
    context::Context,
    permit::{About, Ended, Finished, Leave},
};

/// A silence that people should see: longer than a source that is asked a little too fast mostly wants.
const LONG_SILENCE: Duration = Duration::from_secs(3);

/// For how long at most no page of a source is claimed that cannot be called: so late may it be noticed that
/// it can again, because somebody has released it.
const REST_MAX: Duration = Duration::from_secs(5);

/// Waits for leave to make one call, to this address.
pub(super) async fn leave(
    context: &Context,
    lease: &Lease,
    job: &MakeCall,
    call: &Call,
    base: Base<'_>,
) -> Result<Leave, JobError> {
    let pacer = context.permits.pacer(&call.source);
    // The slot is for those who may call: other sources can be called.
    match pacer.leave(job.collection_id, job.call_id).await {
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
pub(super) async fn end<T>(leave: Leave, answer: &Reply<T>, about: About) -> Ended {
    let is_old_token = matches!(answer.result, Err(CallError::TokenExpired));
    let about = if is_old_token { About::OldToken } else { about };
    let code = answer.result.as_ref().err().and_then(CallError::code);
    let finished = Finished {
        status: answer.status,
        headers: &answer.headers,
        is_refused: matches!(answer.result, Err(CallError::RateLimited(_))),
        is_broken: answer.is_broken(),
        code: code.as_deref(),
        bytes: answer.bytes,
        about,
    };
    leave.end(finished).await
}

/// Finds the attachments of items, on the threads for blocking work.
pub(super) async fn find_attachments(
    definition: &Definition,
    items: Vec<NewDocument>,
) -> (Vec<NewDocument>, FoundAttachments) {
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
    job: &MakeCall,
    base: Base<'_>,
    error: CallError,
) -> JobError {
    context.bases.not_called(base);
    let error = match error {
        // The secrets of a process are its own: whoever sets it must know where.
        CallError::SecretMissing(what) => {
            CallError::SecretMissing(format!("{what} (this worker: {})", context.worker))
        }
        error => error,
    };
    let CallError::Token(TokenError { wait, .. }) = error else { return given_up(context, job, error).await };
    // As with a credential that the source itself refuses: it is the trouble of all pages, and uses up no
    // attempt of one.
    note(context, job, &error, false).await;
    note_waiting(context, job).await;
    lease.rest_key(wait.min(REST_MAX));
    JobError::Snooze(wait)
}

/// Notes why no call is made; gives what becomes of the job.
pub(super) async fn given_up(context: &Context, job: &MakeCall, error: CallError) -> JobError {
    note(context, job, &error, false).await;
    verdict(error)
}

/// Notes a call that failed; gives what becomes of the job.
pub(super) async fn failed(context: &Context, job: &MakeCall, error: CallError, ended: Ended) -> JobError {
    // What is a refusal, and for how long, the headers tell.
    let error = ended.refused_for.map_or(error, CallError::RateLimited);
    note(context, job, &error, true).await;
    match error {
        // The limit is no failure of the page. Those that were refused together come back one after the
        // other: the permits are spaced.
        CallError::RateLimited(silence) => {
            if silence >= LONG_SILENCE {
                note_waiting(context, job).await;
            }
            JobError::Snooze(silence.max(Duration::from_millis(1)))
        }
        // That the source is away, or has locked us out, uses up no attempt of the page. The permits tell
        // until when.
        error if ended.is_circuit_open && error.is_of_source() => {
            note_waiting(context, job).await;
            JobError::Snooze(Duration::ZERO)
        }
        error => verdict(error),
    }
}

/// Lets people see that the collection waits. Where even that fails the database is away, which the snooze
/// will find out.
async fn note_waiting(context: &Context, job: &MakeCall) {
    let noted = async {
        let mut conn = context.pool.acquire().await?;
        collection::note_waiting(&mut conn, job.collection_id).await
    };
    if let Err(error) = noted.await {
        tracing::warn!(%error, "it was not noted that a collection waits for its source");
    }
}

/// Counts the call in the collection, if it was made, and notes what went wrong. Where even that fails the
/// database is away, which the attempt's end will find out.
pub(super) async fn note(context: &Context, job: &MakeCall, error: &CallError, is_call: bool) {
    let detail = std::error::Error::source(error)
        .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    note_failure(context, job, &CallFailure { code: error.code(), detail, is_call }).await;
}

pub(super) async fn note_failure(context: &Context, job: &MakeCall, failure: &CallFailure) {
    let noted = async {
        let mut conn = context.pool.acquire().await?;
        call::note_failure(&mut conn, job, failure).await
    };
    if let Err(error) = noted.await {
        tracing::warn!(%error, "a failed call was not counted");
    }
}

/// Returns what becomes of a job whose call failed, with the code of the failure: by it people find and retry
/// jobs.
pub(super) fn verdict(error: CallError) -> JobError {
    // The next call has another token, and would be refused for good with that.
    if matches!(error, CallError::TokenExpired) {
        return JobError::Snooze(Duration::ZERO);
    }
    let is_passing = error.is_passing();
    let wait = match error {
        CallError::Status { retry_after, .. } => retry_after,
        _ => None,
    };
    let code = error.code().unwrap_or_else(|| "source_rate_limited".to_owned());
    let error = Coded::new(code, error);
    match wait {
        _ if !is_passing => JobError::discard(error),
        Some(wait) => JobError::RetryAfter(error.into(), wait),
        None => JobError::retry(error),
    }
}
