use apalis::prelude::Data;
use resume_core::{collection, db, jobs::ResumePages};
use resume_queue::{JobError, Lease};

use crate::context::Context;

/// Enqueues the fetching of the next pages that wait in a collection that was resumed, with the own completion in the same transaction.
///
/// Running twice does no harm: the fence lets one attempt commit. A collection that was stopped since is left alone.
#[tracing::instrument(name = "resume_pages", skip_all, fields(collection = %job.collection_id))]
pub(crate) async fn run(
    job: ResumePages,
    lease: Data<Lease>,
    context: Data<Context>,
) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(JobError::retry)?;
    collection::resume_pages(&mut tx, &job, lease.job_id()).await.map_err(JobError::retry)?;
    lease.complete_in(&mut tx).await.map_err(JobError::retry)?;
    tx.commit().await.map_err(JobError::retry)
}
