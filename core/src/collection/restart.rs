use resume_queue::EnqueueError;
use sqlx::PgConnection;

use super::{
    PageToFetch,
    finish::{Change, count_pages},
    steps::{forget_list, is_tallied, open_list},
};
use crate::source::definition::Step;

/// Reads the list again from its beginning, in place of a page whose token the source knows no more. What is stored is
/// known when it comes again, so this costs calls and nothing else. Once a run for each list: a source whose tokens expire before its list
/// is read would be read for ever.
///
/// Gives false, and changes nothing, when this run has begun the list again before, or when the page is no longer pending. In the
/// caller's transaction, which should also complete the fetching job; locks the pages, the collection, and pages that are new.
///
/// # Errors
/// The database's; roll back.
pub async fn restart(conn: &mut PgConnection, page: &PageToFetch) -> Result<bool, EnqueueError> {
    let closed = sqlx::query!(
        r#"
        update pages p
        set state = 'done', calls = calls + 1, fetched_at = now(), error_code = null, error = null
        from collections c
        where p.collection_id = $1 and p.number = $2 and p.state = 'pending'
          and c.id = p.collection_id and not exists (
              select from pages b
              where b.collection_id = $1 and b.begun_in_run = c.run and b.step = p.step
                and b.parent is not distinct from p.parent)
        "#,
        page.collection_id,
        page.number,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if closed == 0 {
        return Ok(false);
    }
    // The same tokens may lead through the list again.
    sqlx::query!(
        r#"
        update pages set link = null
        where collection_id = $1 and step = $2 and parent is not distinct from $3
          and link is not null and state in ('fetched', 'done')
        "#,
        page.collection_id,
        page.step as Step,
        page.values.parent,
    )
    .execute(&mut *conn)
    .await?;
    if is_tallied(page) && page.step == Step::List {
        forget_list(conn, page).await?;
    }
    let opened = open_list(conn, page, vec![(page.place + 1, None)]).await?;
    sqlx::query!(
        r#"
        update pages p set begun_in_run = c.run from collections c
        where c.id = $1 and p.collection_id = $1 and p.step = $2 and p.parent is not distinct from $3
          and coalesce(p.place, p.number) = $4
        "#,
        page.collection_id,
        page.step as Step,
        page.values.parent,
        page.place + 1,
    )
    .execute(&mut *conn)
    .await?;
    count_pages(conn, page.collection_id, Change { opened, closed: 1, ..Change::default() }).await?;
    Ok(true)
}
