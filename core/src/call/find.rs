use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use resume_queue::{GroupId, JobId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Attached, Call};
use crate::{
    jobs::MakeCall,
    progress::{CollectionState, counts},
    source::{
        self, Source,
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
    let row = match read(conn, job.call_id, job_id).await? {
        Some(row) if row.is_failed => return Ok(Found::Failed),
        Some(row) if row.is_pending => row,
        _ => return Ok(Found::Settled),
    };
    let is_enough = match row.count {
        Some(count) if row.step == Step::List && !row.parent.is_empty() => {
            counts::sum(conn, row.collection_id).await?.listed >= count
        }
        _ => false,
    };
    let source = source::of_collection(conn, &row.source).await?;
    let call = Box::new(row.with_source(source));
    Ok(if is_enough { Found::NotWanted(call) } else { Found::Pending(call) })
}

/// The call whose answer had the address of an attachment, so that it can be asked for a fresh one. Locks
/// nothing.
///
/// # Errors
/// The database's.
pub async fn find_origin(conn: &mut PgConnection, call: &Call) -> Result<Option<Call>, sqlx::Error> {
    let Some(Attached { origin, .. }) = call.attached else { return Ok(None) };
    let row = read(conn, origin, JobId::MAX).await?;
    Ok(row.map(|row| row.with_source(call.source.clone())))
}

/// What is known of a call and its collection.
struct Row {
    id: i64,
    collection_id: Uuid,
    is_failed: bool,
    is_pending: bool,
    link: Option<String>,
    step: Step,
    place: i32,
    reading: i32,
    parent: String,
    item: String,
    name: Option<String>,
    document_id: Option<i64>,
    origin: Option<i64>,
    group_id: Option<GroupId>,
    source: String,
    state: CollectionState,
    count: Option<i64>,
    per_page: i32,
    batch_size: i32,
    error_mode: bool,
    seed: Option<i64>,
    pages_expected: Option<i32>,
    since: Option<DateTime<Utc>>,
    begun_at: Option<DateTime<Utc>>,
    first_document_id: i64,
    has_started: bool,
}

async fn read(conn: &mut PgConnection, id: i64, job_id: JobId) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
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
    )
    .fetch_optional(conn)
    .await
}

impl Row {
    fn with_source(self, source: Source) -> Call {
        let definition = &source.definition;
        let list = definition.call_of(self.step);
        let first = list.as_ref().map_or(1, |list| list.paging.first_page());
        let per_page = match (&list, self.step) {
            (Some(list), Step::Parents | Step::Deleted) => list.per_page_max,
            _ => self.per_page.unsigned_abs(),
        };
        let before = self.place.unsigned_abs().saturating_sub(1);
        let format = definition.list.since.as_ref().map_or(TimeFormat::Rfc3339, |since| since.format);
        let values = Values {
            count: self.count.map(i64::unsigned_abs),
            per_page,
            page: first.saturating_add(before),
            offset: u64::from(before) * u64::from(per_page),
            since: self.since.map(|time| format.write(time)),
            until: self.since.and(self.begun_at).map(|time| format.write(time)),
            seed: seed_of(self.collection_id, self.seed),
            error_mode: self.error_mode,
            parent: Some(self.parent).filter(|parent| !parent.is_empty()),
            id: Some(self.item).filter(|item| !item.is_empty()),
        };
        let attached = match (self.document_id, self.origin) {
            (Some(document_id), Some(origin)) => {
                Some(Attached { document_id, name: self.name.unwrap_or_default(), origin })
            }
            _ => None,
        };
        Call {
            id: self.id,
            collection_id: self.collection_id,
            group: self.group_id,
            step: self.step,
            place: self.place,
            reading: self.reading,
            link: self.link,
            values,
            attached,
            count: self.count,
            batch_size: self.batch_size.unsigned_abs() as usize,
            pages_expected: self.pages_expected,
            first_document_id: self.first_document_id,
            state: self.state,
            has_started: self.has_started,
            source,
        }
    }
}

/// The next calls of a collection of these numbers that wait or failed, in the order of their numbers, at
/// most `limit`; those that failed wait again. Returns how many had failed, and all of them. Locks those that had
/// failed.
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
