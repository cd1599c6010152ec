//! Queues: what they hold, pausing, limits, and how many workers they want.

mod dto;

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use resume_core::jobs::KINDS;
use resume_queue::{
    Limits,
    inspect::{self, QueueRow},
    limit_queue,
    maintenance::depths,
    pause_queue, unpause_queue,
};

use self::dto::{Demand, Queue, QueueLimits, QueueList};
use crate::{
    body::JsonBody,
    database::bounded,
    name::Name,
    problem::Problem,
    refused::{Refusals, Refused},
    span::Span,
    spec::Tag,
    state::AppState,
};

/// The resource.
pub(crate) struct Queues(AppState);

struct ListRefusals;
struct QueueRefusals;
struct LimitRefusals;

impl Refusals for ListRefusals {
    const STATUSES: &'static [u16] = &[500, 503];
}

impl Refusals for QueueRefusals {
    const STATUSES: &'static [u16] = &[400, 404, 500, 503];
}

impl Refusals for LimitRefusals {
    const STATUSES: &'static [u16] = &[400, 404, 413, 415, 500, 503];
}

impl Queues {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }

    /// All queues of which there is something to tell, and those of our own kinds of jobs, by name.
    async fn all(&self) -> Result<Vec<QueueRow>, Problem> {
        let mut queues = inspect::queues(&self.0.pool).await?;
        for kind in KINDS {
            if !queues.iter().any(|queue| queue.name == kind) {
                queues.push(idle(kind));
            }
        }
        queues.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(queues)
    }

    /// All of them, with their depths.
    async fn list(&self) -> Result<QueueList, Problem> {
        let (queues, depths) = (self.all().await?, depths(&self.0.pool).await?);
        let queues: Vec<Queue> = queues.into_iter().map(|queue| Queue::new(queue, &depths)).collect();
        Ok(queues.into())
    }

    /// A queue, with its depths.
    async fn show(&self, name: &str) -> Result<Queue, Problem> {
        Ok(Queue::new(self.find(name).await?, &depths(&self.0.pool).await?))
    }

    /// A queue that was changed, with its depths. It may be one of which there is nothing to tell any more.
    async fn changed(&self, name: &str) -> Result<Queue, Problem> {
        let queue = inspect::queue(&self.0.pool, name).await?.unwrap_or_else(|| idle(name));
        Ok(Queue::new(queue, &depths(&self.0.pool).await?))
    }

    /// A queue. One of our own kinds of jobs is always there, so that it can be paused before its first job
    /// comes; others are when there is something to tell of them, so that a misspelt name pauses nothing
    /// without a word.
    async fn find(&self, name: &str) -> Result<QueueRow, Problem> {
        if let Some(queue) = inspect::queue(&self.0.pool, name).await? {
            return Ok(queue);
        }
        if KINDS.contains(&name) {
            return Ok(idle(name));
        }
        let all = self.all().await?;
        let known: Vec<&str> = all.iter().map(|queue| queue.name.as_str()).collect();
        Err(Problem::not_found(format!("no queue has this name; there are: {}", known.join(", "))))
    }
}

/// A queue that nobody works on, without a job.
fn idle(name: &str) -> QueueRow {
    let limits = Limits::default();
    QueueRow { name: name.to_owned(), paused_at: None, limits, workers: 0, slots: 0 }
}

#[OpenApi(tag = "Tag::Queues")]
impl Queues {
    /// List queues
    ///
    /// Those of the service's own kinds of jobs, and whatever other queue has live jobs, a worker, a pause or
    /// a limit.
    #[oai(path = "/api/v1/queues", method = "get", operation_id = "list_queues")]
    async fn list_queues(&self) -> Result<Json<QueueList>, Refused<ListRefusals>> {
        Ok(Json(bounded(self.list()).await?))
    }

    /// Get a queue
    ///
    /// Whether it is paused, its limits, who works on it, and how many jobs it holds.
    #[oai(path = "/api/v1/queues/:queue", method = "get", operation_id = "get_queue")]
    async fn get_queue(
        &self,
        /// The name of the queue.
        queue: Path<Name>,
    ) -> Result<Json<Queue>, Refused<QueueRefusals>> {
        Ok(Json(bounded(self.show(&queue.0.0)).await?))
    }

    /// Pause a queue
    ///
    /// No further job of it starts, on any worker, until `unpause_queue`. Jobs that run go on, and new ones
    /// may be enqueued. Pausing a paused queue changes nothing.
    #[oai(path = "/api/v1/queues/:queue/pause", method = "post", operation_id = "pause_queue")]
    async fn pause_queue(
        &self,
        /// The name of the queue.
        queue: Path<Name>,
    ) -> Result<Json<Queue>, Refused<QueueRefusals>> {
        let name = &queue.0.0;
        let paused = bounded(async {
            self.find(name).await?;
            pause_queue(&self.0.pool, name).await?;
            self.changed(name).await
        });
        Ok(Json(paused.await?))
    }

    /// Let a paused queue go on
    ///
    /// At once. A queue that is not paused is left as it is.
    #[oai(path = "/api/v1/queues/:queue/unpause", method = "post", operation_id = "unpause_queue")]
    async fn unpause_queue(
        &self,
        /// The name of the queue.
        queue: Path<Name>,
    ) -> Result<Json<Queue>, Refused<QueueRefusals>> {
        let name = &queue.0.0;
        let unpaused = bounded(async {
            self.find(name).await?;
            unpause_queue(&self.0.pool, name).await?;
            self.changed(name).await
        });
        Ok(Json(unpaused.await?))
    }

    /// Limit a queue
    ///
    /// How many of its jobs run at once in all workers together, in all and with the same concurrency key.
    /// Holds from the next claim on: what runs already goes on. To let none start, pause the queue.
    #[oai(path = "/api/v1/queues/:queue/limits", method = "put", operation_id = "limit_queue")]
    async fn limit_queue(
        &self,
        /// The name of the queue.
        queue: Path<Name>,
        body: JsonBody<QueueLimits>,
    ) -> Result<Json<Queue>, Refused<LimitRefusals>> {
        let name = &queue.0.0;
        let limited = bounded(async {
            self.find(name).await?;
            limit_queue(&self.0.pool, name, body.0.into()).await?;
            self.changed(name).await
        });
        Ok(Json(limited.await?))
    }

    /// Ask how many workers a queue wants
    ///
    /// For an autoscaler: `workers_wanted` is how many it takes so that what waits now is done within
    /// `target`.
    #[oai(path = "/api/v1/queues/:queue/demand", method = "get", operation_id = "get_queue_demand")]
    async fn get_queue_demand(
        &self,
        /// The name of the queue.
        queue: Path<Name>,
        /// Within which time the jobs that wait shall be done: a number of seconds, or such as `10m`, `2h`;
        /// at most 366 days, and not 0.
        #[oai(default = "dto::default_target")]
        target: Query<Span>,
    ) -> Result<Json<Demand>, Refused<QueueRefusals>> {
        if target.0.0.is_zero() {
            return Err(Problem::invalid_field("target", "must be longer than 0").into());
        }
        let name = &queue.0.0;
        let demand = bounded(async {
            self.find(name).await?;
            Ok::<_, Problem>(inspect::demand(&self.0.pool, name, target.0.0).await?)
        });
        Ok(Json(demand.await?.into()))
    }
}
