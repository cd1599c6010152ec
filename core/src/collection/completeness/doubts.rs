use sqlx::PgConnection;
use uuid::Uuid;

use super::look::{Look, Reading};
use crate::collection::ErrorCount;

/// How many external ids are named.
const IDS_MAX: usize = 20;

/// Keeps what is doubtful about a collection, in place of what was doubtful before.
///
/// # Errors
/// The database's.
pub(super) async fn replace(
    conn: &mut PgConnection,
    collection_id: Uuid,
    doubts: &[ErrorCount],
) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from doubts where collection_id = $1", collection_id).execute(&mut *conn).await?;
    for doubt in doubts {
        sqlx::query!(
            "insert into doubts (collection_id, code, count, sample) values ($1, $2, $3, $4)",
            collection_id,
            doubt.code,
            doubt.count,
            doubt.sample,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// What is doubtful about a collection that is over; the most first.
///
/// # Errors
/// The database's.
pub(in crate::collection) async fn list(
    conn: &mut PgConnection,
    collection_id: Uuid,
) -> Result<Vec<ErrorCount>, sqlx::Error> {
    sqlx::query_as!(
        ErrorCount,
        "select code, count, sample from doubts where collection_id = $1 order by count desc, code",
        collection_id,
    )
    .fetch_all(conn)
    .await
}

/// What a look has found, in words.
pub(super) fn told(look: &Look, readings: &[Reading]) -> Vec<ErrorCount> {
    let missing = look.missing();
    let mut doubts = Vec::new();
    let mut add = |code: &str, count: i64, sample: String| {
        doubts.push(ErrorCount { code: code.to_owned(), count, sample });
    };
    if missing > 0 {
        let (announced, seen) = (look.announced.unwrap_or_default(), look.seen);
        add(
            "items_missing",
            missing,
            format!("{announced} items were announced and {seen} different ones seen"),
        );
    }
    if let Some([page, next]) = look.shifted.first() {
        let ids = ids_between(look, readings);
        let near = if ids.is_empty() { String::new() } else { format!("; doubtful near {}", ids.join(", ")) };
        let sample =
            format!("the list moved while it was read, first between page {page} and page {next}{near}");
        add("items_shifted", look.shifted.len() as i64, sample);
    }
    // Where all that was announced has been seen, a page that is short just is.
    let is_accounted_for = look.announced.is_some() && missing == 0;
    if let Some(page) = look.short.first().filter(|_| !is_accounted_for) {
        let sample = format!(
            "page {page}: fewer items than asked for, and pages behind it have some: items may be missing"
        );
        add("page_short", look.short.len() as i64, sample);
    }
    doubts
}

/// The ids next to the places where the list moved: what was lost or came twice, or stood beside it.
fn ids_between(look: &Look, readings: &[Reading]) -> Vec<String> {
    let mut ids = Vec::new();
    for &[page, next] in &look.shifted {
        let of = |wanted: i32, end: usize| {
            readings
                .iter()
                .filter(move |reading| reading.page == wanted)
                .filter_map(move |r| r.ends[end].clone())
        };
        for id in of(page, 1).chain(of(next, 0)) {
            let id = format!("{id:?}");
            if !ids.contains(&id) {
                ids.push(id);
            }
            if ids.len() == IDS_MAX {
                return ids;
            }
        }
    }
    ids
}
