use std::ops::RangeInclusive;

use resume_queue::JobId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Attached, Call};
use crate::{
    jobs::MakeCall,
    progress::{CollectionState, counts},
    source::{
        self,
        definition::{Step, TimeFormat, Values},
    },
};

/// How a job finds its call.
#[derive(Debug, Clone)]
pub enum Found {
    /// It is to be made.
    Pending(Box<Call>),
    /// It is not wanted any more: other lists have brought as many items as were asked for.
    /// [`skip`](super::skip) closes it.
    NotWanted(Box<Call>),
    /// It was given up. A job that is there all the same was retried:
    /// [`continue_call`](crate::collection::continue_call) opens the call again.
    Failed,
    /// It was made already, or its collection is gone, over or paused, or was since the job was enqueued:
    /// there is nothing to do.
    Settled,
}

/// Finds the call that a job of this id is for. Locks nothing.
///
/// # Errors
/// The database's.
pub async fn find(conn: &mut PgConnection, job: &MakeCall, job_id: JobId) -> Result<Found, sqlx::Error> {
    let call = match read(conn, job.call_id, job_id).await? {
        Some((Standing::Failed, _)) => return Ok(Found::Failed),
        Some((Standing::Pending, call)) => Box::new(call),
        _ => return Ok(Found::Settled),
    };
    let is_enough = match call.count {
        Some(count) if call.step == Step::List && call.values.parent.is_some() => {
            counts::sum(conn, call.collection_id).await?.listed >= count
        }
        _ => false,
    };
    Ok(if is_enough { Found::NotWanted(call) } else { Found::Pending(call) })
}

/// The call whose answer had the address of an attachment, so that it can be asked for a fresh one. Locks
/// nothing.
///
/// # Errors
/// The database's.
pub async fn find_origin(conn: &mut PgConnection, call: &Call) -> Result<Option<Call>, sqlx::Error> {
    let Some(Attached { origin, .. }) = call.attached else { return Ok(None) };
    Ok(read(conn, origin, JobId::MAX).await?.map(|(_, call)| call))
}

/// Where a call stands, for a job of a certain id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Pending,
    Failed,
    Settled,
}

/// Reads a call and what its collection says about it.
async fn read(
    conn: &mut PgConnection,
    id: i64,
    job_id: JobId,
) -> Result<Option<(Standing, Call)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select p.id, p.collection_id, p.state = 'failed' and c.state <> 'cancelled' as "is_failed!",
               p.state = 'pending' and c.finished_at is null
               and c.state <> 'paused' and $2 > coalesce(c.stop_job_id, -1) as "is_pending!",
               p.link, p.step as "step: Step", p.place, p.reading, p.parent, p.item, p.name, p.document_id, p.origin,
               c.group_id, c.source, c.state as "state: CollectionState", c.count, c.per_page, c.batch_size,
               coalesce((c.request ->> 'error_mode')::boolean, false) as "error_mode!",
               (c.request ->> 'seed')::bigint as seed,
               c.pages_expected, c.since, c.begun_at, coalesce(c.first_document_id, 0) as "first_document_id!",
               c.started_at is not null as "has_started!"
        from calls p join collections c on c.id = p.collection_id
        where p.id = $1
        "#,
        id,
        job_id,
    );
    let Some(row) = row.fetch_optional(&mut *conn).await? else { return Ok(None) };
    let source = source::of_collection(conn, &row.source).await?;
    let list = source.definition.call_of(row.step);
    let first = list.as_ref().map_or(1, |list| list.paging.first_page());
    let per_page = match (&list, row.step) {
        (Some(list), Step::Parents | Step::Deleted) => list.per_page_max,
        _ => row.per_page.unsigned_abs(),
    };
    let before = row.place.unsigned_abs().saturating_sub(1);
    let format = source.definition.list.since.as_ref().map_or(TimeFormat::Rfc3339, |since| since.format);
    let values = Values {
        count: row.count.map(i64::unsigned_abs),
        per_page,
        page: first.saturating_add(before),
        offset: u64::from(before) * u64::from(per_page),
        since: row.since.map(|time| format.write(time)),
        until: row.since.and(row.begun_at).map(|time| format.write(time)),
        seed: seed_of(row.collection_id, row.seed),
        error_mode: row.error_mode,
        parent: Some(row.parent).filter(|parent| !parent.is_empty()),
        id: Some(row.item).filter(|item| !item.is_empty()),
    };
    let attached = row.document_id.zip(row.origin).map(|(document_id, origin)| Attached {
        document_id,
        name: row.name.unwrap_or_default(),
        origin,
    });
    let standing = match (row.is_failed, row.is_pending) {
        (true, _) => Standing::Failed,
        (_, true) => Standing::Pending,
        _ => Standing::Settled,
    };
    let call = Call {
        id: row.id,
        collection_id: row.collection_id,
        group: row.group_id,
        step: row.step,
        place: row.place,
        reading: row.reading,
        link: row.link,
        values,
        attached,
        count: row.count,
        batch_size: row.batch_size.unsigned_abs() as usize,
        pages_expected: row.pages_expected,
        first_document_id: row.first_document_id,
        state: row.state,
        has_started: row.has_started,
        source,
    };
    Ok(Some((standing, call)))
}

/// Whether a page of the list of a collection was given up.
///
/// # Errors
/// The database's.
pub(crate) async fn has_failed_page(
    conn: &mut PgConnection,
    collection_id: Uuid,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (select from calls where collection_id = $1 and error_code is not null and state = 'failed'
                       and step = 'list') as "has_failed!"
        "#,
        collection_id,
    )
    .fetch_one(conn)
    .await
}

/// The next calls of a collection of these numbers that wait or failed, in the order of their numbers, at
/// most `limit`; those that failed wait again. Returns how many had failed, and all of them. Locks those that
/// had failed.
///
/// # Errors
/// The database's.
pub(crate) async fn open_again(
    conn: &mut PgConnection,
    collection_id: Uuid,
    calls: RangeInclusive<i64>,
    limit: i64,
) -> Result<(i64, Vec<i64>), sqlx::Error> {
    let row = sqlx::query!(
        r#"
        with open as materialized (
            select id, state from calls
            where collection_id = $1 and id between $2 and $3 and state in ('pending', 'failed') order by id limit $4
        ), opened as (
            update calls c set state = 'pending', error_code = null, error = null, is_refreshed = false
            from open o where c.id = o.id and o.state = 'failed' and c.state = 'failed'
            returning c.id
        )
        select (select count(*) from opened) as "reopened!", array(select id from open order by id) as "ids!"
        "#,
        collection_id,
        calls.start(),
        calls.end(),
        limit,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.reopened, row.ids))
}

/// Which people the mock makes up for a collection: those that were asked for, or people whom nobody has
/// seen. The random half of the id makes these; 31 bits are plenty and fit every JSON reader's integers.
pub(crate) fn seed_of(collection_id: Uuid, asked: Option<i64>) -> i64 {
    asked.unwrap_or((collection_id.as_u128() & 0x7fff_ffff) as i64)
}
