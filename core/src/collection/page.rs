use chrono::{DateTime, Utc};
use resume_queue::{EnqueueError, Enqueued, GroupId, JobId, NewJob, enqueue_all};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    jobs::FetchPage,
    source::{
        self, Source,
        definition::{Step, TimeFormat, Values},
    },
};

/// The first number of the pages that are not of a collection's first list. That has twice as many as there may be items at
/// most, and a few.
pub const NUMBERS_BEHIND: i32 = 10_000_001;

/// A page that is waiting to be fetched, with all that fetching and storing it takes.
#[derive(Debug, Clone)]
pub struct PageToFetch {
    /// The collection.
    pub collection_id: Uuid,
    pub(super) group: Option<GroupId>,
    /// The page's number in it: from 1 for the first list, from [`NUMBERS_BEHIND`] on for what follows from its items.
    pub number: i32,
    /// What the call is for. What it is about is in `values`.
    pub step: Step,
    /// The page's place in its own list, from 1.
    pub(super) place: i32,
    /// Where it is, as the page before it told: an address or a token. `None` for numbered pages, and for the first one. For an
    /// attachment its address; `None` when that has expired.
    pub link: Option<String>,
    /// What the parameters of the call are made of.
    pub values: Values,
    /// For an attachment: what it belongs to.
    pub attached: Option<Attached>,
    /// Where it comes from.
    pub source: Source,
    pub(super) batch_size: usize,
    pub(super) pages_expected: Option<i32>,
    /// How many documents of all collections wait to be parsed.
    pub backlog: i64,
}

/// What an attachment belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    pub(super) raw_document_id: i64,
    pub(super) name: String,
    /// The number of the page whose answer had its address.
    pub(super) origin: i32,
}

/// What new jobs of a collection belong to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) collection_id: Uuid,
    /// The group of the present run. A collection that began before there were groups has none.
    pub(super) group: Option<GroupId>,
    pub(super) source: &'a str,
}

impl Run<'_> {
    /// Makes a job one of this run's group.
    pub(super) fn in_group(self, job: NewJob) -> NewJob {
        match self.group {
            Some(group) => job.group(group),
            None => job,
        }
    }
}

impl PageToFetch {
    /// How many pages hold what was asked for, if all are full.
    pub(super) fn pages_max(&self) -> i32 {
        self.values.count.div_ceil(self.values.per_page.max(1)).cast_signed()
    }

    /// Whether the page is one of several of its list that are fetched side by side.
    pub(super) fn is_windowed(&self) -> bool {
        self.step == Step::List && self.source.definition.list.is_windowed()
    }

    /// Whether the page is one of the list that the collection began with.
    pub(super) fn is_of_first_list(&self) -> bool {
        self.number < NUMBERS_BEHIND
    }

    /// Whether its list may not reach this far: it is asked for by its number, and is behind the last page that is known, or none is.
    pub fn may_be_behind_the_end(&self) -> bool {
        let call = self.source.definition.call_of(self.step);
        let is_numbered = call.is_some_and(|list| list.paging.is_numbered() && !list.is_told_count());
        let last = self.pages_expected.filter(|_| self.is_of_first_list());
        is_numbered && self.place > 1 && last.is_none_or(|last| self.place > last)
    }

    pub(super) fn run(&self) -> Run<'_> {
        Run { collection_id: self.collection_id, group: self.group, source: &self.source.definition.name }
    }
}

/// How a job finds the page that it is for.
#[derive(Debug, Clone)]
pub enum FoundPage {
    /// Waiting to be fetched by this job.
    Pending(Box<PageToFetch>),
    /// Waiting, and not wanted any more: other lists have brought as many items as were asked for.
    /// [`skip_page`](super::skip_page) closes it.
    NotWanted(Box<PageToFetch>),
    /// Given up. A job that is there all the same was retried: [`resume_page`](super::resume_page) goes on with the page.
    Failed,
    /// Waiting to be fetched by another job, since it was opened again.
    TakenOver,
    /// Stored already, or its collection is gone, over or paused, or was since the job was enqueued: there is nothing to do.
    Settled,
}

/// The page that a job of this id is for, and whether it is to fetch it. Locks nothing.
///
/// # Errors
/// The database's.
pub async fn find_page(
    conn: &mut PgConnection,
    job: &FetchPage,
    job_id: JobId,
) -> Result<FoundPage, sqlx::Error> {
    let row = match read(conn, (job.collection_id, job.page), job_id).await? {
        Some(row) if row.is_failed => return Ok(FoundPage::Failed),
        Some(row) if row.is_pending => row,
        _ => return Ok(FoundPage::Settled),
    };
    if row.fetch_job_id.is_some_and(|id| id > job_id) {
        return Ok(FoundPage::TakenOver);
    }
    let is_enough = row.step == Step::List && row.parent.is_some() && row.items_listed >= row.count;
    let source = source::of_collection(conn, &row.source).await?;
    let page = Box::new(row.with_source(source));
    Ok(if is_enough { FoundPage::NotWanted(page) } else { FoundPage::Pending(page) })
}

/// The page whose answer had the address of an attachment, so that it can be asked for a fresh one. Locks nothing.
///
/// # Errors
/// The database's.
pub async fn find_origin(
    conn: &mut PgConnection,
    page: &PageToFetch,
) -> Result<Option<PageToFetch>, sqlx::Error> {
    let Some(Attached { origin, .. }) = page.attached else { return Ok(None) };
    let row = read(conn, (page.collection_id, origin), JobId::MAX).await?;
    Ok(row.map(|row| row.with_source(page.source.clone())))
}

/// What is known of a page and its collection.
struct Row {
    collection_id: Uuid,
    number: i32,
    is_failed: bool,
    is_pending: bool,
    fetch_job_id: Option<i64>,
    link: Option<String>,
    step: Step,
    place: i32,
    parent: Option<String>,
    item: Option<String>,
    name: Option<String>,
    raw_document_id: Option<i64>,
    origin: Option<i32>,
    group_id: Option<GroupId>,
    source: String,
    count: i32,
    per_page: i32,
    batch_size: i32,
    error_mode: bool,
    seed: i64,
    pages_expected: Option<i32>,
    since: Option<DateTime<Utc>>,
    begun_at: Option<DateTime<Utc>>,
    items_listed: i32,
    backlog: i64,
}

async fn read(
    conn: &mut PgConnection,
    (collection_id, number): (Uuid, i32),
    job_id: JobId,
) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"
        select p.collection_id, p.number, p.state = 'failed' and c.state <> 'cancelled' as "is_failed!",
               p.state = 'pending' and c.finished_at is null
               and c.state <> 'paused' and $3 > coalesce(c.stop_job_id, -1) as "is_pending!",
               p.fetch_job_id, p.link, c.group_id, c.source, c.count, c.per_page, c.batch_size, c.error_mode, c.seed,
               c.pages_expected, c.since, c.begun_at, c.items_listed,
               p.step as "step: Step", coalesce(p.place, p.number) as "place!", p.parent, p.item,
               p.name, p.raw_document_id, p.origin,
               (select coalesce(sum(documents_open), 0) from collections where finished_at is null) as "backlog!"
        from pages p join collections c on c.id = p.collection_id
        where p.collection_id = $1 and p.number = $2
        "#,
        collection_id,
        number,
        job_id,
    )
    .fetch_optional(conn)
    .await
}

impl Row {
    fn with_source(self, source: Source) -> PageToFetch {
        let definition = &source.definition;
        let call = definition.call_of(self.step);
        let first = call.as_ref().map_or(1, |call| call.paging.first_page());
        let per_page = match (&call, self.step) {
            (Some(call), Step::Parents | Step::Deleted) => call.per_page_max,
            _ => self.per_page.unsigned_abs(),
        };
        let before = self.place.unsigned_abs().saturating_sub(1);
        let format = definition.list.since.as_ref().map_or(TimeFormat::Rfc3339, |since| since.format);
        let values = Values {
            count: self.count.unsigned_abs(),
            per_page,
            page: first.saturating_add(before),
            offset: u64::from(before) * u64::from(per_page),
            since: self.since.map(|time| format.write(time)),
            until: self.since.and(self.begun_at).map(|time| format.write(time)),
            seed: self.seed,
            error_mode: self.error_mode,
            parent: self.parent,
            id: self.item,
        };
        let attached = match (self.raw_document_id, self.origin) {
            (Some(raw_document_id), Some(origin)) => {
                Some(Attached { raw_document_id, name: self.name.unwrap_or_default(), origin })
            }
            _ => None,
        };
        PageToFetch {
            collection_id: self.collection_id,
            group: self.group_id,
            number: self.number,
            step: self.step,
            place: self.place,
            link: self.link,
            values,
            attached,
            batch_size: self.batch_size.unsigned_abs() as usize,
            pages_expected: self.pages_expected,
            backlog: self.backlog,
            source,
        }
    }
}

/// Adds pages of a collection's first list, by number and, where the source gave one, link, with a job each; gives how many were not there before.
/// A link that the collection has been to is not followed again. Does not lock the collection, whose count of open
/// pages the caller updates.
pub(super) async fn insert_pages(
    conn: &mut PgConnection,
    run: Run<'_>,
    step: Step,
    pages: impl IntoIterator<Item = (i32, Option<String>)>,
) -> Result<i32, EnqueueError> {
    let (numbers, links): (Vec<i32>, Vec<Option<String>>) = pages.into_iter().unzip();
    if numbers.is_empty() {
        return Ok(0);
    }
    let inserted = sqlx::query_scalar!(
        r#"
        insert into pages (collection_id, step, number, link)
        select $1, $4, number, link from unnest($2::integer[], $3::text[]) as p (number, link)
        on conflict do nothing
        returning number
        "#,
        run.collection_id,
        &numbers,
        &links as &[Option<String>],
        step as Step,
    )
    .fetch_all(&mut *conn)
    .await?;
    enqueue_fetches(conn, run, &inserted).await?;
    Ok(inserted.len() as i32)
}

/// Enqueues the fetching of pages that are there and pending; gives the ids of the jobs, in the order of the numbers. Their
/// concurrency key is the source: a limit for each key lets no source take all that the queue may run.
pub(super) async fn enqueue_fetches(
    conn: &mut PgConnection,
    run: Run<'_>,
    numbers: &[i32],
) -> Result<Vec<JobId>, EnqueueError> {
    let jobs: Vec<NewJob> = numbers
        .iter()
        .map(|&page| {
            let job = NewJob::new(&FetchPage { collection_id: run.collection_id, page })?;
            Ok(run.in_group(job).concurrency_key(run.source))
        })
        .collect::<Result<_, EnqueueError>>()?;
    let enqueued = enqueue_all(conn, &jobs).await?;
    // None has a unique key, so none is a duplicate.
    let id = |enqueued| match enqueued {
        Enqueued::Inserted(id) => Some(id),
        Enqueued::Duplicate(_) => None,
    };
    Ok(enqueued.into_iter().filter_map(id).collect())
}
