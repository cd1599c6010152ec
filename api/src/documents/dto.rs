//! What goes over the wire.

use chrono::{DateTime, TimeZone, Utc};
use poem_openapi::{Enum, Object, types::Example};
use resume_core::document::{Document, DocumentState};

use crate::cursor::{self, Numbered};

/// How many documents a page has unless told otherwise.
pub(super) fn default_limit() -> u32 {
    100
}

/// Behind this document, in the list.
pub(super) type Behind = Numbered<6>;

/// What has become of a document.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "DocumentState", rename_all = "snake_case")]
pub(super) enum State {
    /// Nobody has parsed it yet.
    Waiting,
    /// It became a resume, or part of the history of one.
    Parsed,
    /// It did not parse.
    Failed,
    /// Nobody parses it, because its job was ended or crashed too often.
    GivenUp,
}

impl From<State> for DocumentState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Parsed => Self::Parsed,
            State::Failed => Self::Failed,
            State::GivenUp => Self::GivenUp,
        }
    }
}

impl From<DocumentState> for State {
    fn from(state: DocumentState) -> Self {
        match state {
            DocumentState::Waiting => Self::Waiting,
            DocumentState::Parsed => Self::Parsed,
            DocumentState::Failed => Self::Failed,
            DocumentState::GivenUp => Self::GivenUp,
        }
    }
}

/// A page of the documents of a collection.
#[derive(Debug, Object)]
#[oai(example)]
pub(super) struct DocumentList {
    /// The documents.
    results: Vec<DocumentReply>,
    /// Give this as `cursor` to get the next page; null on the last one.
    #[oai(nullable)]
    next_cursor: Option<String>,
}

/// A document of a collection.
#[derive(Debug, Object)]
#[oai(rename = "Document")]
struct DocumentReply {
    /// The number of the document.
    id: i64,
    /// The id that the source gave the person; null where it cannot be read.
    #[oai(nullable)]
    external_id: Option<String>,
    /// What has become of it.
    state: State,
    /// The page that it came with, from 1; null when its call was erased.
    #[oai(nullable)]
    page: Option<i32>,
    /// Its place on the page, from 1.
    position: i32,
    /// Why it failed or was given up, as a stable code.
    #[oai(nullable)]
    code: Option<String>,
    /// Where in it, as a JSON pointer (RFC 6901).
    #[oai(nullable)]
    pointer: Option<String>,
    /// What was found there, for people.
    #[oai(nullable)]
    detail: Option<String>,
    /// The id of the person's resume, if there is one.
    resume_id: i64,
    /// When it was collected.
    collected_at: DateTime<Utc>,
    /// Where to get it, byte for byte.
    raw_url: String,
}

impl DocumentList {
    /// The page of the first `limit` of `found`; one more tells that there is a next page.
    pub(super) fn new(mut found: Vec<Document>, limit: usize) -> Self {
        let next_cursor = cursor::next(&mut found, limit, |last| Numbered::<6>(last.id));
        Self { results: found.into_iter().map(Into::into).collect(), next_cursor }
    }
}

impl From<Document> for DocumentReply {
    fn from(document: Document) -> Self {
        Self {
            id: document.id,
            external_id: document.external_id,
            state: document.state.into(),
            page: document.page,
            position: document.position,
            code: document.code,
            pointer: document.pointer,
            detail: document.detail,
            resume_id: document.resume_id,
            collected_at: document.collected_at,
            raw_url: format!("/api/v1/raw-documents/{}", document.id),
        }
    }
}

impl Example for DocumentList {
    fn example() -> Self {
        let document = DocumentReply {
            id: 5230,
            external_id: Some("1284018293-17".to_owned()),
            state: State::Failed,
            page: Some(2),
            position: 7,
            code: Some("invalid_skills".to_owned()),
            pointer: Some("/skills".to_owned()),
            detail: Some("expected an array, found null".to_owned()),
            resume_id: 4711,
            collected_at: Utc.timestamp_nanos(1_795_446_000_000_000_000),
            raw_url: "/api/v1/raw-documents/5230".to_owned(),
        };
        Self { results: vec![document], next_cursor: None }
    }
}
