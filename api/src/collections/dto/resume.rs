use poem_openapi::{
    Enum, Object,
    types::{Example, ParseFromJSON},
};
use resume_core::collection::{Resumed, Scope};
use uuid::Uuid;

use super::{EXAMPLE_ID, status_url};
use crate::{body::ReadFields, fields::Fields};

/// What of a collection to go on with.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub(in crate::collections) struct ResumeRequest {
    /// `unfinished` unless given.
    #[oai(default)]
    what: What,
}

/// What of a collection to go on with.
#[derive(Debug, Default, Clone, Copy, Enum)]
#[oai(rename = "ResumeScope", rename_all = "snake_case")]
enum What {
    /// Pages that are still to be fetched or that failed, and documents that nobody has parsed, because their job was cancelled or
    /// discarded, or the parser crashed.
    #[default]
    Unfinished,
    /// Pages that are still to be fetched, or that failed.
    Pages,
    /// All documents that failed, for example because the mapping of the source has changed. Of a collection that is over.
    Documents,
    /// All that is unfinished, and all documents that failed.
    All,
}

impl ReadFields for ResumeRequest {
    fn read(fields: &mut Fields) -> Self {
        let expected = "`unfinished`, `pages`, `documents` or `all`";
        let read = |value: &serde_json::Value| What::parse_from_json(Some(value.clone())).ok();
        Self { what: fields.read("what", expected, read).unwrap_or_default() }
    }
}

impl ResumeRequest {
    pub(in crate::collections) fn scope(&self) -> Scope {
        match self.what {
            What::Unfinished => Scope::Unfinished,
            What::Pages => Scope::Pages,
            What::Documents => Scope::Documents,
            What::All => Scope::All,
        }
    }
}

impl Example for ResumeRequest {
    fn example() -> Self {
        Self { what: What::Documents }
    }
}

/// A collection that goes on.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::collections) struct ResumedCollection {
    /// The id of the collection.
    data_request_id: Uuid,
    /// How many pages are fetched.
    pages: usize,
    /// How many documents are parsed again; some 100,000 at a time.
    documents: usize,
    /// Where to follow its progress.
    pub(in crate::collections) status_url: String,
}

impl ResumedCollection {
    pub(in crate::collections) fn new(id: Uuid, Resumed { pages, documents }: Resumed) -> Self {
        Self { data_request_id: id, pages, documents, status_url: status_url(id) }
    }
}

impl Example for ResumedCollection {
    fn example() -> Self {
        Self::new(EXAMPLE_ID, Resumed { pages: 3, documents: 20 })
    }
}
