//! The end of a run, in one place: the follow-up of its group, which the queue enqueues once, when the last
//! job of the run has ended.

use resume_queue::{Discarded, EnqueueError, GroupId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    begin::{begin_next, begin_run},
    held::lock,
};
use crate::{
    call::{self, Run},
    completeness::{self, Judged, Verdict},
    document,
    jobs::FinishCollection,
    progress::{
        self, CollectionState, ErrorCount, Pages,
        counts::{self, Counts},
    },
    source,
};

/// How often an end looks for documents that wait and nobody parses, before it gives them up. A worker that
/// was killed after it had stored details leaves some.
const SWEEPS_MAX: i32 = 3;

/// The code of a run whose list was not judged, because the job that ends the run was discarded.
const END_DISCARDED: &str = "end_discarded";

/// How many batches are given jobs at an end.
const BATCHES_MAX: i64 = 100_000;

/// What the end of a run's jobs means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finishing {
    /// Nothing: the collection is paused, gone, or in a later run.
    Nothing,
    /// The collection is over. Somebody may have confirmed since that it hides people.
    Over,
    /// The run goes on: documents wait to be parsed, or doubtful pages are read again.
    GoesOn,
    /// All has been done. Hide whom the run has not seen, then [`conclude`] it.
    Done,
}

/// Looks what is left to do when all jobs of a run have ended, and does it: documents that nobody parses get
/// jobs, the list is judged and its doubtful pages are read again, once a run. Calls whose jobs ended without
/// a result are listed as failed.
///
/// A paused collection that has calls left to make is left alone: they wait for the run in which it is
/// continued.
///
/// In the caller's transaction; locks the collection, then the calls.
///
/// # Errors
/// The database's; roll back.
pub async fn finish(conn: &mut PgConnection, job: &FinishCollection) -> Result<Finishing, EnqueueError> {
    let held = match lock(conn, job.collection_id).await? {
        Some(held) if held.is_ended_by(job) => held,
        Some(held) if held.run == job.run => return Ok(Finishing::Over),
        _ => return Ok(Finishing::Nothing),
    };
    let sums = counts::sum(conn, job.collection_id).await?;
    if held.state == CollectionState::Paused && sums.pending() > 0 {
        return Ok(Finishing::Nothing);
    }
    // The end of this run was not discarded.
    completeness::remove_doubt(conn, job.collection_id, END_DISCARDED).await?;
    close_lost_calls(conn, job.collection_id, &sums).await?;
    if parse_what_waits(conn, job, held.batch_size()).await? {
        return Ok(Finishing::GoesOn);
    }
    if held.calls_deleted {
        // Nothing is left that its list could be judged by; the summary says what was.
        return Ok(Finishing::Done);
    }
    let source = source::of_collection(conn, &held.source).await?;
    let has_failed = call::has_failed_page(conn, job.collection_id).await?;
    let run = Judged {
        collection_id: job.collection_id,
        source: &source,
        count: held.count,
        per_page: held.per_page,
        has_read_again: held.has_read_again,
        has_failed,
    };
    if let Verdict::ReadAgain(calls, last_page) = completeness::judge(conn, run).await? {
        let group = next_run(conn, job, 0, true).await?;
        if let Some(last_page) = last_page {
            progress::note_answer(conn, job.collection_id, Pages::Exactly(last_page), false).await?;
        }
        let run = Run { collection_id: job.collection_id, group: Some(group), source: &held.source };
        let opened = call::open(conn, run, &calls).await?;
        tracing::info!(collection_id = %job.collection_id, calls = opened, "doubtful pages of a list are read again");
        let change = Counts { opened, opened_behind: opened, ..Counts::default() };
        counts::add(conn, job.collection_id, change).await?;
        return Ok(Finishing::GoesOn);
    }
    if held.is_full
        && !held.is_cut
        && !has_failed
        && completeness::doubts(conn, job.collection_id).await?.is_empty()
    {
        let restored = document::restore_listed(conn, source.id, job.collection_id).await?;
        if !restored.is_empty() {
            let batches = document::ranges_of(&restored, held.batch_size());
            document::open_batches(conn, job.collection_id, &batches).await?;
            let change = Counts { stored: restored.len() as i64, ..Counts::default() };
            counts::add(conn, job.collection_id, change).await?;
            let group = next_run(conn, job, 0, true).await?;
            document::enqueue_parsing(conn, job.collection_id, Some(group), &batches, held.batch_size())
                .await?;
            return Ok(Finishing::GoesOn);
        }
    }
    Ok(Finishing::Done)
}

/// Lists calls as failed whose jobs ended without a result: somebody discarded one whose payload cannot be
/// read, or deleted them.
async fn close_lost_calls(conn: &mut PgConnection, id: Uuid, sums: &Counts) -> Result<(), sqlx::Error> {
    if sums.pending() == 0 {
        return Ok(());
    }
    let lost = sqlx::query!(
        r#"
        update calls
        set state = 'failed', error_code = coalesce(error_code, 'job_lost'),
            error = coalesce(error, 'its job was ended before it had a result')
        where collection_id = $1 and state = 'pending'
        "#,
        id,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    tracing::warn!(collection_id = %id, calls = lost, "calls whose jobs ended without a result are listed as failed");
    counts::add(conn, id, Counts { failed_calls: lost as i64, ..Counts::default() }).await
}

/// Gives documents that wait jobs, or gives them up when that was done before; returns whether they are
/// parsed.
async fn parse_what_waits(
    conn: &mut PgConnection,
    job: &FinishCollection,
    batch_size: usize,
) -> Result<bool, EnqueueError> {
    let batches = document::waiting_in(conn, job.collection_id, BATCHES_MAX).await?;
    if batches.is_empty() {
        return Ok(false);
    }
    if job.sweeps >= SWEEPS_MAX {
        give_up_what_waits(conn, job.collection_id).await?;
        return Ok(false);
    }
    let group = next_run(conn, job, job.sweeps + 1, false).await?;
    document::enqueue_parsing(conn, job.collection_id, Some(group), &batches, batch_size).await?;
    Ok(true)
}

async fn give_up_what_waits(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    let lost = "its jobs were ended before they had a result";
    let given_up = document::give_up(conn, id, None, "job_lost", lost).await?;
    counts::add(conn, id, Counts { given_up, ..Counts::default() }).await
}

/// Ends a run as it stands, because the job that ends it was discarded: calls and documents that are left are
/// given up, and nobody else is hidden. A doubt says so, with the code `end_discarded`.
/// [`continue_collection`](super::continue_collection()) takes up what was given up, and that run is judged.
/// Where there is nothing to take up, the next collection of the source is; a retry of the job does nothing.
/// Does nothing where [`finish`] would do nothing.
///
/// In the caller's transaction; locks the collection, the calls, the batches, the source, then the collection
/// that begins.
///
/// # Errors
/// The database's; roll back.
pub async fn finish_unjudged(
    conn: &mut PgConnection,
    job: &FinishCollection,
    discarded: &Discarded,
) -> Result<(), EnqueueError> {
    let id = job.collection_id;
    let Some(held) = lock(conn, id).await?.filter(|held| held.is_ended_by(job)) else { return Ok(()) };
    let sums = counts::sum(conn, id).await?;
    if held.state == CollectionState::Paused && sums.pending() > 0 {
        return Ok(());
    }
    close_lost_calls(conn, id, &sums).await?;
    give_up_what_waits(conn, id).await?;
    // Without its calls there is nothing to judge, and the summary stands for the doubts.
    if !held.calls_deleted {
        let error = call::shown(discarded.error.as_deref().unwrap_or_default());
        let sample =
            format!("the job that ends the run was discarded ({error}): its list may not have been judged");
        let doubt = ErrorCount { code: END_DISCARDED.to_owned(), count: 1, sample };
        completeness::add_doubt(conn, id, &doubt).await?;
    }
    conclude(conn, job).await?;
    Ok(())
}

/// Begins another run of a locked collection that goes on by itself; returns its group.
async fn next_run(
    conn: &mut PgConnection,
    job: &FinishCollection,
    sweeps: i32,
    has_read_again: bool,
) -> Result<GroupId, EnqueueError> {
    let run = sqlx::query_scalar!(
        r#"
        update collections
        set run = run + 1, reread_in_run = case when $2 or reread_in_run = run then run + 1 else reread_in_run end
        where id = $1
        returning run
        "#,
        job.collection_id,
        has_read_again,
    );
    let run = run.fetch_one(&mut *conn).await?;
    begin_run(conn, job.collection_id, run, sweeps).await
}

/// Ends a collection: its final state, what the next run need not ask for again, and the next run in line,
/// which begins. Does nothing for one that is over, or in a later run. Returns the state.
///
/// In the caller's transaction; locks the collection, then its source, then the collection that begins.
///
/// # Errors
/// The database's; roll back.
pub async fn conclude(
    conn: &mut PgConnection,
    job: &FinishCollection,
) -> Result<Option<CollectionState>, EnqueueError> {
    if !lock(conn, job.collection_id).await?.is_some_and(|held| held.is_ended_by(job)) {
        return Ok(None);
    }
    counts::fold(conn, job.collection_id).await?;
    let sums = counts::sum(conn, job.collection_id).await?;
    let Some(ended) = progress::set_state(conn, job.collection_id, &sums, false).await? else {
        return Ok(None);
    };
    if ended.has_everything && sums.failed + sums.given_up == 0 {
        source::note_synced(conn, &ended.source, ended.begun_at).await?;
    }
    begin_next(conn, &ended.source).await?;
    tracing::info!(
        collection_id = %job.collection_id, source = ended.source, state = ?ended.state, stored = sums.stored,
        unchanged = sums.unchanged, parsed = sums.parsed, failed = sums.failed + sums.given_up, calls = sums.made,
        "collection ended"
    );
    Ok(Some(ended.state))
}
