use apalis::prelude::Data;
use resume_core::{collection, jobs::StopCollection};
use resume_queue::{JobError, Lease};

use super::retry;
use crate::context::Context;

/// Ends the jobs of a collection that was paused or cancelled.
///
/// Running twice does no harm: jobs that have ended are left alone, and so is a collection that goes on.
#[tracing::instrument(name = "stop_collection", skip_all, fields(collection = %job.collection_id))]
pub(crate) async fn run(
    job: StopCollection,
    lease: Data<Lease>,
    context: Data<Context>,
) -> Result<(), JobError> {
    collection::end_jobs(&context.pool, &job, lease.job_id()).await.map_err(retry)
}
