use resume_queue::{EnqueueError, NewJob, enqueue_all};
use sqlx::PgConnection;

use super::{
    PageToFetch, WINDOW_PAGES,
    finish::{Change, count_pages},
    page::insert_pages,
};
use crate::{
    jobs::ParseDocuments,
    raw::{self, NewRawDocument},
    source::Paging,
};

/// What a source answered for a page.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchedPage {
    /// Its items, in order.
    pub items: Vec<NewRawDocument>,
    /// The address of the next page, where the source gave one.
    pub next: Option<String>,
}

/// What storing a page did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPage {
    /// Items that were new.
    pub stored: usize,
    /// Items whose content was known.
    pub unchanged: usize,
}

/// Stores a page: its new items as raw documents, the page as fetched, the jobs that parse its items, and the next page
/// with its job. All in the caller's transaction, which should also complete the fetching job.
///
/// Gives `None`, and changes nothing, when the page has been stored before. Locks the page, and the collection at the end.
///
/// # Errors
/// The database's; roll back.
pub async fn store_page(
    conn: &mut PgConnection,
    page: &PageToFetch,
    fetched: &FetchedPage,
) -> Result<Option<StoredPage>, EnqueueError> {
    if !lock_pending(conn, page).await? {
        return Ok(None);
    }
    let place = (page.collection_id, page.number);
    let new_ids = raw::insert_new(conn, &page.source.name, page.source.format, place, &fetched.items).await?;
    let unchanged = fetched.items.len() - new_ids.len();
    let batches: Vec<NewJob> = new_ids
        .chunks(page.batch_size)
        .map(|ids| {
            let job = ParseDocuments {
                collection_id: page.collection_id,
                page: page.number,
                document_ids: ids.to_vec(),
            };
            // A limit for each key lets no collection take all that the queue may run.
            Ok(page.run().in_group(NewJob::new(&job)?).concurrency_key(page.collection_id))
        })
        .collect::<Result<_, EnqueueError>>()?;
    enqueue_all(conn, &batches).await?;

    let (opened, end) = open_next(conn, page, fetched).await?;
    let is_done = batches.is_empty();
    mark_fetched(conn, page, (new_ids.len(), unchanged, batches.len()), end).await?;
    let change =
        Change { opened, closed: i32::from(is_done), last_page: (end != End::No).then_some(page.number) };
    count_pages(conn, page.collection_id, change).await?;
    Ok(Some(StoredPage { stored: new_ids.len(), unchanged }))
}

async fn lock_pending(conn: &mut PgConnection, page: &PageToFetch) -> Result<bool, sqlx::Error> {
    let row = sqlx::query!(
        "select number from pages where collection_id = $1 and number = $2 and state = 'pending' for update",
        page.collection_id,
        page.number,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

/// Whether a page ends its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// More pages are to come, or were opened before.
    No,
    /// The source says that this is the last one.
    Last,
    /// The next link leads to where the collection has been.
    Loop,
    /// There is no end to the next links.
    Endless,
}

/// Opens the page that this one makes room for (numbered) or leads to (next link); gives how many were opened.
async fn open_next(
    conn: &mut PgConnection,
    page: &PageToFetch,
    fetched: &FetchedPage,
) -> Result<(i32, End), EnqueueError> {
    match (page.source.paging, &fetched.next) {
        (Paging::Numbered, _) => {
            let next = page.number + WINDOW_PAGES;
            let wanted = page.pages_expected.is_none_or(|expected| next <= expected);
            let next = wanted.then_some((next, None));
            Ok((insert_pages(conn, page.run(), next).await?, End::No))
        }
        (Paging::NextLink, None) => Ok((0, End::Last)),
        (Paging::NextLink, Some(link)) if *link == page.first_url => Ok((0, End::Loop)),
        (Paging::NextLink, Some(_)) if page.number >= chain_max(page) => Ok((0, End::Endless)),
        (Paging::NextLink, Some(link)) => {
            let next = (page.number + 1, Some(link.clone()));
            let opened = insert_pages(conn, page.run(), [next]).await?;
            Ok((opened, if opened == 0 { End::Loop } else { End::No }))
        }
    }
}

/// Where a chain of pages is cut off: at twice the pages that it should have, for a source may give fewer items on a
/// page than it was asked for or repeat some, and a few more for short ones.
fn chain_max(page: &PageToFetch) -> i32 {
    page.pages_expected.unwrap_or(0).saturating_mul(2).saturating_add(10)
}

impl End {
    /// The code and the text of the error that this end is, if it is one.
    fn error(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::No | Self::Last => (None, None),
            Self::Loop => {
                (Some("next_link_loop"), Some("the next link leads to a page that was read before"))
            }
            Self::Endless => {
                (Some("next_link_endless"), Some("the next links go on for twice the pages there should be"))
            }
        }
    }
}

async fn mark_fetched(
    conn: &mut PgConnection,
    page: &PageToFetch,
    (stored, unchanged, batches): (usize, usize, usize),
    end: End,
) -> Result<(), sqlx::Error> {
    let (error_code, error) = end.error();
    sqlx::query!(
        r#"
        update pages
        set state = case when $5 = 0 then 'done' else 'fetched' end::page_state,
            stored = $3, unchanged = $4, batches_open = $5, calls = calls + 1, fetched_at = now(),
            error_code = $6, error = $7
        where collection_id = $1 and number = $2
        "#,
        page.collection_id,
        page.number,
        stored as i32,
        unchanged as i32,
        batches as i32,
        error_code,
        error,
    )
    .execute(conn)
    .await?;
    Ok(())
}
