use apalis::prelude::{WorkerBuilder, WorkerError};
use resume_core::jobs::{
    ContinueCollection, FinishCollection, MakeCall, ParseDocuments, ReparseSource, SettleDiscarded,
    StartCollection, StopCollection,
};
use resume_queue::{Job, QueueConfig, Session};
use tokio::task::JoinSet;

use crate::{
    context::Context,
    jobs::{
        continue_collection, finish_collection, make_call, parse_documents, reparse_source, settle_discarded,
        start_collection, stop_collection,
    },
};

/// Calls on their way at once, of which a source alone has half. At the mock's 0.2 s and 30 calls a second six
/// are under way; a slow source has more. Most wait for a permit: in shares, so that no source keeps another
/// one waiting, nor one collection of a source the other. Few, so that the calls of a small collection are
/// spread over the fleet: a worker with 256 could claim them all, and they would wait behind its other calls.
const FETCHES: QueueConfig = QueueConfig::fixed(32).in_shares();
/// Batches parsed at once. Far more than cores, for a slow parser mostly waits; the parsing itself shares the
/// threads for blocking work. All from the start: slots that grow with the backlog (`between(4, 64)`) come a
/// run of the slow parser too late, 4.4 s instead of 3.0 s for 200 resumes with `demo --parse-delay 2s`. To
/// run fewer, limit the queue: that holds for the whole fleet, at once.
const PARSES: QueueConfig = QueueConfig::fixed(64);
/// Rare and short.
const SETTLEMENTS: QueueConfig = QueueConfig::fixed(2);
/// Rare and short, too.
const STARTS: QueueConfig = QueueConfig::fixed(2);

/// One source at a time is parsed again, beside what is collected.
const REPARSES: QueueConfig = QueueConfig::fixed(1);

/// Starts one apalis worker for each kind of job. They end when the session shuts down.
pub(crate) fn start(session: &Session, context: &Context) -> JoinSet<Result<(), WorkerError>> {
    let mut workers = JoinSet::new();
    macro_rules! start {
        ($job:ty, $config:expr, $handler:path) => {
            let worker = WorkerBuilder::new(<$job>::KIND)
                .backend(session.backend::<$job>($config))
                .data(context.clone())
                .build($handler);
            workers.spawn(worker.run());
        };
    }
    start!(MakeCall, FETCHES, make_call::run);
    start!(ParseDocuments, PARSES, parse_documents::run);
    start!(SettleDiscarded, SETTLEMENTS, settle_discarded::run);
    start!(FinishCollection, SETTLEMENTS, finish_collection::run);
    start!(StartCollection, STARTS, start_collection::run);
    start!(StopCollection, STARTS, stop_collection::run);
    start!(ContinueCollection, STARTS, continue_collection::run);
    start!(ReparseSource, REPARSES, reparse_source::run);
    workers
}
