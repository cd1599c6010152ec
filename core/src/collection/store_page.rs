use resume_queue::{EnqueueError, NewJob, enqueue_all};
use sqlx::PgConnection;

use super::{
    PageToFetch,
    ahead::{self, Ahead, End},
    finish::{Change, count_pages},
    page::insert_pages,
};
use crate::{
    jobs::ParseDocuments,
    raw::{self, NewRawDocument},
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
/// Gives `None`, and changes nothing, when the page has been stored before, or its collection is cancelled. Locks the page, and the collection at the end.
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
    let new_ids = raw::insert_new(
        conn,
        &page.source.definition.name,
        page.source.definition.format,
        place,
        &fetched.items,
    )
    .await?;
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

    let (opened, ahead) = open_next(conn, page, fetched).await?;
    let is_done = batches.is_empty();
    mark_fetched(conn, page, (new_ids.len(), unchanged, batches.len()), ahead.end).await?;
    let is_numbered = page.source.definition.list.paging.is_numbered();
    let change = Change {
        opened,
        is_fetched: true,
        closed: i32::from(is_done),
        last_page: ahead.last_page.filter(|_| !is_numbered),
        pages_at_most: ahead.last_page.filter(|_| is_numbered),
        is_cut: ahead.is_cut,
        documents: new_ids.len() as i32,
    };
    count_pages(conn, page.collection_id, change).await?;
    Ok(Some(StoredPage { stored: new_ids.len(), unchanged }))
}

async fn lock_pending(conn: &mut PgConnection, page: &PageToFetch) -> Result<bool, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select number from pages
        where collection_id = $1 and number = $2 and state = 'pending'
          and not exists (select from collections where id = $1 and state = 'cancelled')
        for update
        "#,
        page.collection_id,
        page.number,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

/// Opens the pages that this one makes room for (numbered) or leads to (the others); gives how many were opened, and
/// what is known of the pages ahead.
async fn open_next(
    conn: &mut PgConnection,
    page: &PageToFetch,
    fetched: &FetchedPage,
) -> Result<(i32, Ahead), EnqueueError> {
    let items_before = if ahead::may_be_enough(page) { items_stored(conn, page).await? } else { 0 };
    let mut ahead = ahead::after(page, fetched, items_before);
    let open = std::mem::take(&mut ahead.open);
    let is_link = open.iter().any(|(_, link)| link.is_some());
    let opened = insert_pages(conn, page.run(), open).await?;
    if is_link && opened == 0 {
        ahead = Ahead::ending(page.number, End::Loop);
    }
    Ok((opened, ahead))
}

/// How many items the pages of the collection had so far.
async fn items_stored(conn: &mut PgConnection, page: &PageToFetch) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select coalesce(sum(stored + unchanged), 0) as "items!" from pages where collection_id = $1"#,
        page.collection_id,
    )
    .fetch_one(conn)
    .await
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
