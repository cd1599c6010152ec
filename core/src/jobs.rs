//! The payloads of the background jobs. What each job does is in `worker/src/jobs/`.

use resume_queue::{Discarded, EnqueueError, Job, JobId, NewJob, Unique};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The kinds of all jobs of the service, which are also the names of their queues.
pub const KINDS: [&str; 8] = [
    MakeCall::KIND,
    FinishCollection::KIND,
    ParseDocuments::KIND,
    ReparseSource::KIND,
    ContinueCollection::KIND,
    SettleDiscarded::KIND,
    StartCollection::KIND,
    StopCollection::KIND,
];

/// Makes one call of a collection, stores its answer and enqueues what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MakeCall {
    /// The collection.
    pub collection_id: Uuid,
    /// The call.
    pub call_id: i64,
}

impl Job for MakeCall {
    const KIND: &'static str = "make_call";
    /// With the queue's backoff this rides out a source that is away for a minute and a half.
    const MAX_ATTEMPTS: u16 = 8;
    const ON_DISCARD: Option<&'static str> = Some(SettleDiscarded::KIND);
}

/// Parses the documents of some batches of a collection into resumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParseDocuments {
    /// The collection that lets them wait.
    pub collection_id: Uuid,
    /// The batches, by their first documents.
    pub batches: Vec<i64>,
}

impl Job for ParseDocuments {
    const KIND: &'static str = "parse_documents";
    /// A bad document does not fail the job, so only outages and crashes use attempts.
    const MAX_ATTEMPTS: u16 = 6;
    const ON_DISCARD: Option<&'static str> = Some(SettleDiscarded::KIND);
}

/// Ends a run of a collection when all its jobs have ended, however they did. The follow-up of the run's
/// group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinishCollection {
    /// The collection.
    pub collection_id: Uuid,
    /// Which run of it, from 1: the first one, or one in which it was continued.
    pub run: i32,
    /// How often the end has found documents that wait and nobody parses, one end after the other.
    #[serde(default)]
    pub sweeps: i32,
}

impl Job for FinishCollection {
    const KIND: &'static str = "finish_collection";
    const MAX_ATTEMPTS: u16 = 25;
    const ON_DISCARD: Option<&'static str> = Some(SettleDiscarded::KIND);
}

/// Settles what a discarded [`MakeCall`], [`ParseDocuments`] or
/// [`FinishCollection`] leaves open in its collection, so that the collection ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SettleDiscarded(pub Discarded);

impl Job for SettleDiscarded {
    const KIND: &'static str = "settle_discarded";
    const MAX_ATTEMPTS: u16 = 25;
}

/// A collection that is about to start. The caller has checked that the numbers are in range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewCollection {
    /// The name of the source.
    pub source: String,
    /// How many items to ask for, from 1; by default what the source's definition says, or else everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Items on a page, 1 to [`MAX_PER_PAGE`](crate::source::definition::MAX_PER_PAGE); by default what the
    /// source's definition says, or else as many as the source gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_page: Option<u32>,
    /// Documents parsed by one job, 1 to [`MAX_BATCH_SIZE`](crate::collection::MAX_BATCH_SIZE).
    pub batch_size: u32,
    /// Whether the mock source shall break some items.
    #[serde(default)]
    pub error_mode: bool,
    /// Whether to fetch everything, even if the source supports incremental runs.
    #[serde(default)]
    pub full: bool,
    /// Which people the mock source makes up; by default nobody seen before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// A repeated key with the same parameters starts nothing and gives the collection that the first one
    /// started.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// Starts a collection. What a schedule enqueues, so that one starts every night.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StartCollection(pub NewCollection);

impl Job for StartCollection {
    const KIND: &'static str = "start_collection";
}

impl StartCollection {
    /// What the job of this id starts. The same job starts the same collection, however often it runs.
    pub fn collection_of(self, job_id: JobId) -> NewCollection {
        // A caller's key has no space in it, so it is none of these.
        NewCollection { idempotency_key: Some(format!("job {job_id}")), ..self.0 }
    }
}

/// Ends the jobs of a collection that was paused or cancelled: those that were enqueued before this one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopCollection {
    /// The collection.
    pub collection_id: Uuid,
}

impl Job for StopCollection {
    const KIND: &'static str = "stop_collection";
    const MAX_ATTEMPTS: u16 = 25;
}

/// Enqueues the next calls that wait in a collection that was continued, and opens those again that failed:
/// some thousand, and then itself for those behind them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContinueCollection {
    /// The collection.
    pub collection_id: Uuid,
    /// Its run.
    pub run: i32,
    /// Whether calls are made, or documents parsed again alone.
    pub calls: bool,
    /// The checkpoint: the number of the last call that was looked at.
    pub after: i64,
}

impl Job for ContinueCollection {
    const KIND: &'static str = "continue_collection";
    const MAX_ATTEMPTS: u16 = 25;
}

/// Parses again what an older parser or an older map made of a source's documents: some hundred people, and
/// then enqueues itself for those behind them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReparseSource {
    /// The name of the source.
    pub source: String,
    /// The version of the map that those before `after_person` were parsed with.
    pub map_version: i32,
    /// The checkpoint: the last person who was looked at. Where they were is not known of one who was erased
    /// since: the walk begins again.
    #[serde(default)]
    pub after_person: Option<i64>,
}

impl Job for ReparseSource {
    const KIND: &'static str = "reparse_source";
    const MAX_ATTEMPTS: u16 = 25;
}

impl ReparseSource {
    /// The job: one of a source at a time.
    ///
    /// # Errors
    /// As [`NewJob::new`].
    pub fn new_job(&self) -> Result<NewJob, EnqueueError> {
        Ok(NewJob::new(self)?.unique(Unique::key(self.source.as_str())))
    }
}
