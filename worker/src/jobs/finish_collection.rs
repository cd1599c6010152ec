use apalis::prelude::Data;
use resume_core::{
    collection::{self, Finishing},
    completeness, db,
    jobs::FinishCollection,
};
use resume_queue::{JobError, Lease};

use super::retry;
use crate::context::Context;

/// Ends a run of a collection after the last of its jobs: judges the list, hides whom the run has not seen,
/// sets the final state and what the next run need not ask for again, and begins the next run in line.
///
/// Running twice does no harm: a collection that is over is left alone, and what is hidden stays so. For one
/// that is over it only hides, because somebody has confirmed that.
#[tracing::instrument(name = "finish_collection", skip_all, fields(collection = %job.collection_id))]
pub(crate) async fn run(
    job: FinishCollection,
    lease: Data<Lease>,
    context: Data<Context>,
) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(retry)?;
    let finishing = collection::finish(&mut tx, &job).await.map_err(retry)?;
    if matches!(finishing, Finishing::GoesOn | Finishing::Nothing) {
        lease.complete_in(&mut tx).await.map_err(retry)?;
        return tx.commit().await.map_err(retry);
    }
    tx.commit().await.map_err(retry)?;
    let hidden = completeness::hide_missing(&context.pool, job.collection_id).await.map_err(retry)?;
    let mut tx = db::begin(&context.pool).await.map_err(retry)?;
    collection::conclude(&mut tx, &job).await.map_err(retry)?;
    lease.complete_in(&mut tx).await.map_err(retry)?;
    tx.commit().await.map_err(retry)?;
    if hidden.hidden > 0 {
        tracing::info!(collection_id = %job.collection_id, hidden = hidden.hidden, "people are hidden whom the source no longer has");
    }
    if hidden.held_back > 0 {
        tracing::warn!(collection_id = %job.collection_id, missing = hidden.held_back, "too many people are missing to hide them unasked");
    }
    Ok(())
}
