use std::time::Duration;

use resume_connector::CallError;
use resume_core::{
    attachment::NewAttachment,
    call::{self, Call},
    db,
    jobs::MakeCall,
};
use resume_queue::{JobError, Lease};

use super::{
    call::{end, failed, find_attachments, given_up, leave, not_made},
    retry,
};
use crate::{
    context::Context,
    permit::{About, Ended},
};

/// Makes the one call that brings an attachment on: fetches it, or, when its address had expired, asks for a
/// fresh one where the address came from. The job comes back for the next call.
pub(super) async fn fetch(
    context: &Context,
    lease: &Lease,
    job: &MakeCall,
    call: &Call,
) -> Result<(), JobError> {
    match &call.link {
        Some(address) => download(context, lease, job, call, address).await,
        None => refresh(context, lease, job, call).await,
    }
}

async fn download(
    context: &Context,
    lease: &Lease,
    job: &MakeCall,
    call: &Call,
    address: &str,
) -> Result<(), JobError> {
    let definition = &call.source.definition;
    let base = context.bases.of(definition);
    let request = match context.connector.prepare_download(definition, base.url(), address).await {
        Ok(request) => request,
        Err(error) => return Err(not_made(context, lease, job, base, error).await),
    };
    let leave = leave(context, lease, job, call, base).await?;
    let about = if request.is_elsewhere() { About::Elsewhere } else { About::Address };
    let answer = request.send().await;
    if about == About::Elsewhere {
        context.bases.not_called(base);
    } else {
        context.note_base(base, &answer);
    }
    let ended = end(leave, &answer, about).await;
    match answer.result {
        Ok(file) => store(context, lease, call, &file).await,
        Err(CallError::Status { status, .. })
            if ended.refused_for.is_none() && matches!(status.as_u16(), 403 | 404 | 410) =>
        {
            expire(context, job, call).await
        }
        Err(error) => Err(failed(context, job, error, ended).await),
    }
}

async fn store(context: &Context, lease: &Lease, call: &Call, file: &NewAttachment) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(retry)?;
    if !call::store_attachment(&mut tx, call, file).await.map_err(retry)? {
        // Somebody has stored or closed it meanwhile: another look tells which.
        return Err(JobError::Snooze(Duration::ZERO));
    }
    lease.complete_in(&mut tx).await.map_err(retry)?;
    tx.commit().await.map_err(retry)
}

/// Comes back for a fresh address, or gives the attachment up when that was done before.
async fn expire(context: &Context, job: &MakeCall, call: &Call) -> Result<(), JobError> {
    let mut conn = context.pool.acquire().await.map_err(retry)?;
    let is_first = call::expire_attachment(&mut conn, call).await.map_err(retry)?;
    drop(conn);
    if is_first {
        return Err(JobError::Snooze(Duration::ZERO));
    }
    Err(failed(context, job, CallError::AttachmentGone, Ended::default()).await)
}

/// Asks for a fresh address by the call that had brought the one that has expired.
async fn refresh(context: &Context, lease: &Lease, job: &MakeCall, call: &Call) -> Result<(), JobError> {
    let mut conn = context.pool.acquire().await.map_err(retry)?;
    let origin = call::find_origin(&mut conn, call).await.map_err(retry)?;
    drop(conn);
    let Some(origin) = origin else {
        return Err(given_up(context, job, CallError::AttachmentGone).await);
    };
    let definition = &origin.source.definition;
    let (base, link) = (context.bases.of(definition), origin.link.as_deref());
    let request =
        match context.connector.prepare(definition, origin.step, base.url(), link, &origin.values).await {
            Ok(request) => request,
            Err(error) => return Err(not_made(context, lease, job, base, error).await),
        };
    let leave = leave(context, lease, job, call, base).await?;
    let answer = request.send().await;
    context.note_base(base, &answer);
    let ended = end(leave, &answer, About::Source).await;
    let answered = match answer.result {
        Ok(answered) => answered,
        // The item, or the page that it stood on, is not there any more.
        Err(CallError::Status { status, .. }) if matches!(status.as_u16(), 404 | 410) => {
            return Err(failed(context, job, CallError::AttachmentGone, Ended::default()).await);
        }
        Err(CallError::CursorExpired { .. }) => {
            return Err(failed(context, job, CallError::AttachmentGone, Ended::default()).await);
        }
        Err(error) => return Err(failed(context, job, error, ended).await),
    };
    let (_, found) = find_attachments(definition, answered.items).await;
    let mut tx = db::begin(&context.pool).await.map_err(retry)?;
    let is_fresh = call::refresh_attachments(&mut tx, call, &found).await.map_err(retry)?;
    tx.commit().await.map_err(retry)?;
    if is_fresh {
        return Err(JobError::Snooze(Duration::ZERO));
    }
    Err(failed(context, job, CallError::AttachmentGone, Ended::default()).await)
}
