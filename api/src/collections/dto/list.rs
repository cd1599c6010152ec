use chrono::{DateTime, Utc};
use poem_openapi::{Object, types::Example};
use resume_core::collection::Listed;
use uuid::Uuid;

use super::{EXAMPLE_ID, State, example_time, status_url};
use crate::cursor;

/// How many collections a page has unless told otherwise.
pub(in crate::collections) fn default_limit() -> u32 {
    20
}

/// A page of the list of collections.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::collections) struct CollectionList {
    /// The collections, the newest first.
    results: Vec<ListedCollection>,
    /// Give this as `cursor` to get the next page; null on the last one.
    #[oai(nullable)]
    next_cursor: Option<String>,
}

/// A collection in the list.
#[derive(Debug, Object)]
struct ListedCollection {
    /// The id of the collection.
    data_request_id: Uuid,
    /// The name of its source.
    source: String,
    /// Where it stands.
    state: State,
    /// How many resumes were asked for; null: everything.
    #[oai(nullable)]
    count: Option<i64>,
    /// When it was triggered.
    created_at: DateTime<Utc>,
    /// When it ended; null while it has not.
    #[oai(nullable)]
    finished_at: Option<DateTime<Utc>>,
    /// Where its progress is.
    status_url: String,
}

impl CollectionList {
    /// The page of the first `limit` of `found`; one more tells that there is a next page.
    pub(in crate::collections) fn new(mut found: Vec<Listed>, limit: usize) -> Self {
        let next_cursor = cursor::next(&mut found, limit, |last| last.id);
        Self { results: found.into_iter().map(Into::into).collect(), next_cursor }
    }
}

impl From<Listed> for ListedCollection {
    fn from(listed: Listed) -> Self {
        Self {
            data_request_id: listed.id,
            source: listed.source,
            state: listed.state.into(),
            count: listed.count,
            created_at: listed.created_at,
            finished_at: listed.finished_at,
            status_url: status_url(listed.id),
        }
    }
}

impl Example for CollectionList {
    fn example() -> Self {
        let listed = ListedCollection {
            data_request_id: EXAMPLE_ID,
            source: "test-data".to_owned(),
            state: State::Completed,
            count: Some(100),
            created_at: example_time(),
            finished_at: Some(example_time() + chrono::TimeDelta::milliseconds(3_120)),
            status_url: status_url(EXAMPLE_ID),
        };
        Self { results: vec![listed], next_cursor: None }
    }
}
