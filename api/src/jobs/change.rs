//! Cancelling, retrying and discarding, one job or many.

use std::time::{Duration, Instant};

use resume_core::db::{self, PgPool};
use resume_queue::{Changed, END_STATES, JobFilter, JobId, JobState, Progress, RETRY_STATES, Remaining};

use super::dto::names;
use crate::{
    database::bounded,
    problem::{Problem, ProblemType},
};

/// For how long one request begins further batches: well within the patience of any client.
const TIME_MAX: Duration = Duration::from_secs(2);

/// What is done to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Cancel,
    Retry,
    Discard,
}

impl Change {
    /// The states in which a job can be changed so.
    fn possible(self) -> &'static [JobState] {
        match self {
            Self::Cancel | Self::Discard => &END_STATES,
            Self::Retry => &RETRY_STATES,
        }
    }

    /// The state that a job comes to.
    fn outcome(self) -> JobState {
        match self {
            Self::Cancel => JobState::Cancelled,
            Self::Retry => JobState::Available,
            Self::Discard => JobState::Discarded,
        }
    }

    fn participle(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled",
            Self::Retry => "retried",
            Self::Discard => "discarded",
        }
    }

    /// Changes a job. One that is so already is left as it is, and that is no error: a request whose reply
    /// was lost can be repeated.
    pub(super) async fn one(self, pool: &PgPool, id: JobId) -> Result<(), Problem> {
        let changed = match self {
            Self::Cancel => resume_queue::cancel(pool, id).await?,
            Self::Retry => resume_queue::retry(pool, id).await?,
            Self::Discard => resume_queue::discard(pool, id).await?,
        };
        match changed {
            Changed::Done => Ok(()),
            Changed::Refused(state) if state == self.outcome() => Ok(()),
            Changed::Refused(state) => {
                let detail = format!("job {id} is {state} and cannot be {}", self.participle());
                Err(Problem::new(ProblemType::WrongJobState, detail))
            }
            Changed::Conflict => {
                let detail = format!("job {id} cannot come back: another job has its unique key");
                Err(Problem::new(ProblemType::UniqueKeyTaken, detail))
            }
            Changed::NotFound => Err(super::unknown(id)),
        }
    }

    /// A filter that chooses only what can be changed.
    ///
    /// # Errors
    /// When a state is asked for in which nothing can be changed so.
    pub(super) fn restrict(self, filter: JobFilter) -> Result<JobFilter, Problem> {
        let possible = self.possible();
        let asked = filter.states.unwrap_or_else(|| possible.to_vec());
        if let Some(wrong) = asked.iter().find(|state| !possible.contains(state)) {
            let participle = self.participle();
            let detail =
                format!("a {wrong} job cannot be {participle}; those that can be are {}", names(possible));
            return Err(Problem::invalid_field("state", detail));
        }
        Ok(JobFilter { states: Some(asked), ..filter })
    }

    /// Changes the jobs that `filter` chooses, or what remains of them, batch by batch, for some two seconds.
    pub(super) async fn many(
        self,
        pool: &PgPool,
        filter: &JobFilter,
        remaining: Option<Remaining>,
    ) -> Result<Progress, Problem> {
        let begun = Instant::now();
        let mut sum = Progress { changed: 0, conflicts: 0, next: remaining };
        loop {
            let step = bounded(self.batch(pool, filter, sum.next)).await?;
            sum = Progress {
                changed: sum.changed + step.changed,
                conflicts: sum.conflicts + step.conflicts,
                next: step.next,
            };
            if sum.next.is_none() || begun.elapsed() >= TIME_MAX {
                return Ok(sum);
            }
        }
    }

    async fn batch(
        self,
        pool: &PgPool,
        filter: &JobFilter,
        remaining: Option<Remaining>,
    ) -> Result<Progress, db::Error> {
        match self {
            Self::Cancel => resume_queue::cancel_all(pool, filter, remaining).await,
            Self::Retry => resume_queue::retry_all(pool, filter, remaining).await,
            Self::Discard => resume_queue::discard_all(pool, filter, remaining).await,
        }
    }
}
