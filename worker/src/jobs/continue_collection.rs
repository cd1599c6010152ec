use apalis::prelude::Data;
use resume_core::{collection, db, jobs::ContinueCollection};
use resume_queue::{JobError, Lease};

use super::retry;
use crate::context::Context;

/// Enqueues the next calls that wait in a collection that was continued, with the own completion in the same
/// transaction.
///
/// Running twice does no harm: the fence lets one attempt commit. A collection that was stopped since is left
/// alone.
#[tracing::instrument(name = "continue_collection", skip_all, fields(collection = %job.collection_id))]
pub(crate) async fn run(
    job: ContinueCollection,
    lease: Data<Lease>,
    context: Data<Context>,
) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(retry)?;
    collection::continue_portion(&mut tx, &job, lease.job_id()).await.map_err(retry)?;
    lease.complete_in(&mut tx).await.map_err(retry)?;
    tx.commit().await.map_err(retry)
}
