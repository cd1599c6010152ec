use resume_queue::{EnqueueError, GroupId, JobId, hold_group};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    CollectionState, UnderWay,
    begin::{begin_next, kept_by},
    finish::begin_run,
    page::{Run, enqueue_fetches},
};
use crate::jobs::FetchPage;

/// Why a collection was not resumed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// No collection has this id.
    #[error("there is no collection {0}")]
    Unknown(Uuid),
    /// It is under way, or it ended and no page of it failed.
    #[error("the collection is {0:?} and has no failed page")]
    NothingFailed(CollectionState),
    /// It is over, and its source wants no other collection beside this one, which is not.
    #[error("the source wants one collection at a time, and {} is {:?}", .0.id, .0.state)]
    UnderWay(UnderWay),
    /// Its pages were not enqueued.
    #[error("enqueueing the pages failed")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("resuming the collection failed")]
    Database(#[from] sqlx::Error),
}

/// Goes on with a collection from its checkpoint: one that is paused or cancelled with the pages that it had still to
/// fetch, and all with those that failed. Those behind them follow as in the first run, and nothing that is stored is
/// fetched again. Gives the number of pages that are fetched now. One that was stopped before it had begun takes its place in the
/// line of its source again.
///
/// In the caller's transaction; locks the collection first, then the source's row, if it wants one collection at a time.
///
/// # Errors
/// See [`ResumeError`]; roll back on any.
pub async fn resume(conn: &mut PgConnection, id: Uuid) -> Result<usize, ResumeError> {
    let held = lock(conn, id).await?.ok_or(ResumeError::Unknown(id))?;
    if held.state.is_over()
        && held.has_begun
        && let Some(other) = kept_by(conn, &held.source, id, false).await?
    {
        return Err(ResumeError::UnderWay(other));
    }
    match held.state {
        CollectionState::Paused | CollectionState::Cancelled if !held.has_begun => {
            Ok(wait_again(conn, &held).await?)
        }
        CollectionState::Paused | CollectionState::Cancelled => Ok(go_on(conn, held).await?),
        state @ (CollectionState::CompletedWithErrors | CollectionState::Failed) => {
            match open_again(conn, held, None).await? {
                0 => Err(ResumeError::NothingFailed(state)),
                pages => Ok(pages),
            }
        }
        state => Err(ResumeError::NothingFailed(state)),
    }
}

/// Goes on with one page that failed, as [`resume`] does with all of them; its collection may also be under way. What a
/// retried job of the page comes to: the page gets a new job, which has all its attempts and belongs to the present run, or to
/// another one if the jobs of that have all ended. Gives false, and changes nothing, when the page is not there or not failed.
///
/// In the caller's transaction, which should also complete the retried job; locks the collection first, its group last.
///
/// # Errors
/// The database's; roll back.
pub async fn resume_page(conn: &mut PgConnection, job: &FetchPage) -> Result<bool, EnqueueError> {
    match lock(conn, job.collection_id).await? {
        Some(held) if held.state != CollectionState::Cancelled => {
            Ok(open_again(conn, held, Some(job.page)).await? > 0)
        }
        _ => Ok(false),
    }
}

/// Pages of a list that nobody has opened so far.
#[derive(Debug)]
pub(super) struct Beyond {
    pub(super) numbers: Vec<i32>,
    /// The last page, where that is known.
    pub(super) last_page: Option<i32>,
}

/// Opens stored pages again, to read them once more, and pages that were not there, with a job each where the collection is not
/// paused; gives how many. Leaves out those that somebody has locked. Belongs to the present run, or to another one if all jobs
/// of that have ended.
///
/// In the caller's transaction, which holds the lock of the collection.
pub(super) async fn read_again(
    conn: &mut PgConnection,
    id: Uuid,
    again: &[i32],
    beyond: Beyond,
) -> Result<usize, EnqueueError> {
    let Some(held) = lock(conn, id).await? else { return Ok(0) };
    let mut pages = reopen_stored(conn, id, again).await?;
    pages.extend(add_pages(conn, id, &beyond.numbers).await?);
    if pages.is_empty() {
        return Ok(0);
    }
    let begins_run = !can_join(conn, &held).await?;
    sqlx::query!(
        r#"
        update collections
        set pages_open = pages_open + $2, rereads = rereads + 1, run = case when $3 then run + 1 else run end,
            reread_in_run = case when $3 then run + 1 else run end,
            pages_expected = case when $4 then $5 else pages_expected end
        where id = $1
        "#,
        id,
        pages.len() as i32,
        begins_run,
        !beyond.numbers.is_empty(),
        beyond.last_page,
    )
    .execute(&mut *conn)
    .await?;
    let group = if begins_run { Some(begin_run(conn, id).await?) } else { held.group };
    if held.state != CollectionState::Paused {
        let run = Run { collection_id: id, group, source: &held.source };
        let jobs = enqueue_fetches(conn, run, &pages).await?;
        hand_over(conn, id, &pages, &jobs).await?;
    }
    Ok(pages.len())
}

/// Makes stored pages pending; gives their numbers.
async fn reopen_stored(conn: &mut PgConnection, id: Uuid, pages: &[i32]) -> Result<Vec<i32>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        update pages set state = 'pending', fetched_at = null
        where collection_id = $1 and number in (
            select number from pages
            where collection_id = $1 and number = any($2) and state = 'done' and error_code is null
            order by number for update skip locked)
        returning number
        "#,
        id,
        pages,
    )
    .fetch_all(conn)
    .await
}

/// Adds pending pages; gives the numbers of those that were not there.
async fn add_pages(conn: &mut PgConnection, id: Uuid, pages: &[i32]) -> Result<Vec<i32>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        insert into pages (collection_id, number) select $1, number from unnest($2::integer[]) as p (number)
        on conflict do nothing returning number
        "#,
        id,
        pages,
    )
    .fetch_all(conn)
    .await
}

/// A locked collection.
#[derive(Debug)]
struct Held {
    id: Uuid,
    state: CollectionState,
    group: Option<GroupId>,
    source: String,
    has_begun: bool,
}

async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<Held>, sqlx::Error> {
    sqlx::query_as!(
        Held,
        r#"
        select id, state as "state: CollectionState", group_id as "group", source, begun_at is not null as "has_begun!"
        from collections where id = $1 for update
        "#,
        id
    )
    .fetch_optional(conn)
    .await
}

/// Lets a locked collection that was stopped before it had begun wait for its turn again, which may be now; gives how many pages
/// are fetched. Locks the source.
async fn wait_again(conn: &mut PgConnection, held: &Held) -> Result<usize, EnqueueError> {
    sqlx::query!("update collections set state = 'pending', finished_at = null where id = $1", held.id)
        .execute(&mut *conn)
        .await?;
    begin_next(conn, &held.source).await?;
    let pages = sqlx::query_scalar!(
        r#"select count(*) as "count!" from pages where collection_id = $1 and state = 'pending'"#,
        held.id
    )
    .fetch_one(conn)
    .await?;
    Ok(usize::try_from(pages).unwrap_or_default())
}

/// Goes on with a locked collection that was stopped; gives how many pages are fetched. Their pending pages are not locked,
/// for others lock them before the collection: one that is being stored just now is stored once all the same.
async fn go_on(conn: &mut PgConnection, held: Held) -> Result<usize, EnqueueError> {
    let id = held.id;
    let failed = reopen_failed(conn, id, None).await?;
    let begins_run = !can_join(conn, &held).await?;
    sqlx::query!(
        r#"
        update collections
        set state = 'running', finished_at = null, run = case when $3 then run + 1 else run end,
            pages_open = pages_open + $2
        where id = $1
        "#,
        id,
        failed.len() as i32,
        begins_run,
    )
    .execute(&mut *conn)
    .await?;
    let group = if begins_run { Some(begin_run(conn, id).await?) } else { held.group };
    let pages = sqlx::query_scalar!(
        "select number from pages where collection_id = $1 and state = 'pending' order by number",
        id
    )
    .fetch_all(&mut *conn)
    .await?;
    enqueue_fetches(conn, Run { collection_id: id, group, source: &held.source }, &pages).await?;
    Ok(pages.len())
}

/// Opens failed pages of a locked collection again, one or all, with a job each; gives their number. With them another run
/// begins, unless jobs can still join the present one. Locks the pages and the group.
async fn open_again(conn: &mut PgConnection, held: Held, page: Option<i32>) -> Result<usize, EnqueueError> {
    let id = held.id;
    let pages = reopen_failed(conn, id, page).await?;
    if pages.is_empty() {
        return Ok(0);
    }
    let begins_run = !can_join(conn, &held).await?;
    sqlx::query!(
        r#"
        update collections
        set state = case when finished_at is null then state else 'running' end, finished_at = null,
            run = case when $3 then run + 1 else run end, pages_open = pages_open + $2
        where id = $1
        "#,
        id,
        pages.len() as i32,
        begins_run,
    )
    .execute(&mut *conn)
    .await?;
    let group = if begins_run { Some(begin_run(conn, id).await?) } else { held.group };
    let jobs = enqueue_fetches(conn, Run { collection_id: id, group, source: &held.source }, &pages).await?;
    hand_over(conn, id, &pages, &jobs).await?;
    Ok(pages.len())
}

/// Makes failed pages pending, one or all; gives their numbers. Locks them.
async fn reopen_failed(
    conn: &mut PgConnection,
    id: Uuid,
    page: Option<i32>,
) -> Result<Vec<i32>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        update pages set state = 'pending', error_code = null, error = null, is_refreshed = false
        where collection_id = $1 and state = 'failed' and number = coalesce($2, number) returning number
        "#,
        id,
        page,
    )
    .fetch_all(conn)
    .await
}

/// Whether jobs can join the present run. When all jobs of a run have ended, its group has finished and the job that
/// [closes](super::close) it is on its way: it would close the pages whose jobs came later.
async fn can_join(conn: &mut PgConnection, held: &Held) -> Result<bool, sqlx::Error> {
    match held.group {
        // Of a cancelled one, jobs may still be on their way to their end: their batches are counted in the same run.
        _ if held.state.is_over() && held.state != CollectionState::Cancelled => Ok(false),
        Some(group) => hold_group(conn, group).await,
        None => Ok(true),
    }
}

/// Notes which jobs the pages belong to from now on: their earlier ones may be retried as well.
async fn hand_over(
    conn: &mut PgConnection,
    id: Uuid,
    pages: &[i32],
    jobs: &[JobId],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update pages set fetch_job_id = j.id from unnest($2::integer[], $3::bigint[]) as j (number, id)
        where pages.collection_id = $1 and pages.number = j.number
        "#,
        id,
        pages,
        jobs,
    )
    .execute(conn)
    .await?;
    Ok(())
}
