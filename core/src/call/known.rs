//! Enrichment sources: only people whose existing resumes link to them are looked up. Looking for those is a
//! chain of calls that make no request, each over some of the resumes, and opens a detail for each person who
//! was found.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::{Call, NewCall, StoreCallError, erased, follow::can_stand_in_a_path, open, store::lock};
use crate::{
    erasure,
    progress::{
        self, Pages,
        counts::{self, Counts},
    },
    resume,
    source::definition::Step,
};

/// How many resumes are looked through for one call.
const RESUMES_AT_ONCE: i64 = 10_000;

/// Looks through the next resumes for people whom the source of a call can be asked for, and opens a detail
/// for each, and the next call to go on with. No more people than were asked for.
///
/// Returns false, and changes nothing, when the call is no longer pending, or its collection is cancelled. In
/// the caller's transaction, which should also complete the job; locks the call.
///
/// # Errors
/// See [`StoreCallError`]; roll back.
pub async fn open_known(
    conn: &mut PgConnection,
    call: &Call,
    key: Option<&erasure::Key>,
) -> Result<bool, StoreCallError> {
    let definition = &call.source.definition;
    let Some(known) = &definition.known else { return Ok(false) };
    if lock(conn, call).await? != Some(false) {
        return Ok(false);
    }
    let after = call.link.as_deref().and_then(|link| link.parse().ok()).unwrap_or(0);
    let links = resume::links_after(conn, call.source.id, &known.host(), after, RESUMES_AT_ONCE).await?;
    let ids: BTreeSet<String> =
        links.urls.iter().filter_map(|url| known.id_in(url)).filter(|id| can_stand_in_a_path(id)).collect();
    let room = match call.count {
        Some(count) => count - counts::sum(conn, call.collection_id).await?.listed,
        None => i64::MAX,
    };
    let mut ids = unasked(conn, call, ids).await?;
    let erased = erased::among(conn, call, key, ids.clone()).await?;
    ids.retain(|id| !erased.contains(id));
    let is_enough = ids.len() as i64 >= room;
    let details: Vec<NewCall> =
        ids.into_iter().take(usize::try_from(room).unwrap_or(0)).map(|id| NewCall::detail("", id)).collect();
    let found = open::open(conn, call.run(), &details).await?;
    let next = links
        .last_id
        .filter(|_| !is_enough)
        .map(|last| NewCall::page(Step::Known, "", call.place + 1, Some(last.to_string())));
    let is_last = next.is_none();
    let opened = open::open(conn, call.run(), next.as_slice()).await?;
    sqlx::query!(
        "update calls set state = 'done', done_at = now(), items = $2 where id = $1",
        call.id,
        found as i32,
    )
    .execute(&mut *conn)
    .await?;
    let change = Counts {
        opened: opened + found,
        opened_behind: found,
        done: 1,
        listed: found,
        erased: erased.len() as i64,
        ..Counts::default()
    };
    counts::add(conn, call.collection_id, change).await?;
    let pages = if is_last { Pages::Exactly(call.place) } else { Pages::Unknown };
    progress::note_answer(conn, call.collection_id, pages, is_enough).await?;
    Ok(true)
}

/// Those for whom the collection has no call yet.
async fn unasked(
    conn: &mut PgConnection,
    call: &Call,
    ids: BTreeSet<String>,
) -> Result<Vec<String>, sqlx::Error> {
    let ids: Vec<String> = ids.into_iter().collect();
    sqlx::query_scalar!(
        r#"
        select asked.id as "id!" from unnest($2::text[]) as asked (id)
        where not exists (
            select from calls c
            where c.collection_id = $1 and c.step = 'detail' and c.parent = '' and c.item = asked.id
              and c.place = 1 and c.reading = 1)
        order by asked.id
        "#,
        call.collection_id,
        &ids,
    )
    .fetch_all(conn)
    .await
}
