use resume_queue::{EnqueueError, JobId, NewJob, enqueue_all, hold_group};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    UnderWay,
    begin::{begin_next, begin_run, kept_by},
    held::{Held, lock},
};
use crate::{
    call::{self, Run},
    document::{self, Retaken},
    jobs::{ContinueCollection, MakeCall},
    progress::{
        CollectionState,
        counts::{self, Counts},
    },
};

/// The most documents that are given to new jobs at a time: a request takes a second or two.
const RETAKE_MAX: i64 = 100_000;

/// How many calls get their jobs in one transaction: a fraction of a second.
const CALLS_AT_ONCE: i64 = 10_000;

/// What of a collection to go on with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// All that it has not come to: calls that are still to be made or that failed, and documents that nobody
    /// has parsed, because their job was cancelled or discarded, or the parser crashed.
    #[default]
    Unfinished,
    /// Calls that are still to be made, or that failed.
    Calls,
    /// Documents that failed, for whatever reason: the parser or the map may have changed. Of a collection
    /// that is over.
    Documents,
    /// All that is unfinished, and all documents that failed.
    All,
}

impl Scope {
    fn has_calls(self) -> bool {
        self != Self::Documents
    }
}

/// What a collection goes on with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Continued {
    /// Calls that are made now.
    pub calls: i64,
    /// Documents that are parsed again.
    pub documents: i64,
}

/// Why a collection was not continued.
#[derive(Debug, thiserror::Error)]
pub enum ContinueError {
    /// No collection has this id.
    #[error("there is no collection {0}")]
    Unknown(Uuid),
    /// It is under way, or it ended and nothing of what was asked for failed.
    #[error("the collection is {0:?} and nothing of it failed")]
    NothingFailed(CollectionState),
    /// It is over, and its source wants no other collection beside this one, which is not.
    #[error("the source wants one collection at a time, and {} is {:?}", .0.id, .0.state)]
    UnderWay(UnderWay),
    /// Its calls were deleted after their time. Of one that had ended by itself, the documents that failed
    /// can be parsed again.
    #[error("the calls of the collection were deleted after their time")]
    CallsDeleted,
    /// It is stopped: its calls wait, and come before its documents.
    #[error("the collection is {0:?}: its calls come before its documents")]
    Stopped(CollectionState),
    /// Its jobs were not enqueued.
    #[error("enqueueing the jobs failed")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("continuing the collection failed")]
    Database(#[from] sqlx::Error),
}

/// Continues a collection from its checkpoint: one that is paused or cancelled with the calls that it had
/// still to make, and all with what failed of the [`Scope`]. Calls behind them follow as in the first run,
/// and nothing that is stored is fetched again. One that was stopped before it had begun takes its place in
/// the line of its source again.
///
/// At once whatever its size: its calls get their jobs by a [`ContinueCollection`] job. At most some 100,000
/// documents are parsed again at a time. In the caller's transaction; locks the collection, then the source's
/// row, if that wants one collection at a time, then the documents' batches and failures.
///
/// # Errors
/// See [`ContinueError`]; roll back on any.
pub async fn continue_collection(
    conn: &mut PgConnection,
    id: Uuid,
    scope: Scope,
) -> Result<Continued, ContinueError> {
    use CollectionState::{Cancelled, CompletedWithErrors, Failed, Paused};
    let held = lock(conn, id).await?.ok_or(ContinueError::Unknown(id))?;
    let is_stopped = matches!(held.state, Paused | Cancelled);
    match (held.state, scope) {
        _ if held.calls_deleted && (is_stopped || scope.has_calls()) => {
            return Err(ContinueError::CallsDeleted);
        }
        (Paused | Cancelled, Scope::Documents) => return Err(ContinueError::Stopped(held.state)),
        (Paused | Cancelled | CompletedWithErrors | Failed, _) => {}
        _ => return Err(ContinueError::NothingFailed(held.state)),
    }
    if held.state.is_over()
        && held.has_begun
        && let Some(other) = kept_by(conn, &held.source, id, false).await?
    {
        return Err(ContinueError::UnderWay(other));
    }
    if is_stopped && !held.has_begun {
        return Ok(wait_again(conn, &held).await?);
    }
    let sums = counts::sum(conn, id).await?;
    let calls = if scope.has_calls() { sums.pending() + sums.failed_calls } else { 0 };
    let retaken = match scope {
        Scope::Calls => Retaken::default(),
        _ => {
            let failed = matches!(scope, Scope::Documents | Scope::All);
            document::retake(conn, id, failed, held.batch_size(), RETAKE_MAX).await?
        }
    };
    let documents = retaken.failed + retaken.given_up;
    if !is_stopped && calls == 0 && documents == 0 {
        return Err(ContinueError::NothingFailed(held.state));
    }
    let change = Counts { failed: -retaken.failed, given_up: -retaken.given_up, ..Counts::default() };
    counts::add(conn, id, change).await?;
    go_on(conn, &held, scope, &retaken).await?;
    Ok(Continued { calls, documents })
}

/// Begins another run of a locked collection: with a job that continues its calls, if they are in the scope,
/// and the jobs of these documents.
async fn go_on(
    conn: &mut PgConnection,
    held: &Held,
    scope: Scope,
    retaken: &Retaken,
) -> Result<(), EnqueueError> {
    // Documents are parsed again without a call: what was doubtful about the list stays so.
    let rereads_nothing = !scope.has_calls();
    let run = sqlx::query_scalar!(
        r#"
        update collections
        set state = 'running', finished_at = null, run = run + 1,
            reread_in_run = case when $2 then run + 1 else reread_in_run end
        where id = $1
        returning run
        "#,
        held.id,
        rereads_nothing,
    )
    .fetch_one(&mut *conn)
    .await?;
    let group = begin_run(conn, held.id, run, 0).await?;
    // Also where there is nothing to do: a group without jobs would end only when the leader finds it.
    let job = ContinueCollection {
        collection_id: held.id,
        run,
        calls: scope.has_calls(),
        after: held.first_call_id,
    };
    enqueue_all(conn, &[NewJob::new(&job)?.group(group)]).await?;
    document::enqueue_parsing(conn, held.id, Some(group), &retaken.batches, held.batch_size()).await
}

/// Enqueues the next calls of a collection that was continued, those that wait and those that failed, and a
/// job for the calls behind them. Does nothing for one that was stopped or continued again since. In the
/// caller's transaction, which should also complete the job of this id; locks the failed calls among them.
///
/// # Errors
/// The database's; roll back.
pub async fn continue_portion(
    conn: &mut PgConnection,
    job: &ContinueCollection,
    job_id: JobId,
) -> Result<(), EnqueueError> {
    let held = sqlx::query!(
        r#"
        select group_id, source from collections
        where id = $1 and run = $2 and finished_at is null and state <> 'paused' and $3 > coalesce(stop_job_id, -1)
        "#,
        job.collection_id,
        job.run,
        job_id,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(held) = held.filter(|_| job.calls) else { return Ok(()) };
    let (reopened, open) =
        call::open_again(conn, job.collection_id, job.after + 1..=i64::MAX, CALLS_AT_ONCE).await?;
    let change = Counts { failed_calls: -reopened, ..Counts::default() };
    counts::add(conn, job.collection_id, change).await?;
    let run = Run { collection_id: job.collection_id, group: held.group_id, source: &held.source };
    call::enqueue_calls(conn, run, &open).await?;
    if let Some(&after) = open.last().filter(|_| open.len() as i64 == CALLS_AT_ONCE) {
        let next = NewJob::new(&ContinueCollection { after, ..job.clone() })?;
        enqueue_all(conn, &[next.group(run.group)]).await?;
    }
    Ok(())
}

/// Continues one call that failed, as [`continue_collection`] does with all of them; its collection may also
/// be under way. What a retried job of the call comes to: the call gets a new job, which has all its attempts
/// and belongs to the present run, or to another one if the jobs of that have all ended. Returns false, and
/// changes nothing, when the call is not there or not failed.
///
/// In the caller's transaction, which should also complete the retried job; locks the collection first, its
/// group last.
///
/// # Errors
/// The database's; roll back.
pub async fn continue_call(conn: &mut PgConnection, job: &MakeCall) -> Result<bool, EnqueueError> {
    let held = match lock(conn, job.collection_id).await? {
        Some(held) if held.state != CollectionState::Cancelled && !held.calls_deleted => held,
        _ => return Ok(false),
    };
    let (reopened, _) = call::open_again(conn, job.collection_id, job.call_id..=job.call_id, 1).await?;
    if reopened == 0 {
        return Ok(false);
    }
    counts::add(conn, job.collection_id, Counts { failed_calls: -1, ..Counts::default() }).await?;
    let group = match held.group {
        // When all jobs of a run have ended, its group has finished, and the job that ends the run is on its
        // way.
        Some(group) if !held.state.is_over() && hold_group(conn, group).await? => Some(group),
        _ => {
            let run = sqlx::query_scalar!(
                r#"
                update collections
                set state = case when finished_at is null then state else 'running' end, finished_at = null, run = run + 1
                where id = $1
                returning run
                "#,
                held.id,
            );
            let run = run.fetch_one(&mut *conn).await?;
            Some(begin_run(conn, held.id, run, 0).await?)
        }
    };
    let run = Run { collection_id: held.id, group, source: &held.source };
    call::enqueue_calls(conn, run, &[job.call_id]).await?;
    Ok(true)
}

/// Lets a locked collection that was stopped before it had begun wait for its turn again, which may be now;
/// returns how many calls are made. Locks the source.
async fn wait_again(conn: &mut PgConnection, held: &Held) -> Result<Continued, EnqueueError> {
    sqlx::query!("update collections set state = 'pending', finished_at = null where id = $1", held.id)
        .execute(&mut *conn)
        .await?;
    begin_next(conn, &held.source).await?;
    let calls = counts::sum(conn, held.id).await?.pending();
    Ok(Continued { calls, documents: 0 })
}
