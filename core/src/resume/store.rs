use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use crate::{
    collection::ErrorCount,
    parsing::{PARSER_VERSION, ParsedResume},
};

/// A parsed document, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewResume {
    /// The raw document that it was parsed from.
    pub raw_document_id: i64,
    /// What the parser made of it.
    pub parsed: ParsedResume,
}

/// The code of a document whose parser ended without a verdict: it panicked, or its job used its attempts up.
pub const PARSER_CRASHED: &str = "parser_crashed";

/// The codes of documents whose jobs did not fail, but were ended by somebody.
pub const BY_REQUEST: [&str; 2] = ["cancelled_by_request", "discarded_by_request"];

/// The codes of documents of which no parser has told what they are.
pub const UNPARSED: [&str; 3] = [PARSER_CRASHED, BY_REQUEST[0], BY_REQUEST[1]];

/// A document that did not parse, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewParseFailure {
    /// The raw document.
    pub raw_document_id: i64,
    /// What was wrong: the stable text of a [`parsing::ErrorCode`](crate::parsing::ErrorCode), [`PARSER_CRASHED`], or by
    /// which request its job was ended.
    pub code: &'static str,
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What was found, for people.
    pub detail: String,
}

/// A resume as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Resume {
    /// Its number, which stays when the resume is collected again.
    pub id: i64,
    /// The source it came from.
    pub source: String,
    /// The id that the source gave it.
    pub external_id: String,
    /// The raw document that it was parsed from last.
    pub raw_document_id: i64,
    /// The version of the parser that made it.
    pub parser_version: i32,
    /// What the parser made of it.
    pub document: Json<ParsedResume>,
    /// When it was first stored.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was noticed that its source lists it no more, or has deleted it; searches do not find it then.
    pub gone_at: Option<DateTime<Utc>>,
}

/// Stores parsed documents of one source, which were read with this version of its map, one resume for each external id.
/// What came from a later raw document wins, and of one raw document what a later parser made, and of one parser what was
/// made with a later map; in whatever order they are stored. A resume that is hidden stays so where its document
/// is only read again.
///
/// One statement, in the caller's transaction; locks the resumes in the order of their external ids.
///
/// # Errors
/// The database's.
pub async fn store_parsed(
    conn: &mut PgConnection,
    (source, map_version): (&str, i32),
    parsed: Vec<NewResume>,
) -> Result<(), sqlx::Error> {
    if parsed.is_empty() {
        return Ok(());
    }
    let latest = latest_by_external_id(parsed);
    let documents: Vec<Json<&ParsedResume>> = latest.iter().map(|new| Json(&new.parsed)).collect();
    // An array of arrays must be rectangular in Postgres, so the keys travel as one JSON array for each resume.
    let skills: Vec<Json<Vec<&str>>> = latest
        .iter()
        .map(|new| Json(new.parsed.skills.iter().map(|skill| skill.key.as_str()).collect()))
        .collect();
    let ids: Vec<i64> = latest.iter().map(|new| new.raw_document_id).collect();
    let external_ids: Vec<&str> = latest.iter().map(|new| new.parsed.external_id.as_str()).collect();
    sqlx::query!(
        r#"
        insert into resumes (source, external_id, raw_document_id, parser_version, map_version, skills, document)
        select $1, external_id, raw_document_id, $2, $7,
               array(select jsonb_array_elements_text(skills)), document
        from unnest($3::text[], $4::bigint[], $5::jsonb[], $6::jsonb[])
            as r (external_id, raw_document_id, skills, document)
        order by external_id
        on conflict on constraint resumes_unique do update
        set raw_document_id = excluded.raw_document_id, parser_version = excluded.parser_version,
            map_version = excluded.map_version, skills = excluded.skills, document = excluded.document, updated_at = now(),
            gone_at = case when resumes.raw_document_id = excluded.raw_document_id then resumes.gone_at end
        where (resumes.raw_document_id, resumes.parser_version, resumes.map_version)
            < (excluded.raw_document_id, excluded.parser_version, excluded.map_version)
        "#,
        source,
        PARSER_VERSION,
        &external_ids as &[&str],
        &ids,
        &skills as &[Json<Vec<&str>>],
        &documents as &[Json<&ParsedResume>],
        map_version,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Of several documents with one external id the one stored last: an upsert touches no row twice.
fn latest_by_external_id(parsed: Vec<NewResume>) -> Vec<NewResume> {
    let mut latest: HashMap<String, NewResume> = HashMap::with_capacity(parsed.len());
    for new in parsed {
        match latest.get(&new.parsed.external_id) {
            Some(other) if other.raw_document_id > new.raw_document_id => {}
            _ => drop(latest.insert(new.parsed.external_id.clone(), new)),
        }
    }
    latest.into_values().collect()
}

/// Lists documents of one source as failed, which were read with this version of its map and came with this page of a
/// collection. A later failure of the same document replaces the earlier one.
///
/// # Errors
/// The database's.
pub async fn store_failures(
    conn: &mut PgConnection,
    (source, map_version): (&str, i32),
    (collection_id, page): (Uuid, i32),
    failures: &[NewParseFailure],
) -> Result<(), sqlx::Error> {
    if failures.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = failures.iter().map(|f| f.raw_document_id).collect();
    let codes: Vec<&str> = failures.iter().map(|f| f.code).collect();
    let pointers: Vec<&str> = failures.iter().map(|f| f.pointer.as_str()).collect();
    let details: Vec<String> = failures.iter().map(|f| f.detail.replace('\0', "\u{fffd}")).collect();
    sqlx::query!(
        r#"
        insert into parse_failures 
            (raw_document_id, collection_id, page, parser_version, code, pointer, detail, source, map_version)
        select id, $1, $2, $3, code, pointer, detail, $8, $9
        from unnest($4::bigint[], $5::text[], $6::text[], $7::text[]) as f (id, code, pointer, detail)
        order by id
        on conflict (raw_document_id) do update
        set collection_id = excluded.collection_id, page = excluded.page,
            parser_version = excluded.parser_version, failed_at = now(),
            source = excluded.source, map_version = excluded.map_version,
            code = excluded.code, pointer = excluded.pointer, detail = excluded.detail
        "#,
        collection_id,
        page,
        PARSER_VERSION,
        &ids,
        &codes as &[&str],
        &pointers as &[&str],
        &details,
        source,
        map_version,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lists documents as failed no longer: they were parsed after all.
///
/// # Errors
/// The database's.
pub async fn withdraw_failures(conn: &mut PgConnection, raw_document_ids: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from parse_failures where raw_document_id = any($1)", raw_document_ids)
        .execute(conn)
        .await?;
    Ok(())
}

/// Lists documents of these pages of a collection as failed no longer, because they are parsed again: those with one of the codes,
/// or all, and no more than `limit`. Gives their pages and ids, in the order of the ids. Leaves out what somebody else has locked.
///
/// # Errors
/// The database's.
pub async fn take_failures(
    conn: &mut PgConnection,
    collection_id: Uuid,
    pages: &[i32],
    codes: Option<&[&str]>,
    limit: i64,
) -> Result<Vec<(i32, i64)>, sqlx::Error> {
    let mut taken: Vec<(i32, i64)> = sqlx::query!(
        r#"
        delete from parse_failures where raw_document_id in (
            select raw_document_id from parse_failures
            where collection_id = $1 and page = any($2) and ($3::text[] is null or code = any($3))
            order by raw_document_id limit $4 for update skip locked)
        returning page, raw_document_id
        "#,
        collection_id,
        pages,
        codes as Option<&[&str]>,
        limit,
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(|row| (row.page, row.raw_document_id))
    .collect();
    taken.sort_unstable_by_key(|&(_, id)| id);
    Ok(taken)
}

/// How often each kind of parse failure happened in a collection, the most frequent first.
///
/// # Errors
/// The database's.
pub async fn failure_counts(
    conn: &mut PgConnection,
    collection_id: Uuid,
    limit: i64,
) -> Result<Vec<ErrorCount>, sqlx::Error> {
    sqlx::query_as!(
        ErrorCount,
        r#"
        select f.code as "code!", f.count as "count!",
               'raw document ' || s.raw_document_id || ' at "' || s.pointer || '": ' || s.detail as "sample!"
        from (
            select code, count(*) as count, min(raw_document_id) as first
            from parse_failures where collection_id = $1
            group by code order by count(*) desc, code limit $2
        ) f join parse_failures s on s.raw_document_id = f.first
        order by f.count desc, f.code
        "#,
        collection_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// The resume of this id, if there is one.
///
/// # Errors
/// The database's.
pub async fn find(pool: &PgPool, id: i64) -> Result<Option<Resume>, sqlx::Error> {
    sqlx::query_as!(
        Resume,
        r#"
        select id, source, external_id, raw_document_id, parser_version,
               document as "document: Json<ParsedResume>", created_at, updated_at, gone_at
        from resumes where id = $1
        "#,
        id
    )
    .fetch_optional(pool)
    .await
}
