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
    /// Where it is, as the page before it told: an address or a token. `None` for numbered pages, and for the first one.
    pub link: Option<String>,
    /// What the parameters of the call are made of.
    pub values: Values,
    /// Where it comes from.
    pub source: Source,
    pub(super) batch_size: usize,
    pub(super) pages_expected: Option<i32>,
    /// How many documents of all collections wait to be parsed.
    pub backlog: i64,
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
    let row = sqlx::query!(
        r#"
        select p.state = 'failed' and c.state <> 'cancelled' as "is_failed!", p.state = 'pending' and c.finished_at is null
               and c.state <> 'paused' and $3 > coalesce(c.stop_job_id, -1) as "is_pending!",
               p.fetch_job_id, p.link, c.group_id, c.source, c.count, c.per_page, c.batch_size, c.error_mode, c.seed,
               c.pages_expected, c.since, c.begun_at, c.items_listed,
               p.step as "step: Step", coalesce(p.place, p.number) as "place!", p.parent, p.item,
               (select coalesce(sum(documents_open), 0) from collections where finished_at is null) as "backlog!"
        from pages p join collections c on c.id = p.collection_id
        where p.collection_id = $1 and p.number = $2
        "#,
        job.collection_id,
        job.page,
        job_id,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let row = match row {
        Some(row) if row.is_failed => return Ok(FoundPage::Failed),
        Some(row) if row.is_pending => row,
        _ => return Ok(FoundPage::Settled),
    };
    if row.fetch_job_id.is_some_and(|id| id > job_id) {
        return Ok(FoundPage::TakenOver);
    }
    let source = source::of_collection(conn, &row.source).await?;
    let call = source.definition.call_of(row.step);
    let first = call.as_ref().map_or(1, |call| call.paging.first_page());
    let per_page = match (&call, row.step) {
        (Some(call), Step::Parents) => call.per_page_max,
        _ => row.per_page.unsigned_abs(),
    };
    let before = row.place.unsigned_abs().saturating_sub(1);
    let format = source.definition.list.since.as_ref().map_or(TimeFormat::Rfc3339, |since| since.format);
    let values = Values {
        count: row.count.unsigned_abs(),
        per_page,
        page: first.saturating_add(before),
        offset: u64::from(before) * u64::from(per_page),
        since: row.since.map(|time| format.write(time)),
        until: row.since.and(row.begun_at).map(|time| format.write(time)),
        seed: row.seed,
        error_mode: row.error_mode,
        parent: row.parent,
        id: row.item,
    };
    let page = Box::new(PageToFetch {
        collection_id: job.collection_id,
        group: row.group_id,
        number: job.page,
        step: row.step,
        place: row.place,
        link: row.link,
        values,
        batch_size: row.batch_size.unsigned_abs() as usize,
        pages_expected: row.pages_expected,
        backlog: row.backlog,
        source,
    });
    let is_enough = row.step == Step::List && page.values.parent.is_some() && row.items_listed >= row.count;
    Ok(if is_enough { FoundPage::NotWanted(page) } else { FoundPage::Pending(page) })
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

/// Adds pages of the first list and counts them as open. Locks the collection.
pub(super) async fn open_pages(
    conn: &mut PgConnection,
    run: Run<'_>,
    step: Step,
    pages: impl IntoIterator<Item = (i32, Option<String>)>,
) -> Result<(), EnqueueError> {
    let added = insert_pages(conn, run, step, pages).await?;
    sqlx::query!(
        "update collections set pages_open = pages_open + $2 where id = $1",
        run.collection_id,
        added
    )
    .execute(conn)
    .await?;
    Ok(())
}
