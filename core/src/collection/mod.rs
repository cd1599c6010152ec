//! Collections: one run over a source, page by page.
//!
//! Each page is a row of `pages` and a [`FetchPage`](crate::jobs::FetchPage) job; each batch of its documents is a
//! [`ParseDocuments`](crate::jobs::ParseDocuments) job. A page is `pending` until it is stored, `fetched` until its last
//! batch has ended, then `done`; or `failed` when its job was discarded. The collection counts the pages that are still
//! open, and whoever closes the last one ends it: no job waits for others and none polls.
//!
//! One row of `pages` is one call. Where a source has more than one list, or its items take a call each, the calls that follow
//! from an answer are rows too ([`Step`](crate::source::definition::Step)): the list of each parent, the detail of each item, its attachments. They
//! are opened in the transaction that stores the answer, each once in a collection. So are the pages of a feed that tells who was
//! deleted, which begins beside the list (`deleted.rs`).
//!
//! The rows of `pages` are the checkpoint. They move in the transaction that stores the items, enqueues what follows
//! and completes the job, so after a crash a page was either stored or will be fetched again.
//!
//! Locks are taken in this order: resumes, page, raw documents, collection; the collection last and briefly. Within one
//! of them, resumes and raw documents are locked in the order of their keys. Only [`resume()`] and [`resume_page`] lock pages
//! behind the collection: failed ones, which hardly anybody else does. Parse failures are locked before the page by the job that
//! lists them, and behind it by a resume, which skips those that it does not get.
//!
//! Before a collection ends it looks whether its list has moved while it was read, and opens the doubtful pages again
//! (`completeness/`); it holds its own lock then, and so skips pages that somebody else has locked.
//!
//! A collection that is paused or cancelled keeps its pages as they are: those that are pending get new jobs when it goes on, and
//! the fetching jobs from before that are void (`stop_job_id`). So nothing has to wait for the jobs to be ended.
//!
//! Jobs may be ended and retried by people, at any time. A page has one job at a time that may give it up (`fetch_job_id`), and
//! a batch counts once: what was given up is noted (`batches_given_up`), and a retry that parses it corrects the count. When
//! documents of a page are parsed again by new jobs, the page begins another pass over them, and jobs of earlier ones count no more.

mod ahead;
mod attachments;
mod backlog;
mod begin;
mod completeness;
mod deleted;
mod eta;
mod fail;
mod finish;
mod import;
mod known;
mod list;
mod page;
mod progress;
mod redo;
mod reparse;
mod restart;
mod resume;
mod resume_pages;
mod settle;
mod start;
mod steps;
mod stop;
mod store_page;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use attachments::{
    FoundAttachments, Refreshed, expire_attachment, refresh_attachments, store_attachment,
};
pub use backlog::{BACKLOG_MAX, note_lagging, recount_backlog};
pub use begin::UnderWay;
pub use completeness::hide_missing;
pub use eta::{Course, Mark};
pub use fail::{CallFailure, give_up_documents, give_up_page, note_failed_call, note_waiting};
pub use finish::close;
pub use import::{BegunImport, IMPORT_PER_PAGE, Import, NewImport, begin_import};
pub use known::open_known;
pub use list::{Listed, list};
pub use page::{Attached, FoundPage, NUMBERS_BEHIND, PageToFetch, find_origin, find_page};
pub use progress::{ErrorCount, Progress, progress};
pub use redo::REDO_MAX;
pub use reparse::count_reparsed;
pub use restart::restart;
pub use resume::{ResumeError, Resumed, Scope, resume, resume_page};
pub use resume_pages::resume_pages;
pub use settle::{BatchResult, settle_batch};
pub use start::{NewCollection, StartError, Started, start, start_unless_waiting};
pub use steps::skip_page;
pub use stop::{StopError, cancel, end_jobs, pause};
pub use store_page::{FetchedPage, StoredPage, store_page};

/// The most items of one collection.
pub const MAX_COUNT: u32 = 1_000_000;
/// The most items on one page.
pub const MAX_PER_PAGE: u32 = 1_000;
/// The most documents that one job parses.
pub const MAX_BATCH_SIZE: u32 = 1_000;

/// How many pages of a numbered source are on their way at once: enough to keep the allowed rate busy at a second of
/// latency, few enough that a collection of a million pages does not fill the queue.
const WINDOW_PAGES: i32 = 32;

/// Where a collection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "collection_state", rename_all = "snake_case")]
pub enum CollectionState {
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

impl CollectionState {
    /// Whether nothing more will happen by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::CompletedWithErrors | Self::Failed | Self::Cancelled)
    }
}

/// What a collection was asked to do, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    /// Its id; `data_request_id` in the API.
    pub id: Uuid,
    /// The name of its source.
    pub source: String,
    /// Where it stands.
    pub state: CollectionState,
    /// How many items it was asked for.
    pub count: i32,
    /// Items on a page.
    pub per_page: i32,
    /// Documents parsed by one job.
    pub batch_size: i32,
    /// Whether the mock source breaks some items.
    pub error_mode: bool,
    /// Which people the mock source makes up.
    pub seed: i64,
    /// When it was triggered.
    pub created_at: DateTime<Utc>,
    /// When its first page was stored or given up.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}
