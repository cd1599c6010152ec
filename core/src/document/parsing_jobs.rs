use resume_queue::{EnqueueError, GroupId, NewJob, enqueue_all};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Batch;
use crate::jobs::ParseDocuments;

/// How many jobs are enqueued by one statement.
const JOBS_AT_ONCE: usize = 1_000;

/// Enqueues a job for each batch, in the group of the collection's present run. In the caller's transaction.
///
/// # Errors
/// See [`EnqueueError`].
pub async fn enqueue_parsing(
    conn: &mut PgConnection,
    collection_id: Uuid,
    group: Option<GroupId>,
    batches: &[Batch],
) -> Result<(), EnqueueError> {
    for batches in batches.chunks(JOBS_AT_ONCE) {
        let jobs: Vec<NewJob> = batches
            .iter()
            .map(|batch| ParseDocuments { collection_id, batches: vec![batch.first_id] }.new_job(group))
            .collect::<Result<_, EnqueueError>>()?;
        enqueue_all(conn, &jobs).await?;
    }
    Ok(())
}
