//! Sources that are asked for people who are known: their ids stand in links of resumes that are there. Looking for them is a chain
//! of pages without a call, each over some of the resumes, and opens a page for each person who was found.

use std::collections::BTreeSet;

use resume_queue::EnqueueError;
use sqlx::PgConnection;

use super::{
    PageToFetch,
    finish::{Change, count_pages},
    page::insert_pages,
    steps::{NewPage, can_stand_in_a_path, insert_steps, items_listed, tally},
    store_page::lock_pending,
};
use crate::{resume, source::definition::Step};

/// How many resumes are looked through for one page.
const RESUMES_AT_ONCE: i64 = 10_000;

/// Looks through the next resumes for people whom the source of a page can be asked for, and opens a page for each, and the next one to
/// go on with. No more people than were asked for.
///
/// Gives false, and changes nothing, when the page is no longer pending, or its collection is cancelled. In the caller's transaction,
/// which should also complete the job; locks the page, and the collection at the end.
///
/// # Errors
/// The database's; roll back.
pub async fn open_known(conn: &mut PgConnection, page: &PageToFetch) -> Result<bool, EnqueueError> {
    let definition = &page.source.definition;
    let Some(known) = &definition.known else { return Ok(false) };
    if lock_pending(conn, page).await?.is_none() {
        return Ok(false);
    }
    let after = page.link.as_deref().and_then(|link| link.parse().ok()).unwrap_or(0);
    let of = (definition.name.as_str(), known.host());
    let links = resume::links_after(conn, (of.0, &of.1), after, RESUMES_AT_ONCE).await?;
    let ids: BTreeSet<String> =
        links.urls.iter().filter_map(|url| known.id_in(url)).filter(|id| can_stand_in_a_path(id)).collect();
    let room = i64::from(page.values.count) - items_listed(conn, page).await?;
    let ids = unasked(conn, page, ids).await?;
    let is_enough = ids.len() as i64 >= room;
    let details: Vec<NewPage> =
        ids.into_iter().take(usize::try_from(room).unwrap_or(0)).map(NewPage::detail).collect();
    let found = insert_steps(conn, page.run(), &details).await?;
    let next = links.last_id.filter(|_| !is_enough).map(|last| (page.place + 1, Some(last.to_string())));
    let is_last = next.is_none();
    let opened = found + insert_pages(conn, page.run(), Step::Known, next).await?;
    sqlx::query!(
        "update pages set state = 'done', fetched_at = now(), items = $3 where collection_id = $1 and number = $2",
        page.collection_id,
        page.number,
        found,
    )
    .execute(&mut *conn)
    .await?;
    tally(conn, page, found.unsigned_abs() as usize).await?;
    let change = Change {
        opened,
        closed: 1,
        last_page: is_last.then_some(page.place),
        is_cut: is_enough,
        ..Change::default()
    };
    count_pages(conn, page.collection_id, change).await?;
    Ok(true)
}

/// Those for whom the collection has no page yet.
async fn unasked(
    conn: &mut PgConnection,
    page: &PageToFetch,
    ids: BTreeSet<String>,
) -> Result<Vec<String>, sqlx::Error> {
    let ids: Vec<String> = ids.into_iter().collect();
    sqlx::query_scalar!(
        r#"
        select id as "id!" from unnest($2::text[]) as asked (id)
        where not exists (
            select from pages
            where collection_id = $1 and step = 'detail' and md5(coalesce(parent, '')) = md5('')
              and md5(coalesce(item, '')) = md5(id) and place = 1)
        order by id
        "#,
        page.collection_id,
        &ids,
    )
    .fetch_all(conn)
    .await
}
