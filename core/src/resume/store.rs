use std::collections::HashMap;

use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::parsing::{PARSER_VERSION, ParsedResume};

/// A parsed document, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewResume {
    /// The document that it was parsed from.
    pub document_id: i64,
    /// Whose it is.
    pub person_id: i64,
    /// Whether a newer document was stored before: then it changes no resume that is there.
    pub is_overtaken: bool,
    /// What the parser made of it.
    pub parsed: ParsedResume,
}

/// What holds for a collection when the resumes of its documents are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    /// The present version of the source's map.
    pub(super) map_version: i32,
    /// Documents with lower numbers are of earlier runs.
    pub(super) first_document_id: i64,
    /// Which run it is.
    pub(super) run: i32,
    pub(super) is_over: bool,
}

/// Stores parsed documents, which were read with this version of their source's map, one resume for each
/// person. What came from a later document wins, and of one document what a later parser made, and of one
/// parser what was made with a later map; in whatever order they are stored. A resume that is hidden stays so
/// where its document is only read again. The caller holds the batches of the documents, or their people:
/// none of them is erased meanwhile. Returns what holds for the source and the collection by then.
///
/// One statement, in the caller's transaction, which has written before: a change of the map that this
/// statement does not see finds its transaction among those that began before. Locks the resumes in the order
/// of their people.
pub(super) async fn store(
    conn: &mut PgConnection,
    (source_id, collection_id): (i32, Option<Uuid>),
    map_version: i32,
    parsed: &[NewResume],
) -> Result<At, sqlx::Error> {
    let latest = latest_of_each(parsed);
    let documents: Vec<Json<&ParsedResume>> = latest.iter().map(|new| Json(&new.parsed)).collect();
    let skills: Vec<String> = latest.iter().map(|new| array_text(&new.parsed)).collect();
    let ids: Vec<i64> = latest.iter().map(|new| new.document_id).collect();
    let people: Vec<i64> = latest.iter().map(|new| new.person_id).collect();
    let overtaken: Vec<bool> = latest.iter().map(|new| new.is_overtaken).collect();
    let row = sqlx::query_file!(
        "src/resume/store.sql",
        collection_id,
        PARSER_VERSION,
        map_version,
        &people,
        &ids,
        &overtaken,
        &skills,
        &documents as &[Json<&ParsedResume>],
        source_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(At {
        map_version: row.map_version,
        first_document_id: row.first_document_id,
        run: row.run,
        is_over: row.is_over,
    })
}

/// Of several documents of one person the latest: an upsert touches no row twice.
fn latest_of_each(parsed: &[NewResume]) -> Vec<&NewResume> {
    let mut latest: HashMap<i64, &NewResume> = HashMap::with_capacity(parsed.len());
    for new in parsed {
        let rank = |new: &NewResume| (!new.is_overtaken, new.document_id);
        match latest.get(&new.person_id) {
            Some(other) if rank(other) > rank(new) => {}
            _ => drop(latest.insert(new.person_id, new)),
        }
    }
    let mut latest: Vec<&NewResume> = latest.into_values().collect();
    latest.sort_unstable_by_key(|new| new.person_id);
    latest
}

/// The keys of a resume's skills as PostgreSQL writes an array: an array of arrays must be rectangular, so
/// each travels as a text.
fn array_text(parsed: &ParsedResume) -> String {
    let mut text = String::from("{");
    for (at, skill) in parsed.skills.iter().enumerate() {
        text.push_str(if at == 0 { "\"" } else { ",\"" });
        for c in skill.key.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
    text.push('}');
    text
}

/// The document that a person's resume was made of, if they have one.
///
/// # Errors
/// The database's.
pub(crate) async fn document_of(conn: &mut PgConnection, person_id: i64) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!("select document_id from resumes where person_id = $1", person_id)
        .fetch_optional(conn)
        .await
}

/// Deletes a person's resume, if they have one.
///
/// # Errors
/// The database's.
pub(crate) async fn delete(conn: &mut PgConnection, person_id: i64) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from resumes where person_id = $1", person_id).execute(conn).await?;
    Ok(())
}
