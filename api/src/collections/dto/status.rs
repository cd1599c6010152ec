use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object, types::Example};
use resume_core::collection::{Collection, CollectionState, ErrorCount, Progress, Waiting};
use uuid::Uuid;

use super::{EXAMPLE_ID, example_time};

/// How far a collection is.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::collections) struct CollectionStatus {
    /// The id of the collection.
    data_request_id: Uuid,
    /// The name of its source.
    source: String,
    /// Where it stands.
    state: State,
    /// The collection of the same source that has to be over before this one begins; null when it has begun.
    #[oai(nullable)]
    waits_for: Option<Uuid>,
    /// What keeps it from going on as fast as it could, the most decisive first; nothing when it is over.
    waiting: Vec<Reason>,
    /// How much is done, 0 to 100. 100 means that everything was done; a collection that was cancelled, or
    /// lost calls, ends below.
    percent: f64,
    /// How long it will take from now on, by the speeds of the last ten to twenty seconds; 0 when it has
    /// ended. Null while there is nothing to judge by: the source has not told how much there is, nothing is
    /// parsed yet or for half a minute, it is paused, or its source is not called because its calls fail.
    #[oai(nullable)]
    eta_seconds: Option<f64>,
    /// How long it has taken so far, or took.
    elapsed_seconds: f64,
    /// What was asked for.
    parameters: Parameters,
    /// Pages: each is one fetch from the source.
    pages: Pages,
    /// Documents: each is one resume as the source gave it.
    documents: Documents,
    /// The parsing of the documents.
    parsing: Parsing,
    /// Calls to the source.
    calls: Calls,
    /// What went wrong, the most frequent first, at most 20 kinds.
    errors: Vec<ErrorKind>,
    /// Whether it has all that the source listed, as far as that can be told: every page was read, nothing
    /// was cut off at `count`, and where the list moved meanwhile, nothing was lost by it. Null while it has
    /// not ended.
    #[oai(nullable)]
    complete: Option<bool>,
    /// Whether it ended because it had as many resumes as were asked for; the source may have more.
    is_cut: bool,
    /// Whether it has ended: nothing more will happen by itself.
    is_over: bool,
    /// Whether its calls were deleted, because it ended long ago. Neither they nor the documents that were
    /// parsed are listed then.
    calls_deleted: bool,
    /// When it was triggered.
    created_at: DateTime<Utc>,
    /// When it ended; null while it has not.
    #[oai(nullable)]
    finished_at: Option<DateTime<Utc>>,
}

/// Where a collection stands.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "CollectionState", rename_all = "snake_case")]
pub(in crate::collections) enum State {
    /// No page has been fetched yet; it may wait for another collection of its source.
    Pending,
    /// Pages are being fetched or documents parsed.
    Running,
    /// The source refuses calls for now.
    WaitingForSource,
    /// Stopped by a person, to go on later.
    Paused,
    /// Every document was stored and parsed.
    Completed,
    /// Over; some pages or documents failed, and are listed.
    CompletedWithErrors,
    /// Over; not a single page could be fetched.
    Failed,
    /// Ended by a person.
    Cancelled,
}

/// What a collection was asked for.
#[derive(Debug, Object)]
#[oai(rename = "CollectionParameters")]
struct Parameters {
    /// How many resumes to collect; null: everything.
    #[oai(nullable)]
    count: Option<i64>,
    /// How many resumes the source gives with each call.
    per_page: i32,
    /// How many resumes one job parses.
    batch_size: i32,
    /// Whether the test data was asked for resumes that cannot be parsed.
    error_mode: bool,
    /// Which people the test data made up.
    seed: i64,
}

/// The pages of a collection.
#[derive(Debug, Object)]
#[oai(rename = "CollectionPages")]
struct Pages {
    /// How many there are; null while the source has not told.
    #[oai(nullable)]
    expected: Option<i64>,
    /// How many are still to be fetched, as far as the source has told; null while it has not.
    #[oai(nullable)]
    left: Option<i64>,
    /// How many are stored.
    fetched: i64,
    /// How many were given up. `continue_collection` tries them again.
    failed: i64,
}

/// The documents of a collection.
#[derive(Debug, Object)]
#[oai(rename = "CollectionDocuments")]
struct Documents {
    /// How many were new, or had changed, and are stored.
    stored: i64,
    /// How many were known already, by their hash, and are not parsed again.
    unchanged: i64,
    /// How many documents of earlier runs were parsed again, because they had failed and came again.
    retried: i64,
    /// How many became resumes.
    parsed: i64,
    /// How many could not be parsed, or were given up; they are kept, and listed by `list_documents`.
    failed: i64,
    /// How many items were not stored, because their people were erased.
    erased: i64,
}

/// The parsing of a collection's documents.
#[derive(Debug, Object)]
#[oai(rename = "CollectionParsing")]
struct Parsing {
    /// How many documents are stored and wait to be parsed, or are being parsed.
    backlog: i64,
    /// The same of all collections.
    total_backlog: i64,
    /// How many documents were parsed in a second lately: in the last ten to twenty seconds.
    per_second: f64,
    /// Whether no further page is fetched for now because the backlog of the source is over its bound,
    /// 100,000 by default. Fetching goes on by itself when the parsers have caught up.
    is_lagging: bool,
}

/// The calls of a collection to its source.
#[derive(Debug, Object)]
#[oai(rename = "CollectionCalls")]
struct Calls {
    /// How many were made, those without success included.
    made: i64,
    /// How many the source refused because there were too many.
    rate_limited: i64,
    /// How many were made in a second lately: in the last ten seconds.
    per_second: f64,
    /// How long the source took lately to answer, in milliseconds: half of the calls took at most so long.
    /// Null when there was no answer in the last ten seconds.
    #[oai(nullable)]
    latency_ms: Option<i32>,
}

/// Something that a collection waits for.
#[derive(Debug, Object)]
#[oai(rename = "CollectionWaiting")]
struct Reason {
    /// What it is: `paused`, `waits_for_collection`, `parsing_lags`, `queue_paused`, `no_worker`,
    /// `source_held`, `circuit_open`, `source_silent` or, where calls or jobs failed and are tried again, the
    /// code of their error, such as `undecodable_payload`.
    code: String,
    /// The same, for people.
    message: String,
    /// The source that it lies with; null where it lies with none.
    #[oai(nullable)]
    source: Option<String>,
    /// When it ends by itself, or is tried again; null where nobody knows.
    #[oai(nullable)]
    next_try_at: Option<DateTime<Utc>>,
}

/// A kind of error.
#[derive(Debug, Object)]
#[oai(rename = "CollectionError")]
struct ErrorKind {
    /// Its stable code.
    code: String,
    /// How often it happened.
    count: i64,
    /// One of them, for people.
    sample: String,
}

impl CollectionStatus {
    /// Whether nothing more will happen by itself.
    pub(in crate::collections) fn is_over(&self) -> bool {
        self.is_over
    }

    /// How long it has taken so far, or took, in whole milliseconds.
    pub(in crate::collections) fn elapsed_ms(&self) -> u64 {
        (self.elapsed_seconds * 1000.0).round() as u64
    }
}

impl From<Progress> for CollectionStatus {
    fn from(progress: Progress) -> Self {
        let (percent, eta, elapsed) = (progress.percent(), progress.eta(), progress.elapsed());
        let (parsed_per_second, called_per_second) =
            (progress.parsed_per_second(), progress.called_per_second());
        let (left, counts, failed) = (progress.pages_left(), progress.counts, progress.failed());
        let Collection { id, source, state, created_at, finished_at, .. } = progress.collection;
        let Collection { count, per_page, batch_size, error_mode, seed, .. } = progress.collection;
        Self {
            data_request_id: id,
            source,
            state: state.into(),
            waits_for: progress.waits_for,
            waiting: progress.waiting.into_iter().map(Into::into).collect(),
            percent: round(percent, 10.0),
            eta_seconds: eta.map(|eta| round(eta.as_secs_f64(), 10.0)),
            elapsed_seconds: round(elapsed.as_secs_f64(), 1000.0),
            parameters: Parameters { count, per_page, batch_size, error_mode, seed },
            pages: Pages {
                expected: progress.pages_expected,
                left,
                fetched: progress.counts.done,
                failed: progress.counts.failed_calls,
            },
            documents: Documents {
                stored: counts.stored,
                unchanged: counts.unchanged,
                retried: counts.retried,
                parsed: counts.parsed,
                failed,
                erased: counts.erased,
            },
            parsing: Parsing {
                backlog: counts.waiting(),
                total_backlog: progress.total_backlog,
                per_second: round(parsed_per_second, 10.0),
                is_lagging: progress.is_lagging,
            },
            calls: Calls {
                made: counts.made,
                rate_limited: counts.rate_limited,
                per_second: round(called_per_second, 10.0),
                latency_ms: progress.recent_calls.latency_ms,
            },
            errors: progress.errors.into_iter().map(Into::into).collect(),
            complete: progress.is_complete,
            is_cut: progress.is_cut,
            is_over: state.is_over(),
            calls_deleted: progress.calls_deleted,
            created_at,
            finished_at,
        }
    }
}

fn round(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

impl From<Waiting> for Reason {
    fn from(Waiting { code, message, source, next_try_at }: Waiting) -> Self {
        Self { code, message, source, next_try_at }
    }
}

impl From<ErrorCount> for ErrorKind {
    fn from(ErrorCount { code, count, sample }: ErrorCount) -> Self {
        Self { code, count, sample }
    }
}

impl From<State> for CollectionState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Running => Self::Running,
            State::WaitingForSource => Self::WaitingForSource,
            State::Paused => Self::Paused,
            State::Completed => Self::Completed,
            State::CompletedWithErrors => Self::CompletedWithErrors,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}

impl From<CollectionState> for State {
    fn from(state: CollectionState) -> Self {
        match state {
            CollectionState::Pending => Self::Pending,
            CollectionState::Running => Self::Running,
            CollectionState::WaitingForSource => Self::WaitingForSource,
            CollectionState::Paused => Self::Paused,
            CollectionState::Completed => Self::Completed,
            CollectionState::CompletedWithErrors => Self::CompletedWithErrors,
            CollectionState::Failed => Self::Failed,
            CollectionState::Cancelled => Self::Cancelled,
        }
    }
}

impl Example for CollectionStatus {
    fn example() -> Self {
        Self {
            data_request_id: EXAMPLE_ID,
            source: "test-data".to_owned(),
            state: State::Running,
            waits_for: None,
            waiting: Vec::new(),
            percent: 45.0,
            eta_seconds: Some(1.8),
            elapsed_seconds: 1.204,
            parameters: Parameters {
                count: Some(100),
                per_page: 10,
                batch_size: 10,
                error_mode: true,
                seed: 1_284_018_293,
            },
            pages: Pages { expected: Some(10), left: Some(4), fetched: 6, failed: 0 },
            documents: Documents { stored: 60, unchanged: 0, retried: 0, parsed: 26, failed: 4, erased: 0 },
            parsing: Parsing { backlog: 30, total_backlog: 1030, per_second: 24.9, is_lagging: false },
            calls: Calls { made: 6, rate_limited: 0, per_second: 5.0, latency_ms: Some(128) },
            errors: vec![ErrorKind {
                code: "invalid_skills".to_owned(),
                count: 4,
                sample: "raw document 17 at \"/skills\": expected an array, found null".to_owned(),
            }],
            complete: None,
            is_cut: false,
            is_over: false,
            calls_deleted: false,
            created_at: example_time(),
            finished_at: None,
        }
    }
}
