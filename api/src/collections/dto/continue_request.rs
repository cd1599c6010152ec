use poem_openapi::{
    Enum, Object,
    types::{Example, ParseFromJSON},
};
use resume_core::collection::{Continued, Scope};
use uuid::Uuid;

use super::{EXAMPLE_ID, status_url};
use crate::{body::ReadFields, fields::Fields};

/// What of a collection to continue.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub(in crate::collections) struct ContinueRequest {
    /// `unfinished` unless given.
    #[oai(default)]
    what: What,
}

/// What of a collection to continue.
#[derive(Debug, Default, Clone, Copy, Enum)]
#[oai(rename = "ContinueScope", rename_all = "snake_case")]
enum What {
    /// Calls that are still to be made or that failed, and documents that nobody has parsed, because their
    /// job was cancelled or discarded, or the parser crashed.
    #[default]
    Unfinished,
    /// Calls that are still to be made, or that failed.
    Calls,
    /// All documents that failed, for example because the mapping of the source has changed. Of a collection
    /// that is over.
    Documents,
    /// All that is unfinished, and all documents that failed.
    All,
}

impl ReadFields for ContinueRequest {
    fn read(fields: &mut Fields) -> Self {
        let expected = "`unfinished`, `calls`, `documents` or `all`";
        let read = |value: &serde_json::Value| What::parse_from_json(Some(value.clone())).ok();
        Self { what: fields.read("what", expected, read).unwrap_or_default() }
    }
}

impl ContinueRequest {
    pub(in crate::collections) fn scope(&self) -> Scope {
        match self.what {
            What::Unfinished => Scope::Unfinished,
            What::Calls => Scope::Calls,
            What::Documents => Scope::Documents,
            What::All => Scope::All,
        }
    }
}

impl Example for ContinueRequest {
    fn example() -> Self {
        Self { what: What::Documents }
    }
}

/// A collection that is continued.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::collections) struct ContinuedCollection {
    /// The id of the collection.
    data_request_id: Uuid,
    /// How many calls are made.
    calls: i64,
    /// How many documents are parsed again; some 100,000 at a time.
    documents: i64,
    /// Where to follow its progress.
    pub(in crate::collections) status_url: String,
}

impl ContinuedCollection {
    pub(in crate::collections) fn new(id: Uuid, Continued { calls, documents }: Continued) -> Self {
        Self { data_request_id: id, calls, documents, status_url: status_url(id) }
    }
}

impl Example for ContinuedCollection {
    fn example() -> Self {
        Self::new(EXAMPLE_ID, Continued { calls: 3, documents: 20 })
    }
}
