//! What goes over the wire.

use chrono::{DateTime, TimeZone, Utc};
use poem_openapi::{Object, types::Example};
use resume_queue::{
    Leader,
    inspect::{QueueOfWorker, WorkerRow},
};

/// The workers.
#[derive(Debug, Object)]
#[oai(example)]
pub(super) struct WorkerList {
    /// The workers, the newest first.
    results: Vec<Worker>,
    /// The one that leads: it does the maintenance for all. Null while none does, for some seconds at most as
    /// long as any lives.
    #[oai(nullable)]
    leader: Option<WorkerLeader>,
}

/// The worker that leads.
#[derive(Debug, Object)]
struct WorkerLeader {
    /// The id of the worker.
    worker_id: i64,
    /// Its name.
    name: String,
    /// The number of this term.
    term: i64,
    /// When it was elected.
    elected_at: DateTime<Utc>,
}

/// A process that runs jobs.
#[derive(Debug, Object)]
struct Worker {
    /// Its number, unique for ever.
    id: i64,
    /// Its name; not unique.
    name: String,
    /// When it started.
    started_at: DateTime<Utc>,
    /// When it last told that it lives.
    heartbeat_at: DateTime<Utc>,
    /// When it left, or was found dead; null while it lives.
    #[oai(nullable)]
    stopped_at: Option<DateTime<Utc>>,
    /// What it works on, by name.
    queues: Vec<WorkerQueue>,
}

/// A queue that a worker works on.
#[derive(Debug, Object)]
struct WorkerQueue {
    /// The name of the queue.
    queue: String,
    /// How many of its jobs the worker runs at once.
    slots: i32,
    /// How many it runs now.
    running: i64,
    /// How long a job takes it on average; null before the first has ended.
    #[oai(nullable)]
    mean_run_seconds: Option<f64>,
}

impl WorkerList {
    pub(super) fn new(workers: Vec<WorkerRow>, leader: Option<Leader>) -> Self {
        Self { results: workers.into_iter().map(Into::into).collect(), leader: leader.map(Into::into) }
    }
}

impl From<Leader> for WorkerLeader {
    fn from(Leader { worker_id, name, term, elected_at, lease_until: _ }: Leader) -> Self {
        Self { worker_id, name, term, elected_at }
    }
}

impl From<WorkerRow> for Worker {
    fn from(row: WorkerRow) -> Self {
        let WorkerRow { id, name, started_at, heartbeat_at, stopped_at, queues } = row;
        let queues = queues.into_iter().map(Into::into).collect();
        Self { id, name, started_at, heartbeat_at, stopped_at, queues }
    }
}

impl From<QueueOfWorker> for WorkerQueue {
    fn from(QueueOfWorker { queue, slots, running, mean_run_s }: QueueOfWorker) -> Self {
        Self { queue, slots, running, mean_run_seconds: mean_run_s }
    }
}

impl Example for WorkerList {
    fn example() -> Self {
        let now = Utc.timestamp_nanos(1_795_446_000_000_000_000);
        let queue = WorkerQueue {
            queue: "make_call".to_owned(),
            slots: 16,
            running: 6,
            mean_run_seconds: Some(0.21),
        };
        let worker = Worker {
            id: 12,
            name: "worker-1:4711".to_owned(),
            started_at: now,
            heartbeat_at: now,
            stopped_at: None,
            queues: vec![queue],
        };
        let leader =
            WorkerLeader { worker_id: worker.id, name: worker.name.clone(), term: 3, elected_at: now };
        Self { results: vec![worker], leader: Some(leader) }
    }
}
