//! What each job does: one file a job, one function `run`. `fetch_attachment.rs` is what `make_call.rs` does
//! for a call that brings an attachment, `call.rs` what both do with any call.

mod call;
pub(crate) mod continue_collection;
mod fetch_attachment;
pub(crate) mod finish_collection;
pub(crate) mod make_call;
pub(crate) mod parse_documents;
pub(crate) mod reparse_source;
pub(crate) mod settle_discarded;
pub(crate) mod start_collection;
pub(crate) mod stop_collection;

use std::{error::Error, time::Duration};

use resume_core::source::NewerDefinition;
use resume_queue::JobError;

/// How long a job waits for a newer process that understands its source: a rolling update takes minutes.
const NEWER_WAIT: Duration = Duration::from_secs(30);

/// What becomes of a job whose work failed. As a rule it is tried again. One whose source has a definition
/// that only a newer process understands is left to that process, and uses no attempt.
pub(crate) fn retry(error: impl Into<Box<dyn Error + Send + Sync>>) -> JobError {
    let error = error.into();
    let mut causes =
        std::iter::successors(Some(error.as_ref() as &(dyn Error + 'static)), |&error| error.source());
    if causes.any(|cause| cause.is::<NewerDefinition>()) {
        tracing::warn!(%error, "a job is left to a process of a newer version");
        return JobError::Snooze(NEWER_WAIT);
    }
    JobError::Retry(error)
}
