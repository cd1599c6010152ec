//! Who is there and who was deleted, as the pages of a collection tell: the lists, the items themselves, and the feed of those who
//! were deleted, which is read beside the lists.
//!
//! The feed reaches back, and may tell of somebody who has come back since, whom the list has too. Of the pages of one collection
//! the lists count more, in whatever order they are stored. Who is deleted after the list was read is in the next run's feed again.

use sqlx::PgConnection;

use super::{FetchedPage, PageToFetch, completeness};
use crate::{
    raw::NewRawDocument,
    resume,
    source::definition::{Deleted, Step},
};

/// Pages of lists are stored side by side, and those of the feed alone, so that each of the two knows of the other; the class of
/// the advisory lock is "resd" in ASCII.
const LOCK_CLASS: i32 = i32::from_be_bytes(*b"resd");

/// Hides the resumes of those whom a page tells as deleted, and lets searches find those again whom it shows. In the caller's
/// transaction, which also stores the page; locks the feed or the lists of the collection, where it has both, then the resumes in
/// the order of their external ids.
///
/// # Errors
/// The database's; roll back.
pub(super) async fn note(
    conn: &mut PgConnection,
    page: &PageToFetch,
    fetched: &FetchedPage,
) -> Result<(), sqlx::Error> {
    let definition = &page.source.definition;
    let Some(deleted) = definition.list.hiding() else { return Ok(()) };
    if deleted.feed.is_some() {
        lock(conn, page).await?;
    }
    let (gone, there) = match page.step {
        Step::Deleted => {
            resume::see(conn, &definition.name).await?;
            let mut told = ids(&fetched.items);
            let listed = completeness::seen_among(conn, page.collection_id, &told).await?;
            told.retain(|id| !listed.contains(*id));
            (told, Vec::new())
        }
        Step::List | Step::Detail => {
            resume::see(conn, &definition.name).await?;
            let (flagged, there): (Vec<_>, Vec<_>) = fetched.items.iter().partition(|item| item.is_deleted);
            let shows = page.step == shows_at(page, deleted);
            (ids(flagged), if shows { ids(there) } else { Vec::new() })
        }
        Step::Parents | Step::Attachment | Step::Known => return Ok(()),
    };
    resume::note_seen(conn, &definition.name, (&gone, &there)).await
}

fn ids<'a>(items: impl IntoIterator<Item = &'a NewRawDocument>) -> Vec<&'a str> {
    items.into_iter().filter_map(|item| item.external_id.as_deref()).collect()
}

/// The step whose items are there. Where they may be flagged, that is only known when they are read in full.
fn shows_at(page: &PageToFetch, deleted: &Deleted) -> Step {
    if deleted.flag.is_some() { page.source.definition.last_step() } else { Step::List }
}

async fn lock(conn: &mut PgConnection, page: &PageToFetch) -> Result<(), sqlx::Error> {
    let id = page.collection_id.to_string();
    match page.step {
        Step::Deleted => {
            sqlx::query!("select pg_advisory_xact_lock($1, hashtext($2))", LOCK_CLASS, id)
                .fetch_one(conn)
                .await?;
        }
        Step::List => {
            sqlx::query!("select pg_advisory_xact_lock_shared($1, hashtext($2))", LOCK_CLASS, id)
                .fetch_one(conn)
                .await?;
        }
        Step::Parents | Step::Detail | Step::Attachment | Step::Known => {}
    }
    Ok(())
}
