use apalis::prelude::Data;
use resume_core::{collection, db, jobs::FinishCollection};
use resume_queue::{JobError, Lease};

use crate::context::Context;

/// Closes a run of a collection after the last of its jobs, and hides the resumes that its source lists no more, if that wants it.
///
/// Running twice does no harm: a collection that is over is left alone, and what is hidden stays so.
#[tracing::instrument(name = "finish_collection", skip_all, fields(collection = %job.collection_id))]
pub(crate) async fn run(
    job: FinishCollection,
    lease: Data<Lease>,
    context: Data<Context>,
) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(JobError::retry)?;
    let pages = collection::close(&mut tx, &job).await.map_err(JobError::retry)?;
    tx.commit().await.map_err(JobError::retry)?;
    let hidden = collection::hide_missing(&context.pool, job.collection_id).await.map_err(JobError::retry)?;
    let mut tx = db::begin(&context.pool).await.map_err(JobError::retry)?;
    lease.complete_in(&mut tx).await.map_err(JobError::retry)?;
    tx.commit().await.map_err(JobError::retry)?;
    if hidden > 0 {
        tracing::info!(collection_id = %job.collection_id, hidden, "resumes are hidden that the source lists no more");
    }
    if pages > 0 {
        tracing::warn!(collection_id = %job.collection_id, pages, "closed pages whose jobs ended without a result");
    }
    Ok(())
}
