//! Collections: one run over a source.
//!
//! Each request that a collection makes is a row of `calls` and a [`MakeCall`](crate::jobs::MakeCall) job
//! ([`call`](crate::call)); each batch of documents is a row of `batches` and a
//! [`ParseDocuments`](crate::jobs::ParseDocuments) job ([`document`](crate::document)). What has become of
//! them is counted in the transaction that changes it, in a row of its own for each connection, so nobody
//! waits for a collection's row.
//!
//! ```text
//! start ──► pending ──► running ◄──► waiting_for_source
//!              ▲           │  ▲
//!              │      pause│  │continue
//!              │           ▼  │
//!              │         paused        cancel: cancelled, from any of them
//!              │
//!              └── the jobs of a run are a group; when the last has ended its follow-up, finish_collection, ends the run:
//!                  completed, completed_with_errors or failed. A run that is continued is another group.
//! ```
//!
//! | file | what it does |
//! | --- | --- |
//! | `start.rs`, `begin.rs` | [`start`]; a collection begins at once, or when those before it in the line of its source are over |
//! | `stop.rs` | [`pause`], [`cancel`] |
//! | `continue_collection.rs` | [`continue_collection()`]: continues a collection; [`continue_call`]: one call |
//! | `held.rs` | a collection that is locked |
//! | `finish.rs` | [`finish`], [`conclude`]: the end of a run, in one place |
//! | `status.rs`, `eta.rs` | [`progress`]: how far it is, and how long it still takes |
//! | `waiting.rs` | why it does not move, and when it will |
//! | `list.rs` | [`list`] |
//! | `import.rs` | [`begin_import`]: a file as a collection that is fetched already |
//! | `retention.rs` | [`delete_calls`]: the calls of old collections are deleted, a summary stays |

mod begin;
mod continue_collection;
mod eta;
mod finish;
mod held;
mod import;
mod list;
mod retention;
mod start;
mod status;
mod stop;
mod waiting;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use begin::UnderWay;
pub(crate) use begin::largest_batch;
pub use continue_collection::{
    ContinueError, Continued, Scope, continue_call, continue_collection, continue_portion,
};
pub use finish::{Finishing, conclude, finish, finish_unjudged};
pub use import::{BegunImport, IMPORT_PER_PAGE, Import, NewImport, begin_import};
pub use list::{ListFilter, Listed, calls_deleted, list};
pub use retention::delete_calls;
pub use start::{StartError, Started, start, start_unless_waiting};
pub use status::{Progress, progress};
pub use stop::{StopError, cancel, end_jobs, give_up_documents, pause};
pub use waiting::Waiting;

pub use crate::jobs::NewCollection;
pub use crate::progress::{CollectionState, Counts, ErrorCount, Speeds, note_lagging, note_waiting};

/// The most documents that one job parses. SQL that looks for the batch of a document relies on it: no batch
/// begins more than 999 before.
pub const MAX_BATCH_SIZE: u32 = 1_000;

/// How many documents of a source may wait to be parsed before no further page of it is fetched. At full
/// speed that is some seconds of parsing on two cores, so parsing never runs dry while fetching waits for its
/// turn. When the parsers are slow, paused or gone, it bounds what piles up: a thousand jobs with batches of
/// a hundred, and a few hundred MB of documents.
pub const BACKLOG_MAX: u32 = 100_000;

/// What a collection was asked to do, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    /// Its id; `data_request_id` in the API.
    pub id: Uuid,
    /// The name of its source.
    pub source: String,
    /// Where it stands.
    pub state: CollectionState,
    /// How many items it was asked for; `None`: everything.
    pub count: Option<i64>,
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
    /// When its first answer was stored.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}
