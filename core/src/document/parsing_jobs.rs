use resume_queue::{EnqueueError, GroupId, NewJob, enqueue_all};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Batch;
use crate::jobs::ParseDocuments;

/// How many jobs are enqueued by one statement.
const JOBS_AT_ONCE: usize = 1_000;

/// Enqueues the jobs that parse batches, in the group of the collection's present run. Small batches share a
/// job, as long as that has at most `batch_size` documents. In the caller's transaction.
///
/// # Errors
/// See [`EnqueueError`].
pub async fn enqueue_parsing(
    conn: &mut PgConnection,
    collection_id: Uuid,
    group: Option<GroupId>,
    batches: &[Batch],
    batch_size: usize,
) -> Result<(), EnqueueError> {
    for jobs in parsing_jobs(collection_id, group, batches, batch_size)?.chunks(JOBS_AT_ONCE) {
        enqueue_all(conn, jobs).await?;
    }
    Ok(())
}

/// The jobs that parse batches, as [`enqueue_parsing`] enqueues them. A limit for each concurrency key lets
/// no collection take all that the queue may run.
///
/// # Errors
/// See [`EnqueueError`].
pub(crate) fn parsing_jobs(
    collection_id: Uuid,
    group: Option<GroupId>,
    batches: &[Batch],
    batch_size: usize,
) -> Result<Vec<NewJob>, EnqueueError> {
    let job = |batches| {
        let job = NewJob::new(&ParseDocuments { collection_id, batches })?;
        Ok(job.group(group).concurrency_key(collection_id))
    };
    shares(batches, batch_size).into_iter().map(job).collect()
}

/// The batches of each job, by their first documents.
fn shares(batches: &[Batch], batch_size: usize) -> Vec<Vec<i64>> {
    let mut shares: Vec<Vec<i64>> = Vec::new();
    let mut room = 0;
    for batch in batches {
        let documents = batch.documents();
        match shares.last_mut() {
            Some(share) if documents <= room => share.push(batch.first_id),
            _ => {
                shares.push(vec![batch.first_id]);
                room = i64::try_from(batch_size).unwrap_or(i64::MAX);
            }
        }
        room -= documents;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_batches_share_a_job() {
        let batch = |first_id: i64, documents: i64| Batch { first_id, last_id: first_id + documents - 1 };
        let batches = [batch(1, 4), batch(11, 4), batch(21, 4), batch(31, 9), batch(51, 1), batch(61, 1)];
        assert_eq!(shares(&batches, 10), [vec![1, 11], vec![21], vec![31, 51], vec![61]]);
        assert_eq!(shares(&batches, 1), [[1], [11], [21], [31], [51], [61]]);
        assert!(shares(&[], 10).is_empty());
    }
}
