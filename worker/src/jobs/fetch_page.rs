use std::time::Duration;

use apalis::prelude::Data;
use resume_core::{
    collection::{self, CallFailure, FetchedPage, FoundPage, PageToFetch},
    db,
    jobs::FetchPage,
};
use resume_queue::{Coded, JobError, Lease};

use crate::{
    context::Context,
    page_call::{CallError, call},
};

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
        FoundPage::Failed => return open_again(&context, &lease, &job).await,
        FoundPage::TakenOver => {
            let error = "another job fetches the page since it was opened again";
            return Err(JobError::discard(Coded::new("page_taken_over", error)));
        }
        FoundPage::Settled => return Ok(()),
    };
    let pacer = context.pacer(&page.source);
    // The slot is for those who may call: other sources are not silent.
    pacer.permit().await.map_err(JobError::Snooze)?;
    match call(&context.http, &page).await {
        Ok(fetched) => store(&context, &lease, &page, &fetched).await,
        Err(error) => {
            if let CallError::RateLimited(silence) = error {
                pacer.hold(silence);
            }
            note(&context, &job, &error).await;
            Err(verdict(error))
        }
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

/// Counts the call in the collection. Where even that fails the database is away, which the attempt's end will find out.
async fn note(context: &Context, job: &FetchPage, error: &CallError) {
    let detail = std::error::Error::source(error)
        .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    let failure = CallFailure { code: error.code(), detail };
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
        // The limit is no failure of the page. Those that were refused together come back one after the other: the pacer
        // spaces them.
        CallError::RateLimited(silence) => JobError::Snooze(silence.max(Duration::from_millis(1))),
        CallError::Status { retry_after: Some(wait), .. } if error.is_passing() => {
            JobError::RetryAfter(error.into(), wait)
        }
        error if error.is_passing() => JobError::retry(error),
        error => JobError::discard(error),
    }
}
