use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
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
#[derive(Debug, Clone)]
pub(super) struct At {
    /// The present version of the source's map.
    pub(super) map_version: i32,
    /// Documents with lower numbers are of earlier runs.
    pub(super) first_document_id: i64,
    /// Which run it is.
    pub(super) run: i32,
    pub(super) is_over: bool,
    /// The people whose first resume was stored.
    stored: Vec<i64>,
}

/// Stores parsed documents, which were read with this version of their source's map, one resume for each
/// person. What came from a later document wins, and of one document what a later parser made, and of one
/// parser what was made with a later map; in whatever order they are stored. A resume that is hidden stays so
/// where its document is only read again. The caller holds the batches of the documents, or their people:
/// none of them is erased meanwhile. Returns what holds for the source and the collection by then.
///
/// One statement or two, in the caller's transaction, which has written before: a change of the map that the
/// last one does not see finds its transaction among those that began before. Locks the resumes, of either
/// statement in the order of their people.
///
/// # Errors
/// The database's; [`is_contention`] tells when somebody else has stored one of the people at the same time.
pub(super) async fn store(
    conn: &mut PgConnection,
    source_id: i32,
    collection_id: Option<Uuid>,
    map_version: i32,
    parsed: &[NewResume],
) -> Result<At, sqlx::Error> {
    let mut latest = latest_of_each(parsed);
    let is_first = |new: &&NewResume| new.document_id == new.person_id && !new.is_overtaken;
    // A reparse has nobody without a resume. Others are as a rule all new, or all known.
    if collection_id.is_some() && latest.iter().all(is_first) && !latest.is_empty() {
        let at = store_first(conn, source_id, collection_id, map_version, &latest).await?;
        let stored: HashSet<i64> = at.stored.iter().copied().collect();
        latest.retain(|new| !stored.contains(&new.person_id));
        if latest.is_empty() {
            return Ok(at);
        }
    }
    upsert(conn, source_id, collection_id, map_version, &latest).await
}

/// Whether two transactions have stored the first resume of a person at the same time: roll back, and do it
/// again.
pub(super) fn is_contention(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.constraint()) == Some("resumes_pkey")
}

/// Stores the first resumes of people, and returns whose it stored.
async fn store_first(
    conn: &mut PgConnection,
    source_id: i32,
    collection_id: Option<Uuid>,
    map_version: i32,
    first: &[&NewResume],
) -> Result<At, sqlx::Error> {
    let new = Columns::of(first)?;
    sqlx::query_file_as!(
        At,
        "src/resume/store_first.sql",
        collection_id,
        PARSER_VERSION,
        map_version,
        &new.people,
        &new.ids,
        &new.skills,
        &new.documents,
        source_id,
    )
    .fetch_one(conn)
    .await
}

async fn upsert(
    conn: &mut PgConnection,
    source_id: i32,
    collection_id: Option<Uuid>,
    map_version: i32,
    latest: &[&NewResume],
) -> Result<At, sqlx::Error> {
    let new = Columns::of(latest)?;
    let overtaken: Vec<bool> = latest.iter().map(|new| new.is_overtaken).collect();
    sqlx::query_file_as!(
        At,
        "src/resume/store.sql",
        collection_id,
        PARSER_VERSION,
        map_version,
        &new.people,
        &new.ids,
        &overtaken,
        &new.skills,
        &new.documents,
        source_id,
    )
    .fetch_one(conn)
    .await
}

/// What the columns of resumes have, one entry for each.
struct Columns {
    people: Vec<i64>,
    ids: Vec<i64>,
    skills: Vec<String>,
    /// As JSON texts: a `Json` would travel as `jsonb`, to be built and written out again.
    documents: Vec<String>,
}

impl Columns {
    fn of(new: &[&NewResume]) -> Result<Self, sqlx::Error> {
        let document = |new: &&NewResume| serde_json::to_string(&new.parsed);
        Ok(Self {
            people: new.iter().map(|new| new.person_id).collect(),
            ids: new.iter().map(|new| new.document_id).collect(),
            skills: new.iter().map(|new| array_text(&new.parsed)).collect(),
            documents: new
                .iter()
                .map(document)
                .collect::<Result<_, _>>()
                .map_err(|e| sqlx::Error::Encode(e.into()))?,
        })
    }
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
