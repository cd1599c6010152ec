//! Documents that are parsed again: those that failed, and those that nobody has parsed, because their jobs were ended.

use std::collections::BTreeMap;

use resume_queue::{EnqueueError, NewJob, enqueue_all};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{CollectionState, page::Run};
use crate::{jobs::ParseDocuments, raw, resume};

/// The most documents that are given to new jobs at a time, and a few more to fill the last page: a request takes a second or two.
pub const REDO_MAX: i64 = 100_000;

/// How many jobs are enqueued by one statement.
const JOBS_AT_ONCE: usize = 1_000;

/// Documents that wait for new jobs.
#[derive(Debug, Default)]
pub(super) struct Redo {
    jobs: Vec<ParseDocuments>,
    /// How many pages were done and are open now.
    pub(super) opened: i32,
    pub(super) documents: usize,
}

/// Which documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Those of which the parser has never told what they are.
    Unparsed,
    /// All that failed, too.
    Failed,
}

/// Opens pages again whose documents failed, so that these are counted neither as parsed nor as failed until new jobs, which
/// [`Redo::enqueue`] enqueues, have told. A page whose documents were never all settled gets jobs for all of them: nobody knows
/// which they were. What earlier jobs of the pages come to counts no more.
///
/// Of a collection that is not running. Locks the pages in the order of their numbers, then their failures; those that a retried
/// job is changing are left as they are.
///
/// # Errors
/// The database's; roll back.
pub(super) async fn open(
    conn: &mut PgConnection,
    id: Uuid,
    state: CollectionState,
    which: Which,
) -> Result<Redo, sqlx::Error> {
    let batch_size = sqlx::query_scalar!("select batch_size from collections where id = $1", id)
        .fetch_one(&mut *conn)
        .await?;
    let found = lock_pages(conn, id, state == CollectionState::Cancelled).await?;
    let numbers =
        |is_whole: bool| found.iter().filter(move |page| page.is_whole == is_whole).map(|page| page.number);
    let (whole, partly): (Vec<i32>, Vec<i32>) = (numbers(true).collect(), numbers(false).collect());
    resume::take_failures(conn, id, &whole, None, i64::MAX).await?;
    let codes = (which == Which::Unparsed).then_some(&resume::UNPARSED[..]);
    let failed = resume::take_failures(conn, id, &partly, codes, REDO_MAX).await?;
    let all = raw::ids_of_pages(conn, id, &whole).await?;
    let mut pages = BTreeMap::<i32, Vec<i64>>::new();
    for (page, document) in failed.into_iter().chain(all) {
        pages.entry(page).or_default().push(document);
    }
    let passes = reopen(conn, id, &whole, &pages, batch_size.max(1)).await?;
    let opened = found.iter().filter(|page| page.is_done && passes.contains_key(&page.number)).count() as i32;
    let documents = pages.values().map(Vec::len).sum();
    let jobs = pages.into_iter().filter_map(|(page, ids)| Some((page, *passes.get(&page)?, ids)));
    let jobs = jobs.flat_map(|(page, pass, ids)| {
        let batches =
            ids.chunks(batch_size.max(1).unsigned_abs() as usize).map(<[i64]>::to_vec).collect::<Vec<_>>();
        batches.into_iter().map(move |document_ids| ParseDocuments {
            collection_id: id,
            page,
            document_ids,
            pass,
        })
    });
    Ok(Redo { jobs: jobs.collect(), opened, documents })
}

/// A locked page with documents that can be parsed again.
struct Found {
    number: i32,
    /// Whether all of its documents are.
    is_whole: bool,
    is_done: bool,
}

/// A cancelled collection has pages whose parsing jobs are about to be ended, or were.
async fn lock_pages(
    conn: &mut PgConnection,
    id: Uuid,
    is_cancelled: bool,
) -> Result<Vec<Found>, sqlx::Error> {
    sqlx::query_as!(
        Found,
        r#"
        select number, state = 'done' as "is_done!", state = 'fetched' or error_code is not distinct from 'job_lost' as "is_whole!"
        from pages
        where collection_id = $1 and number in (
            select number from (
                select number, sum(case when state = 'done' then greatest(failed, stored - parsed) else stored end)
                           over (order by number) - stored as before
                from pages
                where collection_id = $1 and ((state = 'done' and (failed > 0 or error_code = 'job_lost'))
                                              or (state = 'fetched' and $2))
            ) p where before < $3)
          and ((state = 'done' and (failed > 0 or error_code = 'job_lost')) or (state = 'fetched' and $2))
        order by number for update
        "#,
        id,
        is_cancelled,
        REDO_MAX,
    )
    .fetch_all(conn)
    .await
}

/// Begins another pass over these documents of locked pages; gives its number for each page. A page without any is done.
async fn reopen(
    conn: &mut PgConnection,
    id: Uuid,
    whole: &[i32],
    documents: &BTreeMap<i32, Vec<i64>>,
    batch_size: i32,
) -> Result<BTreeMap<i32, i32>, sqlx::Error> {
    let count = |page: &i32| documents.get(page).map_or(0, |ids| ids.len() as i32);
    let mut numbers: Vec<i32> = documents.keys().chain(whole).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let counts: Vec<i32> = numbers.iter().map(count).collect();
    let reopened = sqlx::query!(
        r#"
        update pages p
        set pass = pass + 1, batches_given_up = '{}', batches_open = (d.count + $5 - 1) / $5, documents_open = d.count,
            state = case when d.count > 0 then 'fetched' else 'done' end::page_state,
            parsed = case when d.page = any($4) then 0 else parsed end,
            failed = case when d.page = any($4) then 0 else greatest(failed - d.count, 0) end,
            error_code = case when d.page = any($4) then null else error_code end,
            error = case when d.page = any($4) then null else error end
        from unnest($2::integer[], $3::integer[]) as d (page, count)
        where p.collection_id = $1 and p.number = d.page
        returning p.number, p.pass, p.batches_open
        "#,
        id,
        &numbers,
        &counts,
        whole,
        batch_size,
    )
    .fetch_all(conn)
    .await?;
    Ok(reopened
        .into_iter()
        .filter(|page| page.batches_open > 0)
        .map(|page| (page.number, page.pass))
        .collect())
}

impl Redo {
    /// Enqueues the jobs.
    pub(super) async fn enqueue(self, conn: &mut PgConnection, run: Run<'_>) -> Result<(), EnqueueError> {
        for jobs in self.jobs.chunks(JOBS_AT_ONCE) {
            let jobs: Vec<NewJob> = jobs
                .iter()
                .map(|job| Ok(run.in_group(NewJob::new(job)?).concurrency_key(run.collection_id)))
                .collect::<Result<_, EnqueueError>>()?;
            enqueue_all(conn, &jobs).await?;
        }
        Ok(())
    }
}
