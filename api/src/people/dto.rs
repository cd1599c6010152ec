//! What goes over the wire.

use poem_openapi::{Object, types::Example};
use resume_core::person::Erased;

/// What was deleted of a person.
#[derive(Debug, Object)]
#[oai(rename = "Erased", example)]
pub(crate) struct ErasedReply {
    /// Documents, older ones and those that did not parse among them.
    documents: u64,
    /// Files that belonged to the documents. One that belongs to somebody else too is kept for them.
    attachments: u64,
    /// Calls that were made for this person alone, or were about to be.
    calls: u64,
}

impl From<Erased> for ErasedReply {
    fn from(erased: Erased) -> Self {
        Self {
            documents: erased.documents as u64,
            attachments: erased.attachments as u64,
            calls: erased.calls as u64,
        }
    }
}

impl Example for ErasedReply {
    fn example() -> Self {
        Self { documents: 2, attachments: 1, calls: 3 }
    }
}

/// Whose erasure was lifted.
#[derive(Debug, Object)]
#[oai(rename = "Lifted", example)]
pub(super) struct LiftedReply {
    /// The source.
    source: String,
    /// The id that it gives the person.
    external_id: String,
}

impl LiftedReply {
    pub(super) fn new(source: String, external_id: String) -> Self {
        Self { source, external_id }
    }
}

impl Example for LiftedReply {
    fn example() -> Self {
        Self::new("lever".to_owned(), "1f6a".to_owned())
    }
}
