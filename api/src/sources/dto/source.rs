use chrono::{DateTime, TimeZone, Utc};
use poem_openapi::{
    Object,
    types::{Any, Example},
};
use resume_core::source::{self, DEFAULT_SOURCE, definition::Definition};
use serde_json::Value;

/// All sources.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::sources) struct SourceList {
    /// The sources, by name.
    results: Vec<Source>,
}

/// A system that resumes are collected from.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::sources) struct Source {
    /// Its name.
    name: String,
    /// How to collect from it: what `put_source` takes.
    definition: Any<Value>,
    /// The next collection asks for what has changed since about then; null before the first complete one,
    /// and where the source cannot be asked for changes.
    #[oai(nullable)]
    synced_until: Option<DateTime<Utc>>,
    /// When it was added.
    created_at: DateTime<Utc>,
    /// When its definition last changed.
    updated_at: DateTime<Utc>,
    /// In the reply of `put_source`: how many of its documents were read by an older parser or with another
    /// map. Missing where there are too many to count in two seconds.
    #[oai(skip_serializing_if_is_none)]
    outdated: Option<i64>,
    /// In the reply of `release_source`: until when the silence would have lasted that it has ended. Missing
    /// where there was none.
    #[oai(skip_serializing_if_is_none)]
    ended_silence_until: Option<DateTime<Utc>>,
}

/// A source that is parsed again.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::sources) struct Reparse {
    /// How many documents were read by an older parser or with another map. Missing where there are too many
    /// to count in two seconds.
    #[oai(skip_serializing_if_is_none)]
    pub(in crate::sources) documents: Option<i64>,
    /// The job that reads the first of them. It enqueues the next one when it ends.
    pub(in crate::sources) job_id: i64,
}

impl Source {
    /// The same, and how many of its documents were read in another way.
    pub(in crate::sources) fn with_outdated(self, outdated: Option<i64>) -> Self {
        Self { outdated, ..self }
    }

    /// The same, and until when the silence would have lasted that was ended.
    pub(in crate::sources) fn with_ended_silence(self, until: Option<DateTime<Utc>>) -> Self {
        Self { ended_silence_until: until, ..self }
    }

    /// Where it is.
    pub(in crate::sources) fn location(&self) -> String {
        format!("/api/v1/sources/{}", self.name)
    }
}

impl From<source::Source> for Source {
    fn from(source: source::Source) -> Self {
        let source::Source { id: _, definition, synced_until, created_at, updated_at, is_removed: _ } =
            source;
        Self {
            // Texts, numbers, lists and maps with texts for keys: there is nothing in it that JSON has not.
            definition: Any(serde_json::to_value(&definition).unwrap_or_default()),
            name: definition.name,
            synced_until,
            created_at,
            updated_at,
            outdated: None,
            ended_silence_until: None,
        }
    }
}

impl From<Vec<source::Source>> for SourceList {
    fn from(sources: Vec<source::Source>) -> Self {
        Self { results: sources.into_iter().map(Into::into).collect() }
    }
}

impl Example for Source {
    fn example() -> Self {
        let at = Utc.timestamp_nanos(1_795_446_000_000_000_000);
        let definition =
            Definition::original(DEFAULT_SOURCE, "http://127.0.0.1:8000", "/api/v1/test-data", 30);
        source::Source {
            id: 1,
            definition,
            synced_until: None,
            created_at: at,
            updated_at: at,
            is_removed: false,
        }
        .into()
    }
}

impl Example for Reparse {
    fn example() -> Self {
        Self { documents: Some(12_000), job_id: 4711 }
    }
}

impl Example for SourceList {
    fn example() -> Self {
        Self { results: vec![Source::example()] }
    }
}
