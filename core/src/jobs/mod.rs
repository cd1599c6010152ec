//! The payloads of the background jobs. What each job does is in `worker/src/jobs/`.

mod continue_collection;
mod finish_collection;
mod make_call;
mod parse_documents;
mod reparse_source;
mod settle_discarded;
mod start_collection;
mod stop_collection;

use resume_queue::Job;

pub use continue_collection::ContinueCollection;
pub use finish_collection::FinishCollection;
pub use make_call::MakeCall;
pub use parse_documents::ParseDocuments;
pub use reparse_source::ReparseSource;
pub use settle_discarded::SettleDiscarded;
pub use start_collection::StartCollection;
pub use stop_collection::StopCollection;

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
