//! What a collection comes to: its numbers, its resumes, and no job left over.

use std::collections::BTreeMap;

use mock_ats::Face;
use resume_core::{
    collection::{CollectionState, Progress},
    parsing::{self, Format},
};
use uuid::Uuid;

use crate::harness::Pipeline;

/// The numbers of a collection that is over.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) state: CollectionState,
    pub(crate) pages: Pages,
    pub(crate) documents: Documents,
    pub(crate) calls: Calls,
    /// Codes and how often.
    pub(crate) errors: Vec<(String, i64)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pages {
    pub(crate) expected: i64,
    pub(crate) fetched: i64,
    pub(crate) failed: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Documents {
    pub(crate) stored: i64,
    pub(crate) unchanged: i64,
    pub(crate) parsed: i64,
    pub(crate) failed: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Calls {
    pub(crate) made: i64,
    pub(crate) rate_limited: i64,
}

impl Outcome {
    /// Every page fetched with one call, every document new and parsed.
    pub(crate) fn smooth(pages: i64, documents: i64) -> Self {
        Self {
            state: CollectionState::Completed,
            pages: Pages { expected: pages, fetched: pages, failed: 0 },
            documents: Documents { stored: documents, unchanged: 0, parsed: documents, failed: 0 },
            calls: Calls { made: pages, rate_limited: 0 },
            errors: Vec::new(),
        }
    }
}

impl From<&Progress> for Outcome {
    fn from(progress: &Progress) -> Self {
        Self {
            state: progress.collection.state,
            pages: Pages {
                expected: progress.pages_expected.unwrap(),
                fetched: progress.counts.done,
                failed: progress.counts.failed_calls,
            },
            documents: Documents {
                stored: progress.counts.stored,
                unchanged: progress.counts.unchanged,
                parsed: progress.counts.parsed,
                failed: progress.failed(),
            },
            calls: Calls { made: progress.counts.made, rate_limited: progress.counts.rate_limited },
            errors: progress.errors.iter().map(|error| (error.code.clone(), error.count)).collect(),
        }
    }
}

/// Resumes by external id, with the keys of their skills.
pub(crate) type Resumes = BTreeMap<String, Vec<String>>;

/// The resumes that these people of the mock source must have become; the broken ones are left out.
pub(crate) fn people(face: Face, seed: u64, count: u64, error_mode: bool) -> Resumes {
    let format = match face {
        Face::TestData => Format::Profile,
        Face::JsonResumes => Format::JsonResume,
    };
    let parse = |index| {
        let item = mock_ats::item(face, seed, index, error_mode);
        parsing::parse(format, parsing::id_at(item.as_bytes(), "/id").as_deref(), item.as_bytes())
    };
    let parsed = (0..count).filter_map(|index| parse(index).ok());
    parsed
        .map(|resume| (resume.external_id, resume.skills.into_iter().map(|skill| skill.key).collect()))
        .collect()
}

impl Pipeline {
    /// Waits for the end of a collection; gives its numbers, after a look that it has left no job behind.
    pub(crate) async fn outcome(&self, id: Uuid) -> Outcome {
        let progress = self.ended(id).await;
        assert!(progress.collection.finished_at.is_some());
        assert_eq!(progress.eta(), Some(std::time::Duration::ZERO));
        let lost_calls = progress.counts.failed_calls > 0;
        assert_eq!(progress.percent() < 100.0, lost_calls, "{progress:#?}");
        let left = sqlx::query_scalar!(
            "select id from jobs where collection_id = $1 and finished_at is null",
            id.to_string()
        );
        assert_eq!(left.fetch_all(&self.pool).await.unwrap(), [], "jobs of a collection that is over");
        Outcome::from(&progress)
    }

    /// All resumes of a source.
    pub(crate) async fn resumes(&self, source: &str) -> Resumes {
        let rows = sqlx::query!(
            r#"select external_id as "external_id!", skills as "skills!" from resume_list where source = $1"#,
            source
        );
        let rows = rows.fetch_all(&self.pool).await.unwrap();
        rows.into_iter().map(|row| (row.external_id, row.skills)).collect()
    }

    /// How many jobs of this kind ended in each way.
    pub(crate) async fn jobs(&self, kind: &str) -> BTreeMap<String, i64> {
        let rows = sqlx::query!(
            r#"select state::text as "state!", count(*) as "count!" from jobs where kind = $1 group by state"#,
            kind
        );
        rows.fetch_all(&self.pool).await.unwrap().into_iter().map(|row| (row.state, row.count)).collect()
    }

    /// The most attempts that any job of this kind took.
    pub(crate) async fn most_attempts(&self, kind: &str) -> i32 {
        let most = sqlx::query_scalar!(r#"select max(attempt) as "most!" from jobs where kind = $1"#, kind);
        most.fetch_one(&self.pool).await.unwrap()
    }
}
