use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::look::Reading;
use crate::{
    collection::{FetchedPage, PageToFetch},
    raw::NewRawDocument,
    source::definition::Step,
};

/// Keeps what a page showed, if its source is one of which that can be of use. Gives how many of its items it did not show when
/// it was read before, which is all of them at its first reading. In the caller's transaction, which also stores the page.
///
/// # Errors
/// The database's.
pub(in crate::collection) async fn note(
    conn: &mut PgConnection,
    page: &PageToFetch,
    fetched: &FetchedPage,
) -> Result<usize, sqlx::Error> {
    let list = &page.source.definition.list;
    // The lists of parents are many, and what each of them announces is not what there is in all.
    let can_tell = !list.is_fanned_out() && (list.can_lose_items() || fetched.total.is_some());
    let is_of_use = can_tell || list.hides_missing() || list.has_deleted_feed();
    if page.step != Step::List || !is_of_use {
        return Ok(fetched.items.len());
    }
    let keys: Vec<i64> = fetched.items.iter().map(key).collect();
    let end = |item: Option<&NewRawDocument>| item.and_then(|item| item.external_id.clone());
    let new = sqlx::query_scalar!(
        r#"
        with noted as (
            insert into page_items (collection_id, page, round, total, keys, first_id, last_id)
            select $1, $2, rereads, $3, $4, $5, $6 from collections where id = $1
            on conflict do nothing
        )
        select count(*) as "count!" from unnest($4::bigint[]) as item (key)
        where key not in (
            select unnest(earlier.keys) from page_items earlier where collection_id = $1 and page = $2)
        "#,
        page.collection_id,
        page.number,
        fetched.total.map(|total| i64::try_from(total).unwrap_or(i64::MAX)),
        &keys,
        end(fetched.items.first()),
        end(fetched.items.last()),
    )
    .fetch_one(conn)
    .await?;
    Ok(usize::try_from(new).unwrap_or_default())
}

/// What tells an item from the others of its source. Of a million items two have the same key once in forty million lists.
fn key(item: &NewRawDocument) -> i64 {
    item.external_id.as_deref().map_or_else(|| first_bytes(&item.content_hash), key_of)
}

fn key_of(external_id: &str) -> i64 {
    first_bytes(&Sha256::digest(external_id).into())
}

fn first_bytes(hash: &[u8; 32]) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(first)
}

/// Those of the external ids that the lists of a collection have shown so far. Reads eight bytes for each item of it.
///
/// # Errors
/// The database's.
pub(in crate::collection) async fn seen_among<'a>(
    conn: &mut PgConnection,
    collection_id: Uuid,
    external_ids: &[&'a str],
) -> Result<BTreeSet<&'a str>, sqlx::Error> {
    let keys: Vec<i64> = external_ids.iter().map(|id| key_of(id)).collect();
    let seen = sqlx::query_scalar!(
        r#"
        select distinct key as "key!" from page_items i cross join lateral unnest(i.keys) as key
        where i.collection_id = $1 and key = any($2)
        "#,
        collection_id,
        &keys,
    )
    .fetch_all(conn)
    .await?;
    let seen: BTreeSet<i64> = seen.into_iter().collect();
    Ok(external_ids.iter().copied().filter(|id| seen.contains(&key_of(id))).collect())
}

/// All readings of a collection, in the order of their time: eight bytes for each item.
///
/// # Errors
/// The database's.
pub(super) async fn all(conn: &mut PgConnection, collection_id: Uuid) -> Result<Vec<Reading>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select page, round, total, keys, first_id, last_id from page_items
        where collection_id = $1 order by seen_at, page, round
        "#,
        collection_id,
    )
    .fetch_all(conn)
    .await?;
    let readings = rows.into_iter().map(|row| Reading {
        page: row.page,
        round: row.round,
        keys: row.keys,
        total: row.total,
        ends: [row.first_id, row.last_id],
    });
    Ok(readings.collect())
}
