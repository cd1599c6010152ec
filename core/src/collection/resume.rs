use resume_queue::{EnqueueError, GroupId, hold_group};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    CollectionState, UnderWay,
    begin::{begin_next, kept_by},
    finish::{Change, begin_run, count_pages},
    page::{Run, enqueue_fetches},
    redo::{self, Redo, Which},
    resume_pages::{enqueue_portion, hand_over},
};
use crate::jobs::FetchPage;

/// What of a collection to go on with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// All that it has not come to: pages that are still to be fetched or that failed, and documents that nobody has parsed,
    /// because their job was cancelled or discarded, or the parser crashed.
    #[default]
    Unfinished,
    /// Pages that are still to be fetched, or that failed.
    Pages,
    /// Documents that failed, for whatever reason: the parser or the map may have changed. Of a collection that is over.
    Documents,
    /// All that is unfinished, and all documents that failed.
    All,
}

/// What a collection goes on with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Pages that are fetched now.
    pub pages: usize,
    /// Documents that are parsed again.
    pub documents: usize,
}

/// Why a collection was not resumed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// No collection has this id.
    #[error("there is no collection {0}")]
    Unknown(Uuid),
    /// It is under way, or it ended and nothing of what was asked for failed.
    #[error("the collection is {0:?} and nothing of it failed")]
    NothingFailed(CollectionState),
    /// It is over, and its source wants no other collection beside this one, which is not.
    #[error("the source wants one collection at a time, and {} is {:?}", .0.id, .0.state)]
    UnderWay(UnderWay),
    /// It is stopped: its pages wait, and come before its documents.
    #[error("the collection is {0:?}: its pages come before its documents")]
    Stopped(CollectionState),
    /// Its pages were not enqueued.
    #[error("enqueueing the pages failed")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("resuming the collection failed")]
    Database(#[from] sqlx::Error),
}

/// Goes on with a collection from its checkpoint: one that is paused or cancelled with the pages that it had still to fetch, and all
/// with what failed of the [`Scope`]. Pages behind them follow as in the first run, and nothing that is stored is fetched
/// again. One that was stopped before it had begun takes its place in the line of its source again. At most some [`REDO_MAX`](super::REDO_MAX)
/// documents are parsed again at a time. Of many pages the first ones get their jobs here, the others by a
/// [`ResumePages`](crate::jobs::ResumePages) job.
///
/// In the caller's transaction; locks the pages of one that is stopped that wait to be fetched, those whose documents are parsed
/// again, then the collection, then the source's row, if it wants one collection at a time.
///
/// # Errors
/// See [`ResumeError`]; roll back on any.
pub async fn resume(conn: &mut PgConnection, id: Uuid, scope: Scope) -> Result<Resumed, ResumeError> {
    use CollectionState::{Cancelled, CompletedWithErrors, Failed, Paused};
    let state = find_state(conn, id).await?.ok_or(ResumeError::Unknown(id))?;
    match (state, scope) {
        (Paused | Cancelled, Scope::Documents) => return Err(ResumeError::Stopped(state)),
        (Paused | Cancelled | CompletedWithErrors | Failed, _) => {}
        _ => return Err(ResumeError::NothingFailed(state)),
    }
    if matches!(state, Paused | Cancelled) {
        wait_for_pages(conn, id).await?;
    }
    let redo = match scope {
        Scope::Unfinished => redo::open(conn, id, state, Which::Unparsed).await?,
        Scope::Documents | Scope::All => redo::open(conn, id, state, Which::Failed).await?,
        Scope::Pages => Redo::default(),
    };
    let held = lock(conn, id).await?.ok_or(ResumeError::Unknown(id))?;
    if held.state != state {
        // Somebody was faster.
        return Err(ResumeError::NothingFailed(held.state));
    }
    if held.state.is_over()
        && held.has_begun
        && let Some(other) = kept_by(conn, &held.source, id, false).await?
    {
        return Err(ResumeError::UnderWay(other));
    }
    if matches!(state, Paused | Cancelled) && !held.has_begun {
        return Ok(wait_again(conn, &held).await?);
    }
    if matches!(state, Paused | Cancelled) {
        return Ok(go_on(conn, held, redo).await?);
    }
    let failed = if scope == Scope::Documents { Vec::new() } else { reopen_failed(conn, id, None).await? };
    match reopen(conn, held, failed, redo).await? {
        Resumed { pages: 0, documents: 0 } => Err(ResumeError::NothingFailed(state)),
        resumed => Ok(resumed),
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
            let failed = reopen_failed(conn, job.collection_id, Some(job.page)).await?;
            Ok(reopen(conn, held, failed, Redo::default()).await?.pages > 0)
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

/// Lets a locked collection that was stopped before it had begun wait for its turn again, which may be now; gives how many
/// pages are fetched. Locks the source.
async fn wait_again(conn: &mut PgConnection, held: &Held) -> Result<Resumed, EnqueueError> {
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
    Ok(Resumed { pages: usize::try_from(pages).unwrap_or_default(), documents: 0 })
}

async fn find_state(conn: &mut PgConnection, id: Uuid) -> Result<Option<CollectionState>, sqlx::Error> {
    sqlx::query_scalar!(r#"select state as "state: CollectionState" from collections where id = $1"#, id)
        .fetch_optional(conn)
        .await
}

/// Locks the pages that wait to be fetched, as whoever stores one of them does before the collection. One that was being stored when
/// the collection was stopped is stored then, and its jobs are seen: they may be older than the job that ends those of the
/// collection, which is perhaps about to end them.
async fn wait_for_pages(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    let locked = sqlx::query!(
        r#"
        select count(*) from (
            select from pages where collection_id = $1 and state = 'pending' order by number for update) as waiting
        "#,
        id
    );
    locked.fetch_one(conn).await?;
    Ok(())
}

/// Goes on with a locked collection that was stopped, and with these documents.
async fn go_on(conn: &mut PgConnection, held: Held, redo: Redo) -> Result<Resumed, EnqueueError> {
    let id = held.id;
    let failed = reopen_failed(conn, id, None).await?;
    let begins_run = !can_join(conn, &held).await?;
    sqlx::query!(
        r#"
        update collections
        set state = 'running', finished_at = null, run = case when $3 then run + 1 else run end,
            pages_open = pages_open + $2,
            documents_open = (select coalesce(sum(documents_open), 0) from pages where collection_id = $1 and state = 'fetched')
        where id = $1
        "#,
        id,
        failed.len() as i32 + redo.opened,
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
    let run = Run { collection_id: id, group, source: &held.source };
    // Some may have a job already: of a page that was stored after the collection had been stopped.
    enqueue_portion(conn, run, &pages, pages.last().copied().unwrap_or_default()).await?;
    let resumed = Resumed { pages: pages.len(), documents: redo.documents };
    redo.enqueue(conn, run).await?;
    if resumed == Resumed::default() {
        // It was stopped with nothing left to do, and nothing will come to end it.
        count_pages(conn, id, Change::default()).await?;
    }
    Ok(resumed)
}

/// Goes on with a locked collection that was not stopped: with failed pages, which are pending again and get a job each, and with
/// these documents. With them another run begins, unless jobs can still join the present one. Does nothing where there are neither.
/// Locks the pages and the group.
async fn reopen(
    conn: &mut PgConnection,
    held: Held,
    pages: Vec<i32>,
    redo: Redo,
) -> Result<Resumed, EnqueueError> {
    let id = held.id;
    let resumed = Resumed { pages: pages.len(), documents: redo.documents };
    if resumed == Resumed::default() {
        return Ok(resumed);
    }
    let begins_run = !can_join(conn, &held).await?;
    sqlx::query!(
        r#"
        update collections
        set state = case when finished_at is null then state else 'running' end, finished_at = null,
            run = case when $3 then run + 1 else run end, pages_open = pages_open + $2,
            documents_open = (select coalesce(sum(documents_open), 0) from pages where collection_id = $1 and state = 'fetched'),
            reread_in_run = case when $3 and $4 then run + 1 else reread_in_run end
        where id = $1
        "#,
        id,
        pages.len() as i32 + redo.opened,
        begins_run,
        // Documents are parsed again without a call: what was doubtful about the list stays so.
        pages.is_empty(),
    )
    .execute(&mut *conn)
    .await?;
    let group = if begins_run { Some(begin_run(conn, id).await?) } else { held.group };
    let run = Run { collection_id: id, group, source: &held.source };
    enqueue_portion(conn, run, &pages, pages.last().copied().unwrap_or_default()).await?;
    redo.enqueue(conn, run).await?;
    Ok(resumed)
}

/// Makes failed pages pending, one or all; gives their numbers, in order. Locks them.
async fn reopen_failed(
    conn: &mut PgConnection,
    id: Uuid,
    page: Option<i32>,
) -> Result<Vec<i32>, sqlx::Error> {
    let mut pages = sqlx::query_scalar!(
        r#"
        update pages set state = 'pending', error_code = null, error = null, is_refreshed = false
        where collection_id = $1 and state = 'failed' and number = coalesce($2, number) returning number
        "#,
        id,
        page,
    )
    .fetch_all(conn)
    .await?;
    pages.sort_unstable();
    Ok(pages)
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
