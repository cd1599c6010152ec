use apalis::prelude::Data;
use resume_core::{
    collection::{self, StartError},
    db,
    jobs::StartCollection,
};
use resume_queue::{Coded, JobError, Lease};

use crate::context::Context;

/// Starts a collection, with the job's own completion in the same transaction.
///
/// Running twice does no harm: the job's id is the collection's idempotency key.
pub(crate) async fn run(
    job: StartCollection,
    lease: Data<Lease>,
    context: Data<Context>,
) -> Result<(), JobError> {
    let new = job.collection_of(lease.job_id());
    let mut tx = db::begin(&context.pool).await.map_err(JobError::retry)?;
    let started = collection::start(&mut tx, &new).await.map_err(|error| match error {
        // A source does not come back by itself.
        StartError::UnknownSource(_) => JobError::discard(Coded::new("unknown_source", error)),
        other => JobError::retry(other),
    })?;
    lease.complete_in(&mut tx).await.map_err(JobError::retry)?;
    tx.commit().await.map_err(JobError::retry)?;
    tracing::info!(collection_id = %started.id, source = new.source, count = new.count, "collection started");
    Ok(())
}
