use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object, types::Example};
use resume_core::resume::{Hit, Match, SearchPage, Total};

use super::{example_time, person::WorkExperience};
use crate::cursor;

/// How many resumes a page has unless told otherwise.
pub(in crate::resumes) fn default_limit() -> u32 {
    20
}

/// A search, for the description.
pub(in crate::resumes) fn example_skills() -> Vec<String> {
    vec!["React".to_owned(), "SQL".to_owned()]
}

/// Which of the skills a resume must have.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "SearchMatch", rename_all = "lowercase")]
pub(in crate::resumes) enum MatchMode {
    /// At least one.
    Any,
    /// Every one.
    All,
}

impl From<MatchMode> for Match {
    fn from(mode: MatchMode) -> Self {
        match mode {
            MatchMode::Any => Self::Any,
            MatchMode::All => Self::All,
        }
    }
}

/// A page of the resumes that were found.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::resumes) struct SearchReply {
    /// The resumes, the newest first.
    results: Vec<FoundResume>,
    /// How many there are on all pages.
    total: FoundTotal,
    /// Give this as `cursor` to get the next page; null on the last one.
    #[oai(nullable)]
    next_cursor: Option<String>,
}

/// How many resumes were found.
#[derive(Debug, Object)]
#[oai(rename = "SearchTotal")]
struct FoundTotal {
    /// The number, at most 10,000.
    value: i64,
    /// Whether that is all; if not, there are more.
    exact: bool,
}

/// A resume that was found. `get_resume` gives all of it.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct FoundResume {
    /// Its id, which stays when the resume is collected again.
    id: i64,
    /// The id that the source gave it.
    external_id: String,
    /// The name of its source.
    source: String,
    /// The full name of the person.
    name: Option<String>,
    /// What the person is, in one line.
    headline: Option<String>,
    /// Where the person lives.
    location: Option<String>,
    /// The e-mail address, as given.
    email: Option<String>,
    /// The skills, named and ordered as in the resume.
    skills: Vec<String>,
    /// Those of the skills that were searched for.
    matched_skills: Vec<String>,
    /// The jobs, in the order of the resume.
    work_experiences: Vec<WorkExperience>,
    /// When it was first stored.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

impl From<SearchPage> for SearchReply {
    fn from(page: SearchPage) -> Self {
        let Total { value, is_exact } = page.total;
        Self {
            results: page.hits.into_iter().map(Into::into).collect(),
            total: FoundTotal { value, exact: is_exact },
            next_cursor: page.next.as_ref().map(cursor::encode),
        }
    }
}

impl From<Hit> for FoundResume {
    fn from(Hit { resume, matched_skills }: Hit) -> Self {
        let document = resume.document;
        Self {
            id: resume.id,
            external_id: resume.external_id,
            source: resume.source,
            name: document.name,
            headline: document.headline,
            location: document.location,
            email: document.email,
            skills: document.skills.into_iter().map(|skill| skill.name).collect(),
            matched_skills,
            work_experiences: document.work_experiences.into_iter().map(Into::into).collect(),
            created_at: resume.created_at,
            updated_at: resume.updated_at,
        }
    }
}

impl Example for SearchReply {
    fn example() -> Self {
        let found = FoundResume {
            id: 4711,
            external_id: "1284018293-17".to_owned(),
            source: "test-data".to_owned(),
            name: None,
            headline: None,
            location: None,
            email: None,
            skills: vec!["ReactJS".to_owned(), "Docker".to_owned()],
            matched_skills: vec!["ReactJS".to_owned()],
            work_experiences: vec![WorkExperience::example()],
            created_at: example_time(),
            updated_at: example_time(),
        };
        Self {
            results: vec![found],
            total: FoundTotal { value: 42, exact: true },
            next_cursor: Some(cursor::encode(&4711_i64)),
        }
    }
}
