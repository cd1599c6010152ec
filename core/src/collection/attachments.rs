//! Attachments: each is a page of its own, whose address an item has told. An address that has expired is asked for again, once, by
//! the call that had brought it; that tells fresh ones for all that the same answer had named.

use resume_queue::EnqueueError;
use sqlx::PgConnection;

use super::{
    FetchedPage, PageToFetch,
    finish::{Change, count_pages},
    page::{Attached, enqueue_fetches},
};
use crate::{
    attachment::{self, Finder, Link, NewAttachment},
    raw::{self, NewRawDocument},
    source::definition::Step,
};

/// The attachments of the items of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundAttachments {
    /// Each with the external id of its item.
    links: Vec<(String, Link)>,
    /// The code and the text of what is wrong with others.
    pub(super) fault: Option<(&'static str, String)>,
}

impl FoundAttachments {
    /// Finds the attachments of items; one that has no id is not known again, and has none, as has one that was deleted. Pure
    /// work, about as much as parsing.
    pub fn of(finder: &Finder, items: &[NewRawDocument]) -> Self {
        let mut all = Self::default();
        for item in items.iter().filter(|item| !item.is_deleted) {
            let Some(id) = &item.external_id else { continue };
            let found = finder.find(&item.body);
            all.links.extend(found.links.into_iter().map(|link| (id.clone(), link)));
            all.fault = all.fault.or(found.fault);
        }
        all
    }
}

/// Opens a page for each attachment of the items of a page that is not there yet; gives how many. The items are stored before. Does
/// not lock the collection, whose count of open pages the caller updates.
pub(super) async fn open(
    conn: &mut PgConnection,
    page: &PageToFetch,
    fetched: &FetchedPage,
) -> Result<i32, EnqueueError> {
    let links = &fetched.attachments.links;
    if links.is_empty() {
        return Ok(0);
    }
    let ids: Vec<&str> = links.iter().map(|(id, _)| id.as_str()).collect();
    let latest = raw::latest_ids(conn, &page.source.definition.name, &ids).await?;
    let documents: Vec<i64> = latest.iter().map(|(_, document)| *document).collect();
    let kept = attachment::kept(conn, &documents).await?;
    let missing: Vec<(i64, &str, &Link)> = links
        .iter()
        .filter_map(|(id, link)| {
            let at = latest.binary_search_by(|(known, _)| known.as_str().cmp(id)).ok()?;
            let document = latest[at].1;
            (!kept.contains(&(document, link.place))).then_some((document, id.as_str(), link))
        })
        .collect();
    insert(conn, page, &missing).await
}

async fn insert(
    conn: &mut PgConnection,
    page: &PageToFetch,
    missing: &[(i64, &str, &Link)],
) -> Result<i32, EnqueueError> {
    let documents: Vec<i64> = missing.iter().map(|(document, ..)| *document).collect();
    let items: Vec<&str> = missing.iter().map(|(_, id, _)| *id).collect();
    let places: Vec<i32> = missing.iter().map(|(.., link)| link.place).collect();
    let urls: Vec<&str> = missing.iter().map(|(.., link)| link.url.as_str()).collect();
    let names: Vec<&str> = missing.iter().map(|(.., link)| link.name.as_str()).collect();
    let numbers = sqlx::query_scalar!(
        r#"
        insert into pages (collection_id, step, number, parent, origin, raw_document_id, item, place, link, name)
        select $1, 'attachment', nextval('page_numbers'), $2, $3, a.raw_document_id, a.item, a.place, a.link, a.name
        from unnest($4::bigint[], $5::text[], $6::integer[], $7::text[], $8::text[])
            as a (raw_document_id, item, place, link, name)
        -- In one order for all: two pages may have the same items.
        order by raw_document_id, place
        on conflict do nothing
        returning number
        "#,
        page.collection_id,
        page.values.parent,
        page.number,
        &documents,
        &items as &[&str],
        &places,
        &urls as &[&str],
        &names as &[&str],
    )
    .fetch_all(&mut *conn)
    .await?;
    enqueue_fetches(conn, page.run(), &numbers).await?;
    Ok(numbers.len() as i32)
}

/// Stores the file of an attachment's page, and closes that. In the caller's transaction, which should also complete the fetching
/// job; locks the page, then the collection. Gives false, and changes nothing, when the page is not pending any more.
///
/// # Errors
/// The database's; roll back.
pub async fn store_attachment(
    conn: &mut PgConnection,
    page: &PageToFetch,
    file: &NewAttachment,
) -> Result<bool, sqlx::Error> {
    let closed = sqlx::query!(
        r#"
        update pages set state = 'done', calls = calls + 1, fetched_at = now(), error_code = null, error = null
        where collection_id = $1 and number = $2 and state = 'pending'
          and not exists (select from collections where id = $1 and state = 'cancelled')
        "#,
        page.collection_id,
        page.number,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    let Some(Attached { raw_document_id, name, .. }) = &page.attached else { return Ok(false) };
    if closed == 0 {
        return Ok(false);
    }
    attachment::store(conn, (*raw_document_id, page.place), name, file).await?;
    let change = Change { is_fetched: true, closed: 1, ..Change::default() };
    count_pages(conn, page.collection_id, change).await?;
    Ok(true)
}

/// Notes that the address of an attachment has expired, and the call that told so: the next one asks for a fresh address. Gives
/// false, and changes nothing, when that was done before: then it is gone. Locks the page for a moment.
///
/// # Errors
/// The database's.
pub async fn expire_attachment(conn: &mut PgConnection, page: &PageToFetch) -> Result<bool, sqlx::Error> {
    let expired = sqlx::query!(
        r#"
        update pages set link = null, is_refreshed = true, calls = calls + 1
        where collection_id = $1 and number = $2 and state = 'pending' and not is_refreshed
        "#,
        page.collection_id,
        page.number,
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(expired > 0)
}

/// What the call that had brought an attachment's address said the second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// There is a fresh address.
    Fresh,
    /// The item or the attachment is not there any more.
    Gone,
}

/// Takes the fresh addresses from an answer, for all attachments that are still to be fetched and whose addresses the same call
/// had brought, and counts the call. Stores nothing else of the answer. Locks those pages.
///
/// # Errors
/// The database's; roll back.
pub async fn refresh_attachments(
    conn: &mut PgConnection,
    page: &PageToFetch,
    found: &FoundAttachments,
) -> Result<Refreshed, sqlx::Error> {
    let Some(Attached { origin, .. }) = page.attached else { return Ok(Refreshed::Gone) };
    let items: Vec<&str> = found.links.iter().map(|(id, _)| id.as_str()).collect();
    let places: Vec<i32> = found.links.iter().map(|(_, link)| link.place).collect();
    let urls: Vec<&str> = found.links.iter().map(|(_, link)| link.url.as_str()).collect();
    let fresh = sqlx::query_scalar!(
        r#"
        with held as (
            select number from pages
            where collection_id = $1 and step = $2 and origin = $3 and state = 'pending'
            order by number for update
        )
        update pages p set link = a.link
        from held, unnest($4::text[], $5::integer[], $6::text[]) as a (item, place, link)
        where p.collection_id = $1 and p.number = held.number and p.item = a.item and p.place = a.place
        returning p.number
        "#,
        page.collection_id,
        Step::Attachment as Step,
        origin,
        &items as &[&str],
        &places,
        &urls as &[&str],
    )
    .fetch_all(&mut *conn)
    .await?;
    if !fresh.contains(&page.number) {
        return Ok(Refreshed::Gone);
    }
    sqlx::query!(
        "update pages set calls = calls + 1 where collection_id = $1 and number = $2",
        page.collection_id,
        page.number
    )
    .execute(conn)
    .await?;
    Ok(Refreshed::Fresh)
}
