//! People, and the documents that sources gave of them: every item as it came, kept before anything is made
//! of it and never rewritten. One that a later one took the place of may be deleted after a time.
//!
//! A document is identified by its person as well as by its content. Two people with the same bytes are two
//! documents; the same bytes of the same person, once more, are none. A document waits to be parsed, is
//! parsed, failed or was given up, and the database says which (`batch.rs`).
//!
//! | file | what it does |
//! | --- | --- |
//! | `store.rs` | [`store`]: stores what is new of some items |
//! | `person.rs` | who is known with which content; asks before anything is stored |
//! | `contents.rs` | people whom one run lists more than once, with different bytes |
//! | `batch.rs` | ranges of documents that wait to be parsed, or were given up |
//! | `failures.rs` | documents that failed; [`list`]: the documents of a collection |
//! | `find.rs` | one document, with its state |
//! | `erase.rs` | all documents of one person, and taking them away |
//! | `parsing_jobs.rs` | the jobs that parse batches |
//! | `latest.rs` | the latest documents of a source's people, for a reparse |
//! | `superseded.rs` | [`delete_superseded`]: documents that later ones took the place of |

mod batch;
mod contents;
pub(crate) mod erase;
mod failures;
mod find;
mod latest;
mod parsing_jobs;
mod person;
mod store;
mod superseded;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    parsing::{is_external_id, json_pointer, time_at},
    source::definition::{Deleted, ListCall},
};

pub(crate) use batch::ranges_of;
pub use batch::{
    Batch, Retaken, Taken, WaitingDocument, backlog_by_source, give_up, load_waiting, open_batches, retake,
    take, waiting_in,
};
pub(crate) use contents::restore_listed;
pub use failures::{DocumentFilter, NewParseFailure, list};
pub(crate) use failures::{failure_counts, store_failures, withdraw_failures};
pub use find::{Document, DocumentState, body, find};
pub(crate) use find::{KnownPerson, collections_of, current_beside, external_ids, known};
pub(crate) use latest::{latest_in_collection, load_people, people_after};
pub use parsing_jobs::enqueue_parsing;
pub(crate) use parsing_jobs::parsing_jobs;
pub use store::{Origin, StoreError, Stored, store};
pub use superseded::delete_superseded;

/// An item, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDocument {
    /// The id that the person is known by, where it can be read.
    pub external_id: Option<String>,
    /// The id that the source gave the person, where that is unique only within a parent.
    pub id_within_parent: Option<String>,
    /// The first 16 bytes of the SHA-256 of the body: people with the same id and hash have the same
    /// document.
    pub content_hash: Uuid,
    /// The item verbatim.
    pub body: Vec<u8>,
    /// Whether the source says in it that the person was deleted: it is not stored then, and not parsed.
    pub is_deleted: bool,
    /// When the person was last changed at the source, where it tells.
    pub updated_at: Option<DateTime<Utc>>,
}

impl NewDocument {
    /// Hashes an item whose id was read before; an integer id is given as its decimal text. Pure work, about
    /// a microsecond for each KiB.
    ///
    /// An id that cannot be one, because it is blank, longer than
    /// [`MAX_ID_BYTES`](crate::parsing::MAX_ID_BYTES) or holds a NUL, is left out: the item is kept all the
    /// same, and fails when it is parsed.
    pub fn with_id(external_id: Option<String>, body: &[u8]) -> Self {
        Self {
            external_id: external_id.filter(|id| is_external_id(id)),
            content_hash: content_hash(body),
            body: body.to_vec(),
            id_within_parent: None,
            is_deleted: false,
            updated_at: None,
        }
    }

    /// As [`with_id`](Self::with_id), for an id that is unique only within a parent: the person is known by
    /// `parent/id`.
    pub fn with_id_within(parent: &str, id: Option<String>, body: &[u8]) -> Self {
        let id = id.filter(|id| is_external_id(id));
        let external_id = id.as_ref().map(|id| format!("{parent}/{id}"));
        Self { id_within_parent: id, ..Self::with_id(external_id, body) }
    }

    /// The same with what the item itself says of the person, at the places that the list of its source
    /// names: whether they were deleted, and when they were last changed.
    #[must_use]
    pub fn marked_by(self, list: &ListCall) -> Self {
        let flag = list.deleted_flag().and_then(|flag| json_pointer::at(&self.body, flag));
        // What is nested too deeply to be read is not empty.
        let is_up = |flag: &RawValue| {
            serde_json::from_str(flag.get()).map_or(true, |value| Deleted::is_told_by(&value))
        };
        let updated_at = list.updated_at.as_deref().and_then(|at| time_at(&self.body, at));
        Self { is_deleted: flag.is_some_and(is_up), updated_at, ..self }
    }

    /// Returns the id that the source knows the person by, which is what to ask the source for.
    pub fn id_at_source(&self) -> Option<&str> {
        self.id_within_parent.as_deref().or(self.external_id.as_deref())
    }
}

/// The first 16 bytes of the SHA-256 of a body.
fn content_hash(body: &[u8]) -> Uuid {
    let mut first = [0; 16];
    first.copy_from_slice(&Sha256::digest(body)[..16]);
    Uuid::from_bytes(first)
}
