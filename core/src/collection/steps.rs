//! What follows from the items of a page: the lists of parents and the details of items. Each is a page with a call of its own.

use std::borrow::Cow;

use resume_queue::EnqueueError;
use sqlx::PgConnection;

use super::{
    FetchedPage, PageToFetch,
    finish::{Change, count_pages},
    page::{Run, enqueue_fetches, insert_pages},
};
use crate::{raw::NewRawDocument, source::definition::Step};

/// What becomes of the items of a page.
#[derive(Debug)]
pub(super) struct Division<'a> {
    /// Those that are stored.
    pub(super) documents: Cow<'a, [NewRawDocument]>,
    /// The pages that others lead to.
    pub(super) open: Vec<NewPage>,
    /// The code and the text of what is wrong with some of them.
    pub(super) fault: Option<(&'static str, String)>,
    /// Whether some are left out, because there are as many as were asked for.
    pub(super) is_cut: bool,
}

impl NewPage {
    /// The page of an item that no list has.
    pub(super) fn detail(item: String) -> Self {
        Self { step: Step::Detail, parent: None, item: Some(item) }
    }
}

impl<'a> Division<'a> {
    /// Of items that lead to nothing.
    fn storing(documents: Cow<'a, [NewRawDocument]>) -> Self {
        Self { documents, open: Vec::new(), fault: None, is_cut: false }
    }
}

/// A page that follows from an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewPage {
    step: Step,
    parent: Option<String>,
    item: Option<String>,
}

/// Whether the items of the page's collection are counted as they are listed. They are not all on the pages of one list then.
pub(super) fn is_tallied(page: &PageToFetch) -> bool {
    let definition = &page.source.definition;
    definition.parents.is_some() || definition.detail.is_some()
}

/// Tells what becomes of the items of a page. `items_before`: how many the lists have brought so far. Pure.
pub(super) fn divide<'a>(page: &PageToFetch, fetched: &'a FetchedPage, items_before: i64) -> Division<'a> {
    match page.step {
        Step::Parents => parents(fetched),
        Step::List if page.source.definition.detail.is_some() => details(page, fetched, items_before),
        Step::List | Step::Detail | Step::Attachment => Division::storing(kept(&fetched.items)),
        Step::Deleted | Step::Known => Division::storing(Cow::Borrowed(&[])),
    }
}

/// All items but those that were deleted.
pub(super) fn kept(items: &[NewRawDocument]) -> Cow<'_, [NewRawDocument]> {
    if items.iter().any(|item| item.is_deleted) {
        items.iter().filter(|item| !item.is_deleted).cloned().collect()
    } else {
        Cow::Borrowed(items)
    }
}

fn parents(fetched: &FetchedPage) -> Division<'_> {
    let (fit, unfit): (Vec<_>, Vec<_>) = fetched.items.iter().partition(|item| id_for_path(item).is_some());
    let open = fit.into_iter().map(|item| NewPage {
        step: Step::List,
        parent: item.external_id.clone(),
        item: None,
    });
    Division {
        documents: Cow::Borrowed(&[]),
        open: open.collect(),
        fault: fault("parent_id_invalid", "parents", &unfit),
        is_cut: false,
    }
}

/// An item whose id cannot be asked for is kept as the list has it: something is better than nothing.
fn details<'a>(page: &PageToFetch, fetched: &'a FetchedPage, items_before: i64) -> Division<'a> {
    let room = usize::try_from(i64::from(page.values.count) - items_before).unwrap_or(0);
    let asked = fetched.items.iter().take(room);
    let (fit, unfit): (Vec<_>, Vec<_>) =
        asked.filter(|item| !item.is_deleted).partition(|item| id_for_path(item).is_some());
    let open = fit.into_iter().map(|item| NewPage {
        step: Step::Detail,
        parent: page.values.parent.clone(),
        item: item.external_id.clone(),
    });
    Division {
        open: open.collect(),
        fault: fault("item_id_invalid", "items", &unfit),
        documents: unfit.into_iter().cloned().collect(),
        is_cut: fetched.items.len() > room,
    }
}

/// The id of an item, if it can be a part of a path.
fn id_for_path(item: &NewRawDocument) -> Option<&str> {
    item.external_id.as_deref().filter(|id| can_stand_in_a_path(id))
}

/// Whether an id can be a part of a path: what has a slash in it, or is a dot or two, could lead elsewhere at a system that reads
/// paths twice.
pub(super) fn can_stand_in_a_path(id: &str) -> bool {
    let is_odd = |c: char| c.is_control() || ['/', '\\'].contains(&c);
    !id.contains(is_odd) && ![".", ".."].contains(&id)
}

fn fault(code: &'static str, what: &str, unfit: &[&NewRawDocument]) -> Option<(&'static str, String)> {
    let first = unfit.first()?.external_id.as_deref();
    let example = first.map_or_else(|| "none at all".to_owned(), |id| format!("{id:.100?}"));
    Some((code, format!("{} {what} have no id that can stand in a path, such as {example}", unfit.len())))
}

/// Adds pages that follow from items, with a job each; gives how many were not there before. Does not lock the collection,
/// whose count of open pages the caller updates.
pub(super) async fn insert_steps(
    conn: &mut PgConnection,
    run: Run<'_>,
    pages: &[NewPage],
) -> Result<i32, EnqueueError> {
    let Some(NewPage { step, .. }) = pages.first() else { return Ok(0) };
    let parents: Vec<Option<&str>> = pages.iter().map(|page| page.parent.as_deref()).collect();
    let items: Vec<Option<&str>> = pages.iter().map(|page| page.item.as_deref()).collect();
    let numbers = sqlx::query_scalar!(
        r#"
        insert into pages (collection_id, step, number, parent, item, place)
        select $1, $2, nextval('page_numbers'), parent, item, 1
        from unnest($3::text[], $4::text[]) as p (parent, item)
        -- In one order for all: two pages may lead to the same calls.
        order by parent, item
        on conflict do nothing
        returning number
        "#,
        run.collection_id,
        *step as Step,
        &parents as &[Option<&str>],
        &items as &[Option<&str>],
    )
    .fetch_all(&mut *conn)
    .await?;
    enqueue_fetches(conn, run, &numbers).await?;
    Ok(numbers.len() as i32)
}

/// Adds the first page of the feed that tells who was deleted, with its job; gives how many were not there before. As
/// [`insert_steps`].
pub(super) async fn open_feed(conn: &mut PgConnection, run: Run<'_>) -> Result<i32, EnqueueError> {
    insert_steps(conn, run, &[NewPage { step: Step::Deleted, parent: None, item: None }]).await
}

/// Adds pages of the list that a page is of, by their place and, where the source gave one, link. As [`insert_steps`].
pub(super) async fn open_list(
    conn: &mut PgConnection,
    page: &PageToFetch,
    pages: Vec<(i32, Option<String>)>,
) -> Result<i32, EnqueueError> {
    if page.is_of_first_list() {
        // Its places are its numbers.
        return insert_pages(conn, page.run(), page.step, pages).await;
    }
    let (places, links): (Vec<i32>, Vec<Option<String>>) = pages.into_iter().unzip();
    let numbers = sqlx::query_scalar!(
        r#"
        insert into pages (collection_id, step, number, parent, place, link)
        select $1, $2, nextval('page_numbers'), $3, place, link
        from unnest($4::integer[], $5::text[]) as p (place, link)
        on conflict do nothing
        returning number
        "#,
        page.collection_id,
        page.step as Step,
        page.values.parent,
        &places,
        &links as &[Option<String>],
    )
    .fetch_all(&mut *conn)
    .await?;
    enqueue_fetches(conn, page.run(), &numbers).await?;
    Ok(numbers.len() as i32)
}

/// How many items the lists of the collection have brought so far, but for this page, which may have been read before. Others may
/// add some at the same time: a list may bring a page more than was asked for.
pub(super) async fn items_listed(conn: &mut PgConnection, page: &PageToFetch) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select c.items_listed::bigint - coalesce(p.items, 0) as "items!"
        from collections c join pages p on p.collection_id = c.id and p.number = $2
        where c.id = $1
        "#,
        page.collection_id,
        page.number,
    )
    .fetch_one(conn)
    .await
}

/// Counts the items of a list no more that begins again: all of them come anew. Locks the collection.
pub(super) async fn forget_list(conn: &mut PgConnection, page: &PageToFetch) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        update collections set items_listed = greatest(0, items_listed - (
            select coalesce(sum(coalesce(p.items, p.stored + p.unchanged)), 0) from pages p
            where p.collection_id = $1 and p.step = 'list' and p.parent is not distinct from $2
              and coalesce(p.place, p.number) between coalesce((
                  select max(coalesce(b.place, b.number)) from pages b
                  where b.collection_id = $1 and b.step = 'list' and b.parent is not distinct from $2
                    and b.begun_in_run is not null), 1) and $3))
        where id = $1
        "#,
        page.collection_id,
        page.values.parent,
        page.place,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts the items of a list. Locks the collection, so call it at the end.
pub(super) async fn tally(
    conn: &mut PgConnection,
    page: &PageToFetch,
    items: usize,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update collections set items_listed = items_listed + $2 where id = $1",
        page.collection_id,
        items as i32,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Closes a page that is [not wanted](super::FoundPage::NotWanted) any more, without a call. In the caller's transaction, which
/// should also complete the fetching job; locks the page and the collection. Changes nothing when it is not pending.
///
/// # Errors
/// The database's; roll back.
pub async fn skip_page(conn: &mut PgConnection, page: &PageToFetch) -> Result<(), sqlx::Error> {
    let closed = sqlx::query!(
        "update pages set state = 'done', error_code = null, error = null where collection_id = $1 and number = $2 and state = 'pending'",
        page.collection_id,
        page.number,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if closed == 0 {
        return Ok(());
    }
    let change = Change { closed: 1, is_cut: true, ..Change::default() };
    count_pages(conn, page.collection_id, change).await
}
