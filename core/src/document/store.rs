use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    NewDocument, contents,
    person::{self, Known, Person},
};
use crate::erasure;

/// How many ids one call of `nextval('document_ids')` gives: the increment of that sequence.
const BLOCK: usize = 1_000;

/// Where items came from.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The number of the source.
    pub source_id: i32,
    /// The collection that brings them.
    pub collection_id: Uuid,
    /// The call that brings them.
    pub call_id: i64,
    /// Documents that were stored since the collection began have higher ids.
    pub first_document_id: i64,
    /// When the call was made.
    pub collected_at: DateTime<Utc>,
}

/// What was stored of some items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The ids of the new documents, in the order of the items.
    pub ids: Vec<i64>,
    /// Items whose content was known.
    pub unchanged: usize,
    /// Documents of earlier runs with these contents that had failed, or were given up: they are to be parsed
    /// again.
    pub failed_before: Vec<i64>,
    /// Items of people who were erased, and are not stored.
    pub erased: usize,
}

/// Why items were not stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A concurrent transaction has stored one of the people since this one looked: roll back and store
    /// again.
    #[error("somebody else has stored one of these people at the same time")]
    Contention,
    /// The source has erased people, and whether these are among them is not known.
    #[error(transparent)]
    Erasure(#[from] erasure::CheckError),
    /// The database refused.
    #[error("storing documents failed")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let constraint = error.as_database_error().and_then(|error| error.constraint());
        match constraint {
            Some("people_unique" | "people_without_id") => Self::Contention,
            _ => Self::Database(error),
        }
    }
}

/// Stores the items of one call that are new, or whose content has changed. An item is known when its person
/// has this content: by their external id, or by the content alone where an item has no id. The bodies of
/// known items do not travel.
///
/// Of items with the same id and different contents each is stored, in order, and both contents are current
/// from then on. A document that is older than what its person has, by the source's own time of change or
/// else by the time of the call, is stored and changes nothing else.
///
/// In the caller's transaction. Locks the people whose content has changed, in the order of their numbers.
///
/// # Errors
/// See [`StoreError`]; roll back on any.
pub async fn store(
    conn: &mut PgConnection,
    origin: Origin,
    key: Option<&erasure::Key>,
    items: &[NewDocument],
) -> Result<Stored, StoreError> {
    let (rounds, repeats) = rounds(items);
    let mut stored = Stored { unchanged: repeats, ..Stored::default() };
    // The place of each new document among the items, and its id.
    let mut new: Vec<(usize, i64)> = Vec::new();
    for round in rounds {
        for places in round.chunks(BLOCK) {
            store_block(conn, origin, key, items, places, &mut stored, &mut new).await?;
        }
    }
    new.sort_unstable();
    stored.ids = new.into_iter().map(|(_, id)| id).collect();
    stored.failed_before.sort_unstable();
    stored.failed_before.dedup();
    Ok(stored)
}

/// The places of the items, so that no person is twice in a round: the second content of an id is for the
/// second round. Leaves out items that repeat another one of these, and returns how many there are.
fn rounds(items: &[NewDocument]) -> (Vec<Vec<usize>>, usize) {
    let mut rounds: Vec<Vec<usize>> = vec![Vec::with_capacity(items.len())];
    let mut seen: HashSet<(Option<&str>, Uuid)> = HashSet::with_capacity(items.len());
    let mut contents: HashMap<&str, usize> = HashMap::with_capacity(items.len());
    let (mut without_id, mut repeats) = (0, 0);
    for (place, item) in items.iter().enumerate() {
        let id = item.external_id.as_deref();
        if !seen.insert((id, item.content_hash)) {
            repeats += 1;
            continue;
        }
        // Without an id each content is a person of its own.
        let round = match id {
            Some(id) => contents.entry(id).or_default(),
            None => &mut without_id,
        };
        if rounds.len() <= *round {
            rounds.push(Vec::new());
        }
        rounds[*round].push(place);
        if id.is_some() {
            *round += 1;
        }
    }
    (rounds, repeats)
}

/// A document that is about to be inserted.
struct Insert<'a> {
    item: &'a NewDocument,
    /// Its place among the items, from 0.
    place: usize,
    person_id: Option<i64>,
    supersedes: Option<i64>,
    overtaken_by: Option<i64>,
}

/// Stores the items at these places, which are of at most as many different people as a block has ids.
async fn store_block(
    conn: &mut PgConnection,
    origin: Origin,
    key: Option<&erasure::Key>,
    items: &[NewDocument],
    places: &[usize],
    stored: &mut Stored,
    new: &mut Vec<(usize, i64)>,
) -> Result<(), StoreError> {
    let items: Vec<&NewDocument> = places.iter().map(|&place| &items[place]).collect();
    let items = items.as_slice();
    let mut known = person::find(conn, origin.source_id, origin.collection_id, items).await?;
    person::lock_changed(conn, &mut known, items).await?;
    let is_erased = person::erased(conn, origin.source_id, key, items, &known).await?;
    let mut inserts = Vec::new();
    let mut listed_twice = Vec::new();
    for (at, &item) in items.iter().enumerate() {
        let insert = match &known[at] {
            _ if is_erased[at] => {
                stored.erased += 1;
                continue;
            }
            Known::Nobody => Insert::new(item, places[at], None),
            Known::Same(person) => {
                stored.unchanged += 1;
                stored.failed_before.extend(person.has_failed.then_some(person.document_id));
                if person.has_contents {
                    listed_twice.push(contents::Seen::again(person, item));
                }
                continue;
            }
            Known::Changed(person) => {
                if person.has_contents || person.document_id >= origin.first_document_id {
                    listed_twice.push(contents::Seen::first(person, item));
                }
                Insert::new(item, places[at], Some(person))
            }
        };
        inserts.push(insert.overtaken(&known[at], origin.collected_at));
    }
    if !inserts.is_empty() {
        let ids = insert(conn, origin, &inserts).await?;
        new.extend(inserts.iter().map(|insert| insert.place).zip(ids));
    }
    contents::note(conn, origin.collection_id, &listed_twice).await?;
    Ok(())
}

impl<'a> Insert<'a> {
    fn new(item: &'a NewDocument, place: usize, person: Option<&Person>) -> Self {
        Self {
            item,
            place,
            person_id: person.map(|person| person.id),
            supersedes: person.map(|person| person.document_id),
            overtaken_by: None,
        }
    }

    /// Notes whether what the person has is newer: by the source's own time of change, where both tell it.
    fn overtaken(mut self, known: &Known, collected_at: DateTime<Utc>) -> Self {
        let Known::Changed(person) = known else { return self };
        let is_older = match (self.item.updated_at, person.updated_at) {
            (Some(new), Some(known)) => new < known,
            _ => collected_at < person.collected_at,
        };
        self.overtaken_by = is_older.then_some(person.document_id);
        self
    }
}

/// Inserts documents, and the people who are new; the others have this document as their latest, unless it is
/// overtaken. Returns the ids, in order. One statement.
async fn insert(
    conn: &mut PgConnection,
    origin: Origin,
    inserts: &[Insert<'_>],
) -> Result<Vec<i64>, sqlx::Error> {
    let people: Vec<Option<i64>> = inserts.iter().map(|insert| insert.person_id).collect();
    let superseded: Vec<Option<i64>> = inserts.iter().map(|insert| insert.supersedes).collect();
    let overtaken: Vec<Option<i64>> = inserts.iter().map(|insert| insert.overtaken_by).collect();
    let hashes: Vec<Uuid> = inserts.iter().map(|insert| insert.item.content_hash).collect();
    let positions: Vec<i32> = inserts.iter().map(|insert| insert.place as i32 + 1).collect();
    let ids: Vec<Option<&str>> = inserts.iter().map(|insert| insert.item.external_id.as_deref()).collect();
    let updated: Vec<Option<DateTime<Utc>>> = inserts.iter().map(|insert| insert.item.updated_at).collect();
    let bodies: Vec<&[u8]> = inserts.iter().map(|insert| insert.item.body.as_slice()).collect();
    let stored = sqlx::query_file_scalar!(
        "src/document/insert.sql",
        origin.source_id,
        origin.call_id,
        origin.collected_at,
        &people as &[Option<i64>],
        &superseded as &[Option<i64>],
        &overtaken as &[Option<i64>],
        &hashes,
        &positions,
        &ids as &[Option<&str>],
        &updated as &[Option<DateTime<Utc>>],
        &bodies as &[&[u8]],
    );
    stored.fetch_all(conn).await
}
