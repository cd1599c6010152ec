use resume_queue::{
    Discarded, EnqueueError, Job, JobFilter, JobId, JobState, Remaining, cancel_all, enqueue,
};
use serde_json::json;
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use super::{begin::begin_next, held::lock};
use crate::{
    document,
    jobs::{MakeCall, ParseDocuments, StopCollection},
    progress::{
        CollectionState,
        counts::{self, Counts},
    },
    resume::{PARSER_CRASHED, by_request},
};

/// Why a collection was neither cancelled nor paused.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// No collection has this id.
    #[error("there is no collection {0}")]
    Unknown(Uuid),
    /// It is over.
    #[error("the collection is over: {0:?}")]
    Over(CollectionState),
    /// The job that ends its jobs was not enqueued.
    #[error("enqueueing the end of its jobs failed")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("stopping the collection failed")]
    Database(#[from] sqlx::Error),
}

/// Cancels a collection: it is over at once. What is stored stays; no further page is fetched, and a
/// [`StopCollection`] job ends the jobs that it has. Documents whose parsing was ended so are given up, with
/// the code `cancelled_by_request`. [`continue_collection`](super::continue_collection()) goes on from here.
///
/// One that is cancelled already stays as it is. If another collection of its source waits for this one, it
/// begins.
///
/// In the caller's transaction; locks the collection, then the source's row, then the collection that begins.
///
/// # Errors
/// See [`StopError`]; roll back on any.
pub async fn cancel(conn: &mut PgConnection, id: Uuid) -> Result<(), StopError> {
    stop(conn, id, CollectionState::Cancelled).await
}

/// Pauses a collection: no further page is fetched until
/// [`continue_collection`](super::continue_collection()); what is stored is parsed. Pages that are being
/// fetched at this moment are stored. Its waiting fetching jobs are ended by a [`StopCollection`] job, so
/// that it costs nothing while it waits. A collection that has no page left to fetch ends by itself all the
/// same. One that waits for another collection of its source lets those behind it pass.
///
/// One that is paused already stays as it is. In the caller's transaction; locks the collection.
///
/// # Errors
/// See [`StopError`]; roll back on any.
pub async fn pause(conn: &mut PgConnection, id: Uuid) -> Result<(), StopError> {
    stop(conn, id, CollectionState::Paused).await
}

async fn stop(conn: &mut PgConnection, id: Uuid, to: CollectionState) -> Result<(), StopError> {
    let held = lock(conn, id).await?.ok_or(StopError::Unknown(id))?;
    if held.state == to {
        return Ok(());
    }
    if held.state.is_over() {
        return Err(StopError::Over(held.state));
    }
    let stop_job_id = enqueue(&mut *conn, &StopCollection { collection_id: id }).await?;
    sqlx::query!(
        r#"
        update collections
        set state = $2::collection_state, finished_at = case when $2::collection_state = 'cancelled' then now() end, stop_job_id = $3
        where id = $1
        "#,
        id,
        to as CollectionState,
        stop_job_id,
    )
    .execute(&mut *conn)
    .await?;
    if to == CollectionState::Cancelled && held.has_begun {
        begin_next(conn, &held.source).await?;
    }
    Ok(())
}

/// Ends the jobs of a collection that were enqueued before the job `job_id`, which stopped it: the waiting
/// ones that fetch; of a cancelled collection also those that parse and those that run. Stops when the
/// collection goes on meanwhile.
///
/// In many short transactions of its own; doing it again does no harm.
///
/// # Errors
/// The database's.
pub async fn end_jobs(pool: &PgPool, job: &StopCollection, job_id: JobId) -> Result<(), sqlx::Error> {
    let waiting = [JobState::Available, JobState::Scheduled, JobState::Retryable];
    for kind in [MakeCall::KIND, ParseDocuments::KIND] {
        // Jobs that are enqueued later belong to those who have continued it.
        let mut next = Some(Remaining { after: 0, last: job_id.saturating_sub(1) });
        while let Some(remaining) = next {
            let states = match stopped_state(pool, job.collection_id, job_id).await? {
                Some(CollectionState::Cancelled) => None,
                Some(_) if kind == MakeCall::KIND => Some(waiting.to_vec()),
                _ => break,
            };
            let filter = JobFilter {
                states,
                kind: Some(kind.to_owned()),
                args: Some(json!({ "collection_id": job.collection_id })),
                ..JobFilter::default()
            };
            next = cancel_all(pool, &filter, Some(remaining)).await?.next;
        }
    }
    Ok(())
}

/// The state of a collection that is stopped, and by no later job.
async fn stopped_state(
    pool: &PgPool,
    id: Uuid,
    job_id: JobId,
) -> Result<Option<CollectionState>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select state as "state: CollectionState" from collections
        where id = $1 and stop_job_id = $2 and state in ('paused', 'cancelled')
        "#,
        id,
        job_id,
    )
    .fetch_optional(pool)
    .await
}

/// Gives the documents of batches up, because their job was discarded, with the code `parser_crashed`, or
/// with that of the request (`cancelled_by_request`, `discarded_by_request`). If the job is retried they are
/// parsed after all.
///
/// Doing it again changes nothing. For a job whose [end stands](resume_queue::end_stands) only. Locks the
/// batches, then shares a lock on the collection.
///
/// # Errors
/// The database's; roll back.
pub async fn give_up_documents(
    conn: &mut PgConnection,
    job: &ParseDocuments,
    discarded: &Discarded,
) -> Result<(), sqlx::Error> {
    let code = by_request(discarded).unwrap_or(PARSER_CRASHED);
    let error = discarded.error.as_deref().unwrap_or("discarded without an error");
    // The batches first, as everybody locks them before a collection that is over.
    let mut tx = conn.begin().await?;
    let given_up = document::give_up(&mut tx, job.collection_id, Some(&job.batches), code, error).await?;
    // A job that a stop has ended, of a collection that was continued since: the end of the run gives the
    // documents another one. The lock keeps anyone from continuing it meanwhile.
    let is_continued = sqlx::query_scalar!(
        r#"
        select coalesce(finished_at is null and state <> 'paused' and stop_job_id > $2, false) as "is_continued!"
        from collections where id = $1 for share
        "#,
        job.collection_id,
        discarded.job_id,
    );
    if is_continued.fetch_optional(&mut *tx).await?.unwrap_or_default() {
        return tx.rollback().await;
    }
    counts::add(&mut tx, job.collection_id, Counts { given_up, ..Counts::default() }).await?;
    tx.commit().await
}
