use apalis::prelude::Data;
use resume_core::{
    collection::{self, StartError},
    db,
    jobs::StartCollection,
};
use resume_queue::{Coded, JobError, Lease};

use super::retry;
use crate::context::Context;

/// Starts a collection, with the job's own completion in the same transaction.
///
/// Running twice does no harm: the job's id is the collection's idempotency key. Nothing is started while the
/// source wants no other collection beside one that is not over, or has one with the same parameters waiting
/// already.
pub(crate) async fn run(
    job: StartCollection,
    lease: Data<Lease>,
    context: Data<Context>,
) -> Result<(), JobError> {
    let new = job.collection_of(lease.job_id());
    let mut tx = db::begin(&context.pool).await.map_err(retry)?;
    let started = match collection::start_unless_waiting(&mut tx, &new).await {
        Ok(started) => started,
        // Neither a failure nor a reason to come back: the next tick starts one, if this one is over by then.
        Err(StartError::UnderWay(other)) => {
            let (source, under_way) = (new.source, other.id);
            tracing::warn!(source, %under_way, state = ?other.state, "no collection started: the source wants one at a time");
            return Ok(());
        }
        // A source does not come back by itself.
        Err(error @ StartError::UnknownSource(_)) => {
            return Err(JobError::discard(Coded::new("unknown_source", error)));
        }
        Err(error @ StartError::OfFiles(_)) => {
            return Err(JobError::discard(Coded::new("source_of_files", error)));
        }
        Err(other) => return Err(JobError::retry(other)),
    };
    lease.complete_in(&mut tx).await.map_err(retry)?;
    tx.commit().await.map_err(retry)?;
    if started.repeated {
        tracing::info!(collection_id = %started.id, source = new.source, "no collection started: one like it waits already");
    } else {
        tracing::info!(collection_id = %started.id, source = new.source, count = new.count, "collection started");
    }
    Ok(())
}
