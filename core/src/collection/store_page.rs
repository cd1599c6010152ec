use resume_queue::{EnqueueError, NewJob, enqueue_all};
use sqlx::PgConnection;

use super::{
    FoundAttachments, PageToFetch,
    ahead::{self, Ahead, End},
    attachments, completeness, deleted,
    finish::{Change, count_pages},
    steps::{self, Division, divide, insert_steps, open_list},
};
use crate::{
    jobs::ParseDocuments,
    raw::{self, NewRawDocument},
    source::definition::Step,
};

/// What a source answered for a page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FetchedPage {
    /// Its items, in order.
    pub items: Vec<NewRawDocument>,
    /// The address of the next page, or the token that asks for it, where the source gave one.
    pub next: Option<String>,
    /// How many items there are in all, where the source told.
    pub total: Option<u64>,
    /// The attachments of the items, where those are kept that this page brings.
    pub attachments: FoundAttachments,
}

/// What storing a page did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPage {
    /// Items that were new.
    pub stored: usize,
    /// Items whose content was known.
    pub unchanged: usize,
}

/// Stores a page: its new items as raw documents, the page as fetched, the jobs that parse its items, and what follows, the next
/// page of the list and the calls that its items lead to, with their jobs. All in the caller's transaction, which should also
/// complete the fetching job. Of a page of the feed of those who were deleted nothing is stored: their resumes are hidden.
///
/// Gives `None` when the page has been stored before, or its collection is cancelled: roll back. Locks resumes where some may be
/// hidden, then the page, and the collection at the end.
///
/// # Errors
/// The database's; roll back.
pub async fn store_page(
    conn: &mut PgConnection,
    page: &PageToFetch,
    fetched: &FetchedPage,
) -> Result<Option<StoredPage>, EnqueueError> {
    deleted::note(conn, page, fetched).await?;
    let Some(pass) = lock_pending(conn, page).await? else { return Ok(None) };
    let items_before = items_before(conn, page).await?;
    let Division { documents, open, fault, is_cut } = divide(page, fetched, items_before);
    let place = (page.collection_id, page.number);
    let new_ids =
        raw::insert_new(conn, &page.source.definition.name, page.source.definition.format, place, &documents)
            .await?;
    // A page that is read again counts what it shows for the first time.
    let shown = completeness::note_reading(conn, page, fetched).await?;
    let unchanged = shown.min(documents.len()).saturating_sub(new_ids.len());
    let stored = StoredPage { stored: new_ids.len(), unchanged };
    let batches = enqueue_batches(conn, page, pass, &new_ids).await?;

    let (opened, ahead) = open_next(conn, page, fetched, items_before).await?;
    let opened = opened
        + insert_steps(conn, page.run(), &open).await?
        + attachments::open(conn, page, fetched).await?;
    let fault = fault
        .or_else(|| without_ids(page, fetched))
        .or_else(|| fetched.attachments.fault.clone())
        .or_else(|| ahead.end.error().map(|(code, text)| (code, text.to_owned())));
    mark_fetched(conn, page, (stored, batches, fetched.items.len()), fault).await?;
    if steps::is_tallied(page) && page.step == Step::List {
        steps::tally(conn, page, shown).await?;
    }
    let (is_windowed, is_first) = (page.is_windowed(), page.is_of_first_list());
    let change = Change {
        opened,
        is_fetched: true,
        closed: i32::from(batches == 0),
        last_page: ahead.last_page.filter(|_| is_first && !is_windowed),
        pages_at_most: match ahead.last_page {
            last if is_windowed => last,
            _ if is_first && page.step == Step::List => pages_announced(page, fetched),
            _ => None,
        },
        is_cut: is_cut || ahead.is_cut,
        documents: stored.stored as i32,
    };
    count_pages(conn, page.collection_id, change).await?;
    Ok(Some(stored))
}

/// What is wrong with items without an id, where it is by their ids that people are hidden: nobody knows who they are.
fn without_ids(page: &PageToFetch, fetched: &FetchedPage) -> Option<(&'static str, String)> {
    let list = &page.source.definition.list;
    let is_by_ids = page.step == Step::Deleted || page.step == Step::List && list.hides_missing();
    let count = fetched.items.iter().filter(|item| item.external_id.is_none()).count();
    let all = fetched.items.len();
    (is_by_ids && count > 0).then(|| {
        let text = format!(
            "{count} of {all} items have no id that can be read: this run hides nobody for being missing"
        );
        ("item_id_missing", text)
    })
}

/// Enqueues the jobs that parse new documents; gives their number.
async fn enqueue_batches(
    conn: &mut PgConnection,
    page: &PageToFetch,
    pass: i32,
    new_ids: &[i64],
) -> Result<usize, EnqueueError> {
    let batches: Vec<NewJob> = new_ids
        .chunks(page.batch_size)
        .map(|ids| {
            let job = ParseDocuments {
                collection_id: page.collection_id,
                page: page.number,
                document_ids: ids.to_vec(),
                pass,
            };
            // A limit for each key lets no collection take all that the queue may run.
            Ok(page.run().in_group(NewJob::new(&job)?).concurrency_key(page.collection_id))
        })
        .collect::<Result<_, EnqueueError>>()?;
    enqueue_all(conn, &batches).await?;
    Ok(batches.len())
}

/// How many pages a chain that goes on has, if all are like this one: for people only, the chain ends where it ends.
fn pages_announced(page: &PageToFetch, fetched: &FetchedPage) -> Option<i32> {
    let items = fetched.total.filter(|_| fetched.next.is_some())?.min(page.values.count.into());
    let pages = items.div_ceil((fetched.items.len() as u64).max(1));
    i32::try_from(pages).ok().filter(|_| !fetched.items.is_empty())
}

/// Locks a page that waits to be fetched; gives its pass over its documents.
pub(super) async fn lock_pending(
    conn: &mut PgConnection,
    page: &PageToFetch,
) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select pass from pages
        where collection_id = $1 and number = $2 and state = 'pending'
          and not exists (select from collections where id = $1 and state = 'cancelled')
        for update
        "#,
        page.collection_id,
        page.number,
    )
    .fetch_optional(conn)
    .await
}

/// Opens the pages that this one makes room for (numbered) or leads to (the others); gives how many were opened, and
/// what is known of the pages ahead.
async fn open_next(
    conn: &mut PgConnection,
    page: &PageToFetch,
    fetched: &FetchedPage,
    items_before: i64,
) -> Result<(i32, Ahead), EnqueueError> {
    let mut ahead = ahead::after(page, fetched, items_before);
    let open = std::mem::take(&mut ahead.open);
    let is_link = open.iter().any(|(_, link)| link.is_some());
    let opened = open_list(conn, page, open).await?;
    if is_link && opened == 0 {
        ahead = Ahead::ending(page.place, End::Loop);
    }
    Ok((opened, ahead))
}

/// How many items the lists have brought before this page, where that decides what follows; else 0. A page that is read again
/// does not count what it brought itself.
async fn items_before(conn: &mut PgConnection, page: &PageToFetch) -> Result<i64, sqlx::Error> {
    match page.step {
        Step::List if steps::is_tallied(page) => steps::items_listed(conn, page).await,
        _ if ahead::may_be_enough(page) => items_stored(conn, page).await,
        _ => Ok(0),
    }
}

/// How many items the pages of the collection's list had so far, with those that were not stored; since the list was begun again, if it
/// was: then all of them come anew.
async fn items_stored(conn: &mut PgConnection, page: &PageToFetch) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select coalesce(sum(coalesce(items, stored + unchanged)), 0) as "items!" from pages
        where collection_id = $1 and step = 'list' and number >= coalesce(
            (select max(number) from pages
             where collection_id = $1 and step = 'list' and begun_in_run is not null), 0)
        "#,
        page.collection_id,
    )
    .fetch_one(conn)
    .await
}

async fn mark_fetched(
    conn: &mut PgConnection,
    page: &PageToFetch,
    (stored, batches, items): (StoredPage, usize, usize),
    fault: Option<(&'static str, String)>,
) -> Result<(), sqlx::Error> {
    let (error_code, error) = fault.unzip();
    let all = stored.stored + stored.unchanged;
    sqlx::query!(
        r#"
        update pages
        set state = case when $5 = 0 then 'done' else 'fetched' end::page_state,
            stored = stored + $3, unchanged = unchanged + $4, documents_open = $3, batches_open = $5, calls = calls + 1, fetched_at = now(),
            error_code = $6, error = $7, items = $8
        where collection_id = $1 and number = $2
        "#,
        page.collection_id,
        page.number,
        stored.stored as i32,
        stored.unchanged as i32,
        batches as i32,
        error_code,
        error,
        (items != all).then_some(items as i32),
    )
    .execute(conn)
    .await?;
    Ok(())
}
