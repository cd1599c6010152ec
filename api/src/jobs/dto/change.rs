use poem_openapi::{
    Object, Union,
    types::{Example, ParseFromJSON},
};
use resume_queue::{Count, JobFilter, Progress};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{EXAMPLE_COLLECTION, state::State};
use crate::{
    body::ReadFields,
    cursor,
    fields::Fields,
    name::MAX_CHARS,
    span::{self, Span},
};

/// What jobs are chosen by.
const MEMBERS: [&str; 7] =
    ["queue", "kind", "state", "error_code", "older_than", "collection_id", "group_id"];

/// The longest cursor that is looked at; ours are shorter.
const MAX_CURSOR_CHARS: usize = 100;

/// Which jobs to change: those that have all that is given. Give at least one member, or `all`.
#[derive(Debug, Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(in crate::jobs) struct JobsChangeRequest {
    /// Those of this queue.
    #[oai(validator(min_length = 1, max_length = 128))]
    queue: Option<String>,
    /// Those of this kind.
    #[oai(validator(min_length = 1, max_length = 128))]
    kind: Option<String>,
    /// Those in one of these states. Only states in which the change is possible; by default all of them.
    #[oai(validator(min_items = 1))]
    state: Option<Vec<State>>,
    /// Those whose last failed attempt had this code.
    #[oai(validator(min_length = 1, max_length = 128))]
    error_code: Option<String>,
    /// Those that were enqueued longer ago than this: `10m`, `2h`, `3days`, or a number of seconds; at most
    /// 366 days.
    older_than: Option<Span>,
    /// Those of this collection.
    collection_id: Option<Uuid>,
    /// Those of this group.
    group_id: Option<i64>,
    /// Means every job that can be changed. Not together with what chooses jobs.
    #[oai(default)]
    all: bool,
    /// Changes nothing and tells how many jobs there are.
    #[oai(default)]
    dry_run: bool,
    /// The `next_cursor` of the reply before, to go on with the same change.
    cursor: Option<String>,
}

impl ReadFields for JobsChangeRequest {
    fn read(fields: &mut Fields) -> Self {
        let is_chosen = MEMBERS.iter().any(|member| fields.has(member));
        let request = Self {
            queue: fields.name("queue", MAX_CHARS),
            kind: fields.name("kind", MAX_CHARS),
            state: fields.read("state", "a list of one or more states of jobs", states),
            error_code: fields.name("error_code", MAX_CHARS),
            older_than: fields.read("older_than", span::EXPECTED, Span::of_json),
            collection_id: fields.read("collection_id", "a UUID", |value| value.as_str()?.parse().ok()),
            group_id: fields.read("group_id", "a whole number", Value::as_i64),
            all: fields.flag("all").unwrap_or(false),
            dry_run: fields.flag("dry_run").unwrap_or(false),
            cursor: fields.name("cursor", MAX_CURSOR_CHARS),
        };
        if !is_chosen && !request.all {
            let members = MEMBERS.join(", ");
            fields
                .refuse("all", format!("choose jobs by {members}, or give \"all\": true to mean every job"));
        }
        if is_chosen && request.all {
            fields.refuse("all", "must not be true together with what chooses jobs");
        }
        request
    }
}

fn states(value: &Value) -> Option<Vec<State>> {
    let names = value.as_array().filter(|names| !names.is_empty())?;
    names.iter().map(|name| State::parse_from_json(Some(name.clone())).ok()).collect()
}

impl JobsChangeRequest {
    pub(in crate::jobs) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    pub(in crate::jobs) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    pub(in crate::jobs) fn into_filter(self) -> JobFilter {
        JobFilter {
            states: self.state.map(|states| states.into_iter().map(Into::into).collect()),
            queue: self.queue,
            kind: self.kind,
            error_code: self.error_code,
            older_than: self.older_than.map(|span| span.0),
            group_id: self.group_id,
            args: self.collection_id.map(|id| json!({ "collection_id": id })),
        }
    }
}

impl Example for JobsChangeRequest {
    fn example() -> Self {
        Self {
            queue: Some("make_call".to_owned()),
            kind: None,
            state: None,
            error_code: None,
            older_than: None,
            collection_id: Some(EXAMPLE_COLLECTION),
            group_id: None,
            all: false,
            dry_run: true,
            cursor: None,
        }
    }
}

/// What became of a change of many jobs.
#[derive(Debug, Union)]
#[oai(one_of)]
pub(in crate::jobs) enum JobsChangeReply {
    Preview(JobsPreview),
    Changed(JobsChanged),
}

/// What a change would do, with `dry_run`.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::jobs) struct JobsPreview {
    /// How many jobs would be changed.
    matched: JobCount,
}

/// A number of jobs.
#[derive(Debug, Object)]
pub(crate) struct JobCount {
    /// The number, up to some bound.
    pub(crate) value: u64,
    /// Whether that is all; if not, there are at least that many.
    pub(crate) exact: bool,
}

/// How far a change of many jobs has come.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::jobs) struct JobsChanged {
    /// How many jobs were changed by this request.
    changed: u64,
    /// How many could not be retried, because another job has their unique key by now.
    conflicts: u64,
    /// Send the same request with this as `cursor` to go on; null when all is done.
    #[oai(nullable)]
    next_cursor: Option<String>,
}

impl From<Count> for JobsChangeReply {
    fn from(Count { value, is_exact }: Count) -> Self {
        Self::Preview(JobsPreview { matched: JobCount { value, exact: is_exact } })
    }
}

impl From<Progress> for JobsChangeReply {
    fn from(Progress { changed, conflicts, next }: Progress) -> Self {
        let next_cursor = next.map(|remaining| cursor::encode(&remaining));
        Self::Changed(JobsChanged { changed, conflicts, next_cursor })
    }
}

impl Example for JobsPreview {
    fn example() -> Self {
        Self { matched: JobCount { value: 120, exact: true } }
    }
}

impl Example for JobsChanged {
    fn example() -> Self {
        Self { changed: 120, conflicts: 0, next_cursor: None }
    }
}
