//! Documents that did not parse.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Document, DocumentState};
use crate::{parsing::PARSER_VERSION, progress::ErrorCount};

/// A document that did not parse, ready to be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewParseFailure {
    /// The document.
    pub document_id: i64,
    /// What was wrong: the stable text of a [`parsing::ErrorCode`](crate::parsing::ErrorCode), or
    /// `parser_crashed`.
    pub code: &'static str,
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What was found, for people.
    pub detail: String,
}

/// Lists documents as failed in a collection, which were read with this version of their source's map. A
/// later failure of the same document replaces the earlier one. Returns how many were not listed before.
///
/// # Errors
/// The database's.
pub(crate) async fn store_failures(
    conn: &mut PgConnection,
    collection_id: Uuid,
    map_version: i32,
    failures: &[NewParseFailure],
) -> Result<i64, sqlx::Error> {
    if failures.is_empty() {
        return Ok(0);
    }
    let ids: Vec<i64> = failures.iter().map(|failure| failure.document_id).collect();
    let codes: Vec<&str> = failures.iter().map(|failure| failure.code).collect();
    let pointers: Vec<&str> = failures.iter().map(|failure| failure.pointer.as_str()).collect();
    let details: Vec<String> = failures.iter().map(|f| f.detail.replace('\0', "\u{fffd}")).collect();
    let is_new = sqlx::query_scalar!(
        r#"
        insert into parse_failures (document_id, collection_id, parser_version, map_version, code, pointer, detail)
        select f.id, $1, $2, $3, f.code, f.pointer, f.detail
        from unnest($4::bigint[], $5::text[], $6::text[], $7::text[]) as f (id, code, pointer, detail)
        -- Not of somebody who was erased meanwhile.
        join raw_documents d on d.id = f.id
        order by f.id
        on conflict (document_id, collection_id) do update
        set parser_version = excluded.parser_version, map_version = excluded.map_version, failed_at = now(),
            code = excluded.code, pointer = excluded.pointer, detail = excluded.detail
        -- Of a row that was inserted.
        returning xmax = 0 as "is_new!"
        "#,
        collection_id,
        PARSER_VERSION,
        map_version,
        &ids,
        &codes as &[&str],
        &pointers as &[&str],
        &details,
    );
    Ok(is_new.fetch_all(conn).await?.into_iter().filter(|&is_new| is_new).count() as i64)
}

/// Lists documents as failed no longer, because they were parsed after all. Returns the collections that had
/// listed them, one for each document.
///
/// # Errors
/// The database's.
pub(crate) async fn withdraw_failures(
    conn: &mut PgConnection,
    documents: &[i64],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "delete from parse_failures where document_id = any($1) returning collection_id",
        documents
    )
    .fetch_all(conn)
    .await
}

/// How often each kind of failure happened in a collection, with one of each for people; the most frequent
/// first. Documents that were given up are among them, by the code for which they were.
///
/// # Errors
/// The database's.
pub(crate) async fn failure_counts(
    conn: &mut PgConnection,
    collection_id: Uuid,
    limit: i64,
) -> Result<Vec<ErrorCount>, sqlx::Error> {
    sqlx::query_as!(
        ErrorCount,
        r#"
        select f.code as "code!", f.count as "count!",
               'document ' || s.document_id || ' at "' || s.pointer || '": ' || s.detail as "sample!"
        from (
            select code, count(*) as count, min(document_id) as first
            from parse_failures where collection_id = $1 group by code
        ) f join parse_failures s on s.document_id = f.first and s.collection_id = $1
        union all
        select code, sum(last_id - first_id + 1)::bigint, 'document ' || min(first_id) || ': ' || min(error)
        from batches where collection_id = $1 and code is not null group by code
        order by 2 desc, 1 limit $2
        "#,
        collection_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Which documents of a collection to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentFilter {
    /// Only those in this state.
    pub state: Option<DocumentState>,
    /// Only those that failed, or were given up, with this code.
    pub code: Option<String>,
}

/// The documents of a collection behind `after`, in the order of their numbers, at most `limit`: those that
/// it stored, and those of earlier runs that had failed and were parsed again. With what was wrong with them.
///
/// # Errors
/// The database's.
pub async fn list(
    pool: &PgPool,
    collection_id: Uuid,
    filter: &DocumentFilter,
    after: i64,
    limit: i64,
) -> Result<Vec<Document>, sqlx::Error> {
    let state = filter.state.map(DocumentState::as_str);
    sqlx::query_file_as!(Document, "src/document/list.sql", collection_id, state, filter.code, after, limit)
        .fetch_all(pool)
        .await
}
