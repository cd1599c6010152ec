//! Documents that did not parse.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

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
/// later failure of the same document replaces the earlier one.
///
/// # Errors
/// The database's.
pub(crate) async fn store_failures(
    conn: &mut PgConnection,
    collection_id: Uuid,
    map_version: i32,
    failures: &[NewParseFailure],
) -> Result<(), sqlx::Error> {
    if failures.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = failures.iter().map(|failure| failure.document_id).collect();
    let codes: Vec<&str> = failures.iter().map(|failure| failure.code).collect();
    let pointers: Vec<&str> = failures.iter().map(|failure| failure.pointer.as_str()).collect();
    let details: Vec<String> = failures.iter().map(|f| f.detail.replace('\0', "\u{fffd}")).collect();
    sqlx::query!(
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
        "#,
        collection_id,
        PARSER_VERSION,
        map_version,
        &ids,
        &codes as &[&str],
        &pointers as &[&str],
        &details,
    )
    .execute(conn)
    .await?;
    Ok(())
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

/// How many of these documents a collection lists as failed.
///
/// # Errors
/// The database's.
pub(crate) async fn listed_as_failed(
    conn: &mut PgConnection,
    collection_id: Uuid,
    documents: &[i64],
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from parse_failures where document_id = any($2) and collection_id = $1
        "#,
        collection_id,
        documents
    )
    .fetch_one(conn)
    .await
}

/// The latest documents of people that failed with an older parser, or with an older version of their
/// source's map.
///
/// # Errors
/// The database's.
pub(crate) async fn outdated_failures(
    conn: &mut PgConnection,
    people: &[i64],
    map_version: i32,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select distinct f.document_id from people p join parse_failures f on f.document_id = p.document_id
        where p.id = any($1) and (f.parser_version, f.map_version) < ($2, $3)
        "#,
        people,
        PARSER_VERSION,
        map_version,
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
    pub state: Option<super::DocumentState>,
    /// Only those that failed, or were given up, with this code.
    pub code: Option<String>,
}

/// A document of a collection, and what was wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedDocument {
    /// The document.
    pub document: super::Document,
    /// Why it failed or was given up.
    pub code: Option<String>,
    /// Where in it, as a JSON pointer.
    pub pointer: Option<String>,
    /// What was found, for people.
    pub detail: Option<String>,
}

/// The documents of a collection behind `after`, in the order of their numbers, at most `limit`: those that
/// it stored, and those of earlier runs that had failed and were parsed again.
///
/// # Errors
/// The database's.
pub async fn list(
    pool: &PgPool,
    collection_id: Uuid,
    filter: &DocumentFilter,
    after: i64,
    limit: i64,
) -> Result<Vec<ListedDocument>, sqlx::Error> {
    let state = filter.state.map(super::DocumentState::as_str);
    let rows = sqlx::query_file!("src/document/list.sql", collection_id, state, filter.code, after, limit);
    let listed = rows.fetch_all(pool).await?.into_iter().map(|row| ListedDocument {
        document: super::Document {
            id: row.id,
            source: row.source,
            external_id: row.external_id,
            resume_id: row.person_id,
            collection_id: Some(collection_id),
            page: row.page,
            position: row.position,
            collected_at: row.collected_at,
            updated_at: row.updated_at,
            state: super::DocumentState::of(&row.state),
            is_latest: row.is_latest,
        },
        code: row.code,
        pointer: row.pointer,
        detail: row.detail,
    });
    Ok(listed.collect())
}
