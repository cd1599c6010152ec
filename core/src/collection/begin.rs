//! A collection that was started begins with its first pages: at once, or when another one of its source is
//! over.
//!
//! Which one is next is decided under the lock of the source's row, which comes after that of the collection
//! that has just ended, and before that of the one that begins. So of a start and an end at once the second
//! sees what the first did.

use chrono::{DateTime, TimeDelta, Utc};
use resume_queue::{EnqueueError, GroupId, create_group};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    call::{self, NewCall, Run},
    jobs::FinishCollection,
    progress::{
        CollectionState,
        counts::{self, Counts},
    },
    source::{
        self, Source,
        definition::{OverlappingRuns, Step},
    },
};

/// A collection that is not over, and so keeps another one of its source from beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnderWay {
    /// Its id.
    pub id: Uuid,
    /// Where it stands.
    pub state: CollectionState,
}

/// Begins a collection: opens its first calls, and that of the deletions feed, if there is
/// one. What it asks for, if the source can tell what has changed, is what has changed by now. Locks the
/// collection.
pub(super) async fn begin(conn: &mut PgConnection, id: Uuid, source: &Source) -> Result<(), EnqueueError> {
    let asked = sqlx::query!(
        r#"
        update collections
        set begun_at = now(), since = case when request ->> 'full' = 'true' then null else $2::timestamptz end,
            first_document_id = nextval('document_ids'), first_call_id = nextval('calls_id_seq')
        where id = $1
        returning run, count, per_page
        "#,
        id,
        since(source),
    )
    .fetch_one(&mut *conn)
    .await?;
    let definition = &source.definition;
    let list = &definition.list;
    let is_windowed = definition.parents.is_none() && list.is_windowed();
    let takes_count = asked.count.is_some() && list.takes_count();
    let pages_max = call::pages_of(asked.count, asked.per_page.unsigned_abs());
    let first = call::first_pages(is_windowed, takes_count, pages_max);
    let group = begin_run(conn, id, asked.run, 0).await?;
    let run = Run { collection_id: id, group: Some(group), source: &definition.name };
    let pages: Vec<NewCall> =
        (1..=first).map(|place| NewCall::page(definition.first_step(), "", place, None)).collect();
    let opened = call::open(conn, run, &pages).await?;
    let feed = definition.call_of(Step::Deleted).map(|_| NewCall::page(Step::Deleted, "", 1, None));
    let opened_behind = call::open(conn, run, feed.as_slice()).await?;
    let change = Counts { opened: opened + opened_behind, opened_behind, ..Counts::default() };
    Ok(counts::add(conn, id, change).await?)
}

/// Makes a group for the jobs of the collection's present run, of this number; returns its id. Its follow-up
/// [finishes](super::finish()) the run.
pub(super) async fn begin_run(
    conn: &mut PgConnection,
    collection_id: Uuid,
    run: i32,
    sweeps: i32,
) -> Result<GroupId, EnqueueError> {
    let group = create_group(conn, &FinishCollection { collection_id, run, sweeps }).await?;
    sqlx::query!("update collections set group_id = $2 where id = $1", collection_id, group)
        .execute(conn)
        .await?;
    Ok(group)
}

/// How many documents one job parses at most, of all collections of a source.
pub(crate) async fn largest_batch(conn: &mut PgConnection, source: &str) -> Result<i64, sqlx::Error> {
    let largest = sqlx::query_scalar!("select max(batch_size) from collections where source = $1", source);
    Ok(largest.fetch_one(conn).await?.map_or(1, i64::from))
}

/// From when on changes are asked for: some time before the last complete run began, since clocks differ.
/// `None` for everything.
fn since(source: &Source) -> Option<DateTime<Utc>> {
    let overlap = TimeDelta::from_std(source.definition.list.since.as_ref()?.overlap.0).ok()?;
    source.synced_until?.checked_sub_signed(overlap)
}

/// Begins the collection of this source that has waited longest, unless one is under way. Every end of a
/// collection comes here, also where the source lets several run at once: it may have been changed while one
/// waited. Of a source that was removed those that wait are cancelled. Holds the source until the end of the
/// transaction, and locks the collection that begins.
pub(super) async fn begin_next(conn: &mut PgConnection, source_name: &str) -> Result<(), EnqueueError> {
    let source = source::hold(conn, source_name).await?;
    if source.is_removed {
        return Ok(cancel_waiting(conn, source_name).await?);
    }
    let next = sqlx::query_scalar!(
        r#"
        select id from collections
        where source = $1 and begun_at is null and state = 'pending'
          and not exists (
              select from collections where source = $1 and begun_at is not null and finished_at is null)
        order by id limit 1
        for update
        "#,
        source_name,
    )
    .fetch_optional(&mut *conn)
    .await?;
    match next {
        Some(id) => begin(conn, id, &source).await,
        None => Ok(()),
    }
}

/// Ends the collections of a source that have not begun. They have no jobs.
async fn cancel_waiting(conn: &mut PgConnection, source_name: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update collections set state = 'cancelled', finished_at = now()
        where source = $1 and begun_at is null and state = 'pending'
        "#,
        source_name,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What keeps this collection of a source from running beside others, if the source does not want that: one
/// of them that has begun or, with `waiting`, was only started. Holds the source until the end of the
/// transaction, if it has a policy.
pub(super) async fn kept_by(
    conn: &mut PgConnection,
    source_name: &str,
    id: Uuid,
    waiting: bool,
) -> Result<Option<UnderWay>, sqlx::Error> {
    let source = source::hold(conn, source_name).await?;
    if source.definition.overlapping_runs == OverlappingRuns::Allow {
        return Ok(None);
    }
    sqlx::query_as!(
        UnderWay,
        r#"
        select id, state as "state: CollectionState" from collections
        where source = $1 and id <> $2 and finished_at is null and ($3 or begun_at is not null)
        order by begun_at, id limit 1
        "#,
        source_name,
        id,
        waiting,
    )
    .fetch_optional(conn)
    .await
}

/// The collection that has to be over first, before this one begins: the one before it in the line of its
/// source. `None` when it has begun, or will not.
pub(super) async fn waits_for(conn: &mut PgConnection, id: Uuid) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select o.id from collections c
        join collections o on o.source = c.source and o.finished_at is null and o.id <> c.id
        where c.id = $1 and c.begun_at is null and c.state = 'pending'
          and (o.begun_at is not null or (o.state = 'pending' and o.id < c.id))
        order by o.begun_at is null desc, o.id desc limit 1
        "#,
        id,
    )
    .fetch_optional(conn)
    .await
}
