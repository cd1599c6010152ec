use resume_queue::{EnqueueError, GroupId, create_group};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{begin::begin_next_after, completeness};
use crate::{attachment, jobs::FinishCollection, source};

/// How a step changes which pages of a collection are open.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Change {
    /// Pages added.
    pub(super) opened: i32,
    /// Whether a call has just brought a page, so that nobody waits for the source.
    pub(super) is_fetched: bool,
    /// Pages that became done or failed.
    pub(super) closed: i32,
    /// The number of the last page, when a chain has just ended.
    pub(super) last_page: Option<i32>,
    /// The number of the last page or a higher one, as a page has just told it. Of several the least counts.
    pub(super) pages_at_most: Option<i32>,
    /// Whether this page ends it because there are as many items as were asked for.
    pub(super) is_cut: bool,
    /// Documents that wait to be parsed from now on; negative: those of a page that is parsed.
    pub(super) documents: i32,
}

/// Counts a step; ends the collection when its last open page has closed. Locks the collection, so call it last.
///
/// Of two transactions that close the last two pages, the second one waits here for the first one and then sees zero:
/// one of them ends the collection, never none and never both.
///
/// A count that is wrong all the same is put right and logged: it neither ends a collection that has open pages nor
/// refuses the work that was done.
pub(super) async fn count_pages(
    conn: &mut PgConnection,
    collection_id: Uuid,
    change: Change,
) -> Result<(), sqlx::Error> {
    let open = sqlx::query_scalar!(
        r#"
        update collections
        set pages_open = pages_open + $2 - $3,
            documents_open = case when pages_open + $2 > $3 then greatest(documents_open + $8, 0) else 0 end,
            pages_expected = least(coalesce($4, pages_expected), $5),
            is_cut = is_cut or $6,
            state = case when state = 'pending' or (state = 'waiting_for_source' and $7) then 'running' else state end,
            started_at = coalesce(started_at, now())
        where id = $1
        returning pages_open
        "#,
        collection_id,
        change.opened,
        change.closed,
        change.last_page,
        change.pages_at_most,
        change.is_cut,
        change.is_fetched,
        change.documents,
    )
    .fetch_one(&mut *conn)
    .await?;
    if open <= 0 && recount_pages(conn, collection_id, open).await? == 0 {
        finish(conn, collection_id).await?;
    }
    Ok(())
}

/// Compares a count that has come to its end with the pages, and corrects it, with that of the documents; gives how many pages
/// are open. The collection is locked: what others do to its pages now is not seen yet, and they count it later.
async fn recount_pages(
    conn: &mut PgConnection,
    collection_id: Uuid,
    counted: i32,
) -> Result<i32, sqlx::Error> {
    let pages = sqlx::query!(
        r#"
        select count(*)::integer as "open!",
               coalesce(sum(documents_open) filter (where state = 'fetched'), 0)::integer as "documents!"
        from pages where collection_id = $1 and state in ('pending', 'fetched')
        "#,
        collection_id,
    )
    .fetch_one(&mut *conn)
    .await?;
    if pages.open != counted {
        tracing::error!(%collection_id, counted, pages.open, "the count of a collection's open pages was wrong");
        sqlx::query!(
            "update collections set pages_open = $2, documents_open = $3 where id = $1",
            collection_id,
            pages.open,
            pages.documents,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(pages.open)
}

async fn finish(conn: &mut PgConnection, collection_id: Uuid) -> Result<(), sqlx::Error> {
    if completeness::open_doubtful(conn, collection_id).await.map_err(of_database)? {
        return Ok(());
    }
    match conclude(conn, collection_id, false).await? {
        Some(state) => {
            tracing::info!(%collection_id, state, "collection ended");
            note_synced(conn, collection_id).await?;
            begin_next_after(conn, collection_id).await?;
        }
        // A wrong count had ended it before its last pages.
        None => _ = conclude(conn, collection_id, true).await?,
    }
    Ok(())
}

/// What may go wrong with jobs of our own kinds is the database.
fn of_database(error: EnqueueError) -> sqlx::Error {
    match error {
        EnqueueError::Database(error) => error,
        other => sqlx::Error::Encode(other.into()),
    }
}

/// Lets the next run of the source ask for changes only, if this one brought everything but attachments that are not kept by rule.
/// Locks the source.
async fn note_synced(conn: &mut PgConnection, collection_id: Uuid) -> Result<(), sqlx::Error> {
    let complete = sqlx::query!(
        r#"
        select source, begun_at as "begun_at!" from collections
        where id = $1 and state in ('completed', 'completed_with_errors') and not is_cut
          and not exists (select from doubts where collection_id = $1)
          and not exists (select from pages where collection_id = $1
                          and (failed > 0 or (state = 'failed' or error_code is not null)
                               and coalesce(error_code, '') <> all($2)))
        "#,
        collection_id,
        &attachment::NOT_KEPT as &[&str],
    )
    .fetch_optional(&mut *conn)
    .await?;
    match complete {
        Some(run) => source::note_synced(conn, &run.source, run.begun_at).await,
        None => Ok(()),
    }
}

/// Says anew how a collection has ended, if it has: documents that had failed have been parsed by now. When it ended stays.
/// Locks the collection.
pub(super) async fn conclude_again(conn: &mut PgConnection, collection_id: Uuid) -> Result<(), sqlx::Error> {
    // First the lock, so that the next statement sees what others did to other pages who had it before.
    sqlx::query!("select id from collections where id = $1 for update", collection_id)
        .fetch_one(&mut *conn)
        .await?;
    conclude(conn, collection_id, true).await?;
    Ok(())
}

/// Sets the final state of a collection that has not ended, or that has, by what its pages came to; gives it.
async fn conclude(
    conn: &mut PgConnection,
    collection_id: Uuid,
    has_ended: bool,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        update collections c
        set finished_at = coalesce(c.finished_at, now()), state = case
            when c.state = 'cancelled' then c.state
            when not exists (select from pages p where p.collection_id = c.id
                             and (p.fetched_at is not null or p.stored + p.unchanged > 0))
                then 'failed'
            when exists (select from pages p where p.collection_id = c.id
                         and (p.state = 'failed' or p.failed > 0 or p.error_code is not null))
                then 'completed_with_errors'
            when exists (select from doubts d where d.collection_id = c.id) then 'completed_with_errors'
            else 'completed'
        end
        where c.id = $1 and (c.finished_at is not null) = $2
        returning state::text as "state!"
        "#,
        collection_id,
        has_ended,
    )
    .fetch_optional(conn)
    .await
}

/// Makes a group for the jobs of the collection's present run; gives its id. Its follow-up [closes](close) the run.
pub(super) async fn begin_run(conn: &mut PgConnection, collection_id: Uuid) -> Result<GroupId, EnqueueError> {
    let run = sqlx::query_scalar!("select run from collections where id = $1", collection_id)
        .fetch_one(&mut *conn)
        .await?;
    let group = create_group(conn, &FinishCollection { collection_id, run }).await?;
    sqlx::query!("update collections set group_id = $2 where id = $1", collection_id, group)
        .execute(conn)
        .await?;
    Ok(group)
}

/// Closes a run whose jobs have all ended. As a rule the last of them has ended the collection already, and there is nothing
/// to do. What a job left open that ended without saying so (its payload did not decode, or somebody cancelled it) is listed
/// as failed, and the collection ends all the same.
///
/// A paused collection is left alone: its pages wait for the run in which it goes on.
///
/// Gives the number of pages that were left open. In the caller's transaction; locks the open pages, then the collection.
///
/// # Errors
/// The database's; roll back.
pub async fn close(conn: &mut PgConnection, job: &FinishCollection) -> Result<u64, sqlx::Error> {
    let closed = sqlx::query!(
        r#"
        update pages p
        set state = case when p.state = 'fetched' then 'done' else 'failed' end::page_state, batches_open = 0,
            error_code = coalesce(p.error_code, 'job_lost'),
            error = coalesce(p.error, 'its job was ended before it had a result')
        from collections c
        where c.id = $1 and c.run = $2 and c.finished_at is null and c.state <> 'paused'
          and p.collection_id = c.id and p.state in ('pending', 'fetched')
        "#,
        job.collection_id,
        job.run,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    let is_open = sqlx::query!(
        r#"
        update collections set pages_open = 0, documents_open = 0
        where id = $1 and run = $2 and finished_at is null and state <> 'paused'
        "#,
        job.collection_id,
        job.run,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if is_open > 0 {
        finish(conn, job.collection_id).await?;
    }
    Ok(closed)
}
