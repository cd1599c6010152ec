use poem_openapi::{Enum, Object, types::Example};
use resume_core::resume::{ListPlace, Resume, ResumeFilter};

use super::ResumeReply;
use crate::cursor::{self, Position};

/// Whether somebody is found by searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "ResumeState", rename_all = "lowercase")]
pub(in crate::resumes) enum Sight {
    /// Searches find them.
    Shown,
    /// Searches do not: their source no longer lists them, or has deleted them.
    Hidden,
}

impl Sight {
    pub(in crate::resumes) fn is_hidden(self) -> bool {
        self == Self::Hidden
    }
}

/// A page of resumes.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::resumes) struct ResumeList {
    /// The resumes.
    results: Vec<ResumeReply>,
    /// Give this as `cursor` to get the next page; null on the last one.
    #[oai(nullable)]
    next_cursor: Option<String>,
}

impl ResumeList {
    /// The page of the first `limit` of `found`; one more tells that there is a next page.
    pub(in crate::resumes) fn new(mut found: Vec<Resume>, filter: &ResumeFilter, limit: usize) -> Self {
        let place = |last: &Resume| match (filter.collection_id, &filter.source) {
            (Some(_), _) => ListPlace::Id(last.document_id),
            (None, Some(_)) => ListPlace::ExternalId(last.external_id.clone()),
            (None, None) => ListPlace::Id(last.id),
        };
        let next_cursor = cursor::next(&mut found, limit, place);
        Self { results: found.into_iter().map(Into::into).collect(), next_cursor }
    }
}

impl Position for ListPlace {
    const KIND: u8 = 8;

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Id(id) => [&[0], id.to_be_bytes().as_slice()].concat(),
            Self::ExternalId(id) => [&[1], id.as_bytes()].concat(),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (0, id) => Some(Self::Id(i64::from_be_bytes(id.try_into().ok()?))),
            (1, id) => Some(Self::ExternalId(String::from_utf8(id.to_vec()).ok()?)),
            _ => None,
        }
    }
}

impl Example for ResumeList {
    fn example() -> Self {
        Self { results: vec![ResumeReply::example()], next_cursor: None }
    }
}
