use poem_openapi::{Object, types::Example};
use resume_core::{
    collection::{MAX_BATCH_SIZE, NewCollection, Started},
    jobs::StartCollection,
    source::{DEFAULT_SOURCE, definition::MAX_PER_PAGE},
};
use uuid::Uuid;

use super::{EXAMPLE_ID, status_url};
use crate::{body::ReadFields, fields::Fields};

/// The largest seed: fits the integers of every JSON reader.
const MAX_SEED: u32 = i32::MAX as u32;

/// The longest name of a source.
const MAX_SOURCE_CHARS: usize = 128;

/// What to collect.
#[derive(Debug, PartialEq, Eq, Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(crate) struct TriggerRequest {
    /// How many resumes to collect. By default what the `defaults` of the source's definition say (100 for
    /// the test data), or else everything.
    #[oai(validator(minimum(value = "1")))]
    count: Option<u64>,
    /// How many resumes the source gives with each call. By default what the `defaults` of the source's
    /// definition say (10 for the test data), or else as many as the source allows.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
    per_page: Option<u32>,
    /// How many resumes one job parses.
    #[oai(default = "default_batch_size", validator(minimum(value = "1"), maximum(value = "1000")))]
    batch_size: u32,
    /// Whether the test data shall have some resumes that cannot be parsed.
    #[oai(default)]
    error_mode: bool,
    /// Which source to collect from. By default `test-data`, where there is a source of this name.
    #[oai(validator(min_length = 1, max_length = 128))]
    source: Option<String>,
    /// Whether to ask the source for everything, where it could tell what has changed since the last complete
    /// collection.
    #[oai(default)]
    full: bool,
    /// Which people the test data makes up: the same seed, the same people. By default nobody seen before.
    #[oai(validator(minimum(value = "0"), maximum(value = "2147483647")))]
    seed: Option<u32>,
}

fn default_batch_size() -> u32 {
    10
}

impl Default for TriggerRequest {
    fn default() -> Self {
        Self {
            count: None,
            per_page: None,
            batch_size: default_batch_size(),
            error_mode: false,
            source: None,
            full: false,
            seed: None,
        }
    }
}

impl Example for TriggerRequest {
    fn example() -> Self {
        Self { count: Some(200), per_page: Some(20), ..Self::default() }
    }
}

impl ReadFields for TriggerRequest {
    fn read(fields: &mut Fields) -> Self {
        Self {
            count: fields.large_number("count", 1),
            per_page: fields.whole_number("per_page", 1..=MAX_PER_PAGE),
            batch_size: fields
                .whole_number("batch_size", 1..=MAX_BATCH_SIZE)
                .unwrap_or_else(default_batch_size),
            error_mode: fields.flag("error_mode").unwrap_or(false),
            source: fields.name("source", MAX_SOURCE_CHARS),
            full: fields.flag("full").unwrap_or(false),
            seed: fields.whole_number("seed", 0..=MAX_SEED),
        }
    }
}

impl TriggerRequest {
    pub(in crate::collections) fn into_new_collection(
        self,
        source: String,
        idempotency_key: Option<String>,
    ) -> NewCollection {
        let Self { count, per_page, batch_size, error_mode, full, seed, .. } = self;
        NewCollection { source, count, per_page, batch_size, error_mode, full, seed, idempotency_key }
    }

    /// The payload of a job that starts it.
    pub(crate) fn into_start_collection(self, source: String) -> StartCollection {
        StartCollection(self.into_new_collection(source, None))
    }

    /// The source that it names.
    pub(crate) fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }
}

/// A collection that has started.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::collections) struct TriggerReply {
    /// What has started, in words.
    message: String,
    /// The id of the collection.
    data_request_id: Uuid,
    /// Where to follow its progress.
    pub(in crate::collections) status_url: String,
}

impl TriggerReply {
    pub(in crate::collections) fn new(new: &NewCollection, started: &Started) -> Self {
        let NewCollection { batch_size, error_mode, .. } = new;
        let Started { id, count, per_page, .. } = *started;
        let count = count.map_or_else(|| "all".to_owned(), |count| count.to_string());
        // As Python writes it, for clients of the service before this one.
        let error_mode = if *error_mode { "True" } else { "False" };
        let message = format!(
            "Data collection started: count {count}, per_page {per_page}, batch_size {batch_size}, error_mode: {error_mode}"
        );
        Self { message, data_request_id: id, status_url: status_url(id) }
    }
}

impl Example for TriggerReply {
    fn example() -> Self {
        let started = Started { id: EXAMPLE_ID, repeated: false, count: Some(200), per_page: 20 };
        Self::new(&TriggerRequest::example().into_new_collection(DEFAULT_SOURCE.to_owned(), None), &started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attributes take literals only.
    #[test]
    fn the_description_says_the_limits_of_the_domain() {
        let spec = crate::spec::document();
        let fields = &spec["components"]["schemas"]["TriggerRequest"]["properties"];
        for (field, max) in [("per_page", MAX_PER_PAGE), ("batch_size", MAX_BATCH_SIZE), ("seed", MAX_SEED)] {
            assert_eq!(fields[field]["maximum"].as_f64(), Some(f64::from(max)), "{field}");
        }
        assert_eq!(fields["source"]["maxLength"], MAX_SOURCE_CHARS);
        assert_eq!(spec["components"]["schemas"]["TriggerRequest"]["required"], serde_json::Value::Null);
    }
}
