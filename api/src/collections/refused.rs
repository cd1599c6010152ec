//! Why requests about collections are refused.

use poem_openapi::types::ToJSON;
use resume_core::{
    collection::{self, CollectionState, ContinueError, StartError, StopError, UnderWay},
    completeness::ConfirmError,
    db::PgPool,
};
use uuid::Uuid;

use super::{OF_FILES, dto};
use crate::problem::{Problem, ProblemType};

/// Checks that there is a collection of this id, with its calls.
///
/// # Errors
/// A problem: not found, or gone.
pub(crate) async fn with_calls(pool: &PgPool, id: Uuid) -> Result<(), Problem> {
    match collection::calls_deleted(pool, id).await? {
        Some(false) => Ok(()),
        Some(true) => Err(calls_deleted()),
        None => Err(unknown(id)),
    }
}

/// The calls of a collection were deleted after their time.
pub(crate) fn calls_deleted() -> Problem {
    let detail = "the collection ended long ago, and its calls were deleted: they, and the documents and \
                  resumes that are found by them, are no longer listed. Its status has the counts; documents \
                  that failed are listed with `state=failed`";
    Problem::new(ProblemType::CallsDeleted, detail)
}

/// No collection has this id.
pub(super) fn unknown(id: Uuid) -> Problem {
    Problem::not_found(format!("there is no data request {id}"))
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::OfFiles(_) => Self::invalid_field("source", OF_FILES),
            StartError::KeyReused(id) => Self::new(
                ProblemType::IdempotencyKeyReused,
                format!("this Idempotency-Key was used before with other parameters, for data request {id}"),
            ),
            StartError::UnderWay(other) => under_way(other),
            other => Self::failure(other),
        }
    }
}

fn under_way(other: UnderWay) -> Problem {
    let state = dto::State::from(other.state).to_json_string();
    let what_to_do = match other.state {
        CollectionState::Paused => "continue it or cancel it",
        _ => "wait until it is over, or cancel it",
    };
    Problem::new(
        ProblemType::CollectionUnderWay,
        format!(
            "the source wants one collection at a time, and data request {} is {state}: {what_to_do}",
            other.id
        ),
    )
}

impl From<StopError> for Problem {
    fn from(error: StopError) -> Self {
        match error {
            StopError::Unknown(id) => unknown(id),
            StopError::Over(state) => {
                let state = dto::State::from(state).to_json_string();
                Self::new(
                    ProblemType::CollectionOver,
                    format!("the collection is {state}, and nothing of it is left to stop"),
                )
            }
            other => Self::failure(other),
        }
    }
}

impl From<ConfirmError> for Problem {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::Unknown(id) => unknown(id),
            ConfirmError::NothingHeldBack => Self::new(
                ProblemType::NothingHeldBack,
                "the collection holds nobody back from being hidden, or a later one of its source has ended",
            ),
            other => Self::failure(other),
        }
    }
}

impl From<ContinueError> for Problem {
    fn from(error: ContinueError) -> Self {
        match error {
            ContinueError::Unknown(id) => unknown(id),
            ContinueError::NothingFailed(state) => {
                let state = dto::State::from(state).to_json_string();
                let detail = format!(
                    "the collection is {state} and nothing of what was asked for failed; documents that failed to parse \
                     are parsed again with `what: documents`"
                );
                Self::new(ProblemType::NothingFailed, detail)
            }
            ContinueError::Stopped(state) => {
                let state = dto::State::from(state).to_json_string();
                let detail =
                    format!("the collection is {state}: its calls come before its documents, ask for `all`");
                Self::new(ProblemType::NothingFailed, detail)
            }
            ContinueError::UnderWay(other) => under_way(other),
            ContinueError::CallsDeleted => {
                let detail = "the collection ended long ago, and its calls were deleted: start another one. \
                              Documents that failed can be parsed again with `what: documents`, unless it \
                              was cancelled";
                Self::new(ProblemType::CallsDeleted, detail)
            }
            other => Self::failure(other),
        }
    }
}
