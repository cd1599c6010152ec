//! The items of pages as keys of eight bytes, by which pages are compared.

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::{Answer, Call, WINDOW_PAGES, next::Before};
use crate::{document::NewDocument, source::definition::Step};

/// Returns the keys of an answer's items; none for a source that has no use for them. The end of a run
/// compares them, to find out whether the list moved, whether all of it was seen, and who is missing.
pub(super) fn of_answer(call: &Call, answer: &Answer) -> Vec<i64> {
    let list = &call.source.definition.list;
    // The lists of parents are many, and what each of them announces is not what there is in all.
    let can_tell = !list.is_fanned_out() && (list.can_lose_items() || answer.total.is_some());
    let is_of_use = can_tell || list.hides_missing() || list.has_deleted_feed();
    if call.step != Step::List || !is_of_use {
        return Vec::new();
    }
    answer.items.iter().map(key).collect()
}

/// What tells an item from the others of its source. Of a million items two have the same key once in forty
/// million lists.
fn key(item: &NewDocument) -> i64 {
    match &item.external_id {
        Some(id) => key_of(id),
        None => first_bytes(item.content_hash.as_bytes()),
    }
}

/// The key of an external id: the first eight bytes of its SHA-256.
pub(crate) fn key_of(external_id: &str) -> i64 {
    first_bytes(&Sha256::digest(external_id))
}

fn first_bytes(hash: &[u8]) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(first)
}

/// What tells the items of a page, in their order, from those of another one.
pub(super) fn fingerprint(items: &[NewDocument]) -> i64 {
    let mut hash = Sha256::new();
    for item in items {
        hash.update(key(item).to_be_bytes());
    }
    first_bytes(&hash.finalize())
}

/// How far back pages are compared: a window and some more.
const NEAR_PAGES: i32 = 2 * WINDOW_PAGES;

/// Compares a page with those before it: the first one, and those within two windows. Says nothing of how
/// many items the lists have shown.
///
/// # Errors
/// The database's.
pub(super) async fn nearby(
    conn: &mut PgConnection,
    call: &Call,
    fingerprint: i64,
) -> Result<Before, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        with near as materialized (
            select place, items, fingerprint from calls
            where collection_id = $1 and step = $2 and parent = $3 and item = '' and reading = $4
              and (place = 1 or place >= $5::integer - $7::integer) and place < $5 and state = 'done'
        )
        select (select min(place) from near where fingerprint = $6) as same_as,
               $5::integer - 1 - coalesce((select max(place) from near where fingerprint <> $6), 0) as "same_in_row!",
               $5::integer - 1 - coalesce((select max(c.place) from calls c
                                  where c.collection_id = $1 and c.step = $2 and c.parent = $3 and c.item = ''
                                    and c.reading = $4 and c.place < $5 and c.items > 0
                                    and not exists (select from near where items > 0 and place > 1)),
                                 (select max(place) from near where items > 0), 0) as "empty_in_row!"
        "#,
        call.collection_id,
        call.step as Step,
        call.parent(),
        call.reading,
        call.place,
        fingerprint,
        NEAR_PAGES,
    )
    .fetch_one(conn)
    .await?;
    Ok(Before {
        items: 0,
        empty_in_row: row.empty_in_row,
        repeats: row.same_as,
        repeats_in_row: row.same_in_row,
    })
}
