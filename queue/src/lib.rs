//! A job queue on PostgreSQL, as a backend for [apalis](https://docs.rs/apalis) 1.0.
//!
//! apalis calls a unit of work a "task"; here, in SQL and on every page it is a *job*. The translation
//! happens in [`backend`](QueueBackend) and nowhere else.
//!
//! | file | what it does |
//! | --- | --- |
//! | `job.rs` | [`Job`]: what a payload type says about itself |
//! | `enqueue.rs`, `unique.rs` | [`enqueue`], [`enqueue_all`]: insert jobs in the caller's transaction; [`Unique`] keys |
//! | `group.rs` | [`create_group`]: a follow-up when all jobs of a group have ended |
//! | `claim.rs` | takes jobs for a worker, under a lease |
//! | `claimer.rs`, `slots.rs`, `lookout.rs` | when to claim how many: free slots, how many there are, sleep and load |
//! | `settle.rs` | ends an attempt: completed, retry, snooze, hand back, discarded |
//! | `completer.rs` | settles in batches, until the database answers |
//! | `backoff.rs` | how long a failed job waits |
//! | `session.rs` | [`Session`]: one process as a worker; start, shutdown |
//! | `held.rs` | the jobs that the process holds, and what tells their handlers to stop |
//! | `presence.rs` | the connection whose death gives the process away; listens for notifications |
//! | `heartbeat.rs` | keeps the leases of running jobs |
//! | `leader.rs` | [`leader()`]: which worker does the maintenance for all |
//! | `control/` | what people do: [`cancel`], [`discard`], [`retry`], [`pause_queue`], [`limit_queue`], one or many |
//! | `inspect/` | [`inspect`]: what people see of jobs, queues and workers; why a job does not run |
//! | `metrics.rs`, `trace.rs` | [`metrics`], and the trace context that jobs carry |
//! | `schema.rs`, `migrations/` | [`MIGRATOR`]: the tables |
//! | `schedules/` | [`schedules`]: jobs by the clock, by cron or once |
//! | `maintenance/` | [`maintenance`]: what the leader does, one service a file |
//! | `backend.rs`, `attempt.rs` | the apalis side: hands out claimed jobs, runs each attempt in a task of its own |
//!
//! How to add a kind of job: a payload type that implements [`Job`], a handler `async fn(Payload,
//! Data<Lease>, ..) -> Result<(), JobError>`, and a worker built over [`Session::backend`].

mod attempt;
mod backend;
mod backoff;
mod claim;
mod claimer;
mod completer;
mod control;
mod enqueue;
mod error;
mod group;
mod heartbeat;
mod held;
pub mod inspect;
mod job;
mod leader;
mod lookout;
pub mod maintenance;
pub mod metrics;
mod name;
mod presence;
pub mod schedules;
mod schema;
mod session;
mod settle;
mod shares;
mod slots;
#[cfg(test)]
mod tests;
pub mod trace;
mod unique;

pub use attempt::{Lease, LeaseLayer, LeaseService};
pub use backend::{QueueBackend, QueueConfig};
pub use control::{
    Changed, Count, END_STATES, JobFilter, Limits, Progress, RETRY_STATES, Remaining, cancel, cancel_all,
    count, discard, discard_all, end_stands, forget_errors, hasten_key, limit_queue, pause_queue, retry,
    retry_all, unpause_queue,
};
pub use enqueue::{
    EnqueueError, Enqueued, Existing, MAX_ARGS_BYTES, MAX_KEY_BYTES, NewJob, enqueue, enqueue_all,
};
pub use error::{Coded, CompleteError, JobError, UNDECODABLE_PAYLOAD};
pub use group::{GroupId, create_group, hold_group};
pub use job::{Discarded, Job, JobId, JobState, UnknownState};
pub use leader::{Leader, leader};
pub use name::{MAX_NAME_CHARS, is_name};
pub use schema::MIGRATOR;
pub use session::{Session, SessionSettings};
pub use unique::Unique;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
