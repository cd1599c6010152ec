//! Raw documents: every item as it came, kept before anything is made of it and never rewritten.

mod store;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::parsing::{Format, external_id, is_external_id};

pub(crate) use store::latest_ids;
pub use store::{RawDocument, find, ids_of_pages, insert_new, load};

/// An item of a page, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRawDocument {
    /// The id that it is known by, where it has one.
    pub external_id: Option<String>,
    /// The id that its source gave it, where that is unique only within a parent.
    pub id_within_parent: Option<String>,
    /// SHA-256 of the body.
    pub content_hash: [u8; 32],
    /// The item verbatim.
    pub body: Vec<u8>,
    /// Whether the source says in it that it was deleted: it is not stored then, and not parsed.
    pub is_deleted: bool,
    /// When it was last changed, where the source says so.
    pub updated_at: Option<DateTime<Utc>>,
}

impl NewRawDocument {
    /// Reads the id out of an item and hashes it. Pure work, about a microsecond for each KiB. An item of
    /// [`Format::Mapped`] has its id where its source says: use [`with_id`](Self::with_id).
    pub fn new(format: Format, body: &[u8]) -> Self {
        Self::with_id(external_id(format, body), body)
    }

    /// Hashes an item whose id was read before; an integer id is given as its decimal text.
    ///
    /// An id that cannot be one, because it is blank, longer than [`MAX_ID_BYTES`](crate::parsing::MAX_ID_BYTES) or holds
    /// a NUL, is left out: the item is kept all the same, and fails when it is parsed.
    pub fn with_id(external_id: Option<String>, body: &[u8]) -> Self {
        Self {
            external_id: external_id.filter(|id| is_external_id(id)),
            content_hash: Sha256::digest(body).into(),
            body: body.to_vec(),
            id_within_parent: None,
            is_deleted: false,
            updated_at: None,
        }
    }

    /// As [`with_id`](Self::with_id), for an id that is unique only within a parent: the item is known by
    /// `parent/id`.
    pub fn with_id_within(parent: &str, id: Option<String>, body: &[u8]) -> Self {
        let id = id.filter(|id| is_external_id(id));
        let external_id = id.as_ref().map(|id| format!("{parent}/{id}"));
        Self { id_within_parent: id, ..Self::with_id(external_id, body) }
    }

    /// Returns the id that its source knows it by, which is what to ask the source for.
    pub fn id_at_source(&self) -> Option<&str> {
        self.id_within_parent.as_deref().or(self.external_id.as_deref())
    }
}
