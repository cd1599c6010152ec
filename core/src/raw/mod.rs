//! Raw documents: every item as it came, kept before anything is made of it and never rewritten.

mod store;

use sha2::{Digest, Sha256};

use crate::parsing::{Format, external_id, is_external_id};

pub(crate) use store::latest_ids;
pub use store::{RawDocument, find, ids_of_pages, insert_new, load};

/// An item of a page, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRawDocument {
    /// The id that the source gave it, where it has one.
    pub external_id: Option<String>,
    /// SHA-256 of the body.
    pub content_hash: [u8; 32],
    /// The item verbatim.
    pub body: Vec<u8>,
    /// Whether the source says in it that it was deleted: it is not stored then, and not parsed.
    pub is_deleted: bool,
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
            is_deleted: false,
        }
    }
}
