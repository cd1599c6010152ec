//! What people see of jobs, queues and workers, from any process. Reads only.

mod demand;
pub(crate) mod jobs;
mod next_retries;
mod queues;
mod why;
mod workers;

pub use demand::{Demand, demand};
pub use jobs::{JobPage, JobRow, job, jobs};
pub use next_retries::{NextRetry, next_retries};
pub use queues::{QueueRow, queue, queues};
pub use why::{Obstacle, Reason, why_not_running};
pub use workers::{QueueOfWorker, WorkerRow, workers};
