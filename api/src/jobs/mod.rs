//! Background jobs: looking at them, and changing them.

mod change;
mod dto;
mod place;

use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use resume_queue::{
    JobFilter, JobId, JobState, Remaining,
    inspect::{self, JobRow, Reason},
};
use serde_json::json;
use uuid::Uuid;

pub(crate) use self::dto::JobCount;
use self::{
    change::Change,
    dto::{Job, JobList, JobsChangeReply, JobsChangeRequest, Obstacles, StateList},
    place::Below,
};
use crate::{
    body::JsonBody,
    cursor,
    database::bounded,
    name::Name,
    problem::Problem,
    refused::{LookupRefusals, Refusals, Refused},
    span::Span,
    spec::Tag,
    state::AppState,
};

/// The resource.
pub(crate) struct Jobs(AppState);

/// The reply to a job that shall end.
#[derive(ApiResponse)]
enum Ended {
    /// The job has ended.
    #[oai(status = 200)]
    Ended(Json<Job>),
    /// The job was running and was told to stop; it ends as asked for as soon as it has, unless it completes
    /// first.
    #[oai(status = 202)]
    Stopping(Json<Job>),
}

struct ListRefusals;
struct ChangeRefusals;
struct ChangeManyRefusals;

impl Refusals for ListRefusals {
    const STATUSES: &'static [u16] = &[400, 500, 503];
}

impl Refusals for ChangeRefusals {
    const STATUSES: &'static [u16] = &[400, 404, 409, 500, 503];
}

impl Refusals for ChangeManyRefusals {
    const STATUSES: &'static [u16] = &[400, 413, 415, 500, 503];
}

impl Jobs {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }

    async fn find(&self, id: JobId) -> Result<JobRow, Problem> {
        inspect::job(&self.0.pool, id).await?.ok_or_else(|| unknown(id))
    }

    /// Changes a job; gives it as it is then.
    async fn change(&self, change: Change, id: JobId) -> Result<JobRow, Problem> {
        bounded(async {
            change.one(&self.0.pool, id).await?;
            self.find(id).await
        })
        .await
    }

    async fn end(&self, change: Change, id: JobId) -> Result<Ended, Problem> {
        let job = self.change(change, id).await?;
        let is_stopping = job.state == JobState::Running;
        let reply = Json(job.into());
        Ok(if is_stopping { Ended::Stopping(reply) } else { Ended::Ended(reply) })
    }

    async fn change_many(
        &self,
        change: Change,
        request: JobsChangeRequest,
    ) -> Result<Json<JobsChangeReply>, Problem> {
        let remaining = request.cursor().map(cursor::decode::<Remaining>).transpose()?;
        let is_dry_run = request.is_dry_run();
        let filter = change.restrict(request.into_filter())?;
        if is_dry_run {
            let count = bounded(resume_queue::count(&self.0.pool, &filter)).await?;
            return Ok(Json(count.into()));
        }
        Ok(Json(change.many(&self.0.pool, &filter, remaining).await?.into()))
    }
}

#[OpenApi(tag = "Tag::Jobs")]
impl Jobs {
    /// List jobs
    ///
    /// The newest first: those that have all that is given. A page looks at a bounded number of jobs, so that
    /// a rare one costs no more than a common one; it may hold fewer than `limit`, or none, and yet have a
    /// `next_cursor`. Ended jobs are listed as long as the history is kept.
    #[oai(path = "/api/v1/jobs", method = "get", operation_id = "list_jobs")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn list_jobs(
        &self,
        /// Those of this queue.
        queue: Query<Option<Name>>,
        /// Those of this kind.
        kind: Query<Option<Name>>,
        /// Those in one of these states, separated by commas: `retryable,discarded`.
        state: Query<Option<StateList>>,
        /// Those whose last failed attempt had this code.
        error_code: Query<Option<Name>>,
        /// Those that were enqueued longer ago than this: a number of seconds, or such as `10m`, `2h`,
        /// `3days`; at most 366 days.
        older_than: Query<Option<Span>>,
        /// Those of this collection.
        collection_id: Query<Option<Uuid>>,
        /// Those of this group.
        group_id: Query<Option<i64>>,
        /// How many to give.
        #[oai(default = "dto::default_limit", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before; none for the first page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<JobList>, Refused<ListRefusals>> {
        let before = cursor.0.as_deref().map(cursor::decode::<Below>).transpose()?.map(|below| below.0);
        let filter = JobFilter {
            states: state.0.map(|list| list.0),
            queue: queue.0.map(|name| name.0),
            kind: kind.0.map(|name| name.0),
            error_code: error_code.0.map(|name| name.0),
            older_than: older_than.0.map(|span| span.0),
            group_id: group_id.0,
            args: collection_id.0.map(|id| json!({ "collection_id": id })),
        };
        let page = bounded(inspect::jobs(&self.0.pool, &filter, before, limit.0)).await?;
        Ok(Json(page.into()))
    }

    /// Get a job
    ///
    /// With every error that it met.
    #[oai(path = "/api/v1/jobs/:id", method = "get", operation_id = "get_job")]
    async fn get_job(
        &self,
        /// The id of the job.
        id: Path<i64>,
    ) -> Result<Json<Job>, Refused<LookupRefusals>> {
        let job = bounded(self.find(id.0)).await?;
        Ok(Json(job.into()))
    }

    /// Ask why a job does not run
    ///
    /// Lists all that keeps it now: a paused queue, a backoff, a limit, no worker, or jobs in front of it.
    #[oai(path = "/api/v1/jobs/:id/why", method = "get", operation_id = "explain_job")]
    async fn explain_job(
        &self,
        /// The id of the job.
        id: Path<i64>,
    ) -> Result<Json<Obstacles>, Refused<LookupRefusals>> {
        let obstacles = bounded(inspect::why_not_running(&self.0.pool, id.0)).await?;
        if obstacles.iter().any(|obstacle| obstacle.reason == Reason::Unknown) {
            return Err(unknown(id.0).into());
        }
        Ok(Json(obstacles.into()))
    }

    /// Cancel a job
    ///
    /// One that waits is over at once. A running one is told to stop, wherever it runs. Cancelling a
    /// cancelled job changes nothing and is no error. `retry_job` brings it back.
    #[oai(path = "/api/v1/jobs/:id/cancel", method = "post", operation_id = "cancel_job")]
    async fn cancel_job(
        &self,
        /// The id of the job.
        id: Path<i64>,
    ) -> Result<Ended, Refused<ChangeRefusals>> {
        Ok(self.end(Change::Cancel, id.0).await?)
    }

    /// Retry a job
    ///
    /// Makes it run now: one that waits for its time waits no longer; a cancelled or discarded one comes
    /// back, with its errors and one more attempt at least. Retrying a job that is available changes nothing
    /// and is no error.
    #[oai(path = "/api/v1/jobs/:id/retry", method = "post", operation_id = "retry_job")]
    async fn retry_job(
        &self,
        /// The id of the job.
        id: Path<i64>,
    ) -> Result<Json<Job>, Refused<ChangeRefusals>> {
        let job = self.change(Change::Retry, id.0).await?;
        Ok(Json(job.into()))
    }

    /// Discard a job
    ///
    /// As `cancel_job`, but the job counts as failed and stays with the dead letters.
    #[oai(path = "/api/v1/jobs/:id/discard", method = "post", operation_id = "discard_job")]
    async fn discard_job(
        &self,
        /// The id of the job.
        id: Path<i64>,
    ) -> Result<Ended, Refused<ChangeRefusals>> {
        Ok(self.end(Change::Discard, id.0).await?)
    }

    /// Cancel many jobs
    ///
    /// Cancels the live jobs that have all that the body says, in batches, for up to some two seconds. With a
    /// `next_cursor` in the reply there are more: send the same body with it as `cursor`. Running jobs count
    /// as changed when they were told to stop. Jobs that are enqueued after the first request are not meant.
    /// Repeating a request does no harm.
    ///
    /// With `dry_run` nothing is changed, and the reply says how many jobs there are: exactly up to 10,000,
    /// where no more than 100,000 have to be looked at; else how many there are at least.
    #[oai(path = "/api/v1/jobs/cancel", method = "post", operation_id = "cancel_jobs")]
    async fn cancel_jobs(
        &self,
        body: JsonBody<JobsChangeRequest>,
    ) -> Result<Json<JobsChangeReply>, Refused<ChangeManyRefusals>> {
        Ok(self.change_many(Change::Cancel, body.0).await?)
    }

    /// Retry many jobs
    ///
    /// Makes the scheduled, retryable, cancelled and discarded jobs that have all that the body says run now.
    /// As `cancel_jobs` otherwise; `conflicts` counts those that cannot come back, because another job has
    /// their unique key.
    #[oai(path = "/api/v1/jobs/retry", method = "post", operation_id = "retry_jobs")]
    async fn retry_jobs(
        &self,
        body: JsonBody<JobsChangeRequest>,
    ) -> Result<Json<JobsChangeReply>, Refused<ChangeManyRefusals>> {
        Ok(self.change_many(Change::Retry, body.0).await?)
    }

    /// Discard many jobs
    ///
    /// As `cancel_jobs`, but the jobs count as failed and stay with the dead letters.
    #[oai(path = "/api/v1/jobs/discard", method = "post", operation_id = "discard_jobs")]
    async fn discard_jobs(
        &self,
        body: JsonBody<JobsChangeRequest>,
    ) -> Result<Json<JobsChangeReply>, Refused<ChangeManyRefusals>> {
        Ok(self.change_many(Change::Discard, body.0).await?)
    }
}

fn unknown(id: JobId) -> Problem {
    Problem::not_found(format!("there is no job {id}, or no more"))
}
