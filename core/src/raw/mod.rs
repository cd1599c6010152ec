//! Raw documents: every item as it came, kept before anything is made of it and never rewritten.

mod store;

use sha2::{Digest, Sha256};

use crate::parsing::{Format, external_id};

pub use store::{RawDocument, find, insert_new, load};

/// An item of a page, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRawDocument {
    /// The id that the source gave it, where it has one.
    pub external_id: Option<String>,
    /// SHA-256 of the body.
    pub content_hash: [u8; 32],
    /// The item verbatim.
    pub body: Vec<u8>,
}

impl NewRawDocument {
    /// Reads the id out of an item and hashes it. Pure work, about a microsecond for each KiB.
    pub fn new(format: Format, body: &[u8]) -> Self {
        Self {
            external_id: external_id(format, body),
            content_hash: Sha256::digest(body).into(),
            body: body.to_vec(),
        }
    }
}
