//! What goes over the wire.

use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use poem_openapi::{Object, types::Example};
use resume_queue::{
    JobState, Limits,
    inspect::{self, QueueRow},
    maintenance::Depth,
};

use crate::{body::ReadFields, fields::Fields, jobs::JobCount, span::Span};

/// The largest limit: what the database can count to.
const MAX_LIMIT: u32 = i32::MAX as u32;

/// Within which time the jobs that wait shall be done, unless told otherwise.
pub(super) fn default_target() -> Span {
    Span(Duration::from_secs(60))
}

/// All queues.
#[derive(Debug, Object)]
#[oai(example)]
pub(super) struct QueueList {
    /// The queues, by name.
    results: Vec<Queue>,
}

/// A queue: where the jobs of one kind wait.
#[derive(Debug, Object)]
#[oai(example)]
pub(super) struct Queue {
    /// Its name.
    name: String,
    /// Since when it is paused; null when it is not.
    #[oai(nullable)]
    paused_at: Option<DateTime<Utc>>,
    /// How many of its jobs may run at once, in all workers together; null: as many as there are slots.
    #[oai(nullable)]
    max_running: Option<u32>,
    /// How many of them with the same concurrency key; null: as many as there are slots.
    #[oai(nullable)]
    max_running_per_key: Option<u32>,
    /// How many live workers take its jobs.
    workers: u64,
    /// How many of its jobs they can run at once.
    slots: u64,
    /// How many jobs it holds, as the leader counted them last; null before the first count with a job of it.
    #[oai(nullable)]
    depths: Option<QueueDepths>,
}

/// How many jobs a queue holds by state, each counted up to 100,000.
#[derive(Debug, Object)]
struct QueueDepths {
    /// Jobs that wait for a worker.
    available: JobCount,
    /// Jobs that wait for their time.
    scheduled: JobCount,
    /// Jobs that have failed and wait for their next attempt.
    retryable: JobCount,
    /// Jobs that run.
    running: JobCount,
    /// How long the next job had been due: how far behind the queue is. Null when none was due.
    #[oai(nullable)]
    oldest_wait_seconds: Option<f64>,
    /// When this was counted: every ten seconds, while a worker leads.
    measured_at: DateTime<Utc>,
}

impl QueueDepths {
    /// Those of one queue, among the counts of all.
    fn of(queue: &str, depths: &[Depth]) -> Option<Self> {
        let own = || depths.iter().filter(|depth| depth.queue == queue);
        let count = |state| {
            let found = own().find(|depth| depth.state == state);
            found.map_or(JobCount { value: 0, exact: true }, |depth| JobCount {
                value: depth.jobs.unsigned_abs(),
                exact: depth.exact,
            })
        };
        Some(Self {
            available: count(JobState::Available),
            scheduled: count(JobState::Scheduled),
            retryable: count(JobState::Retryable),
            running: count(JobState::Running),
            oldest_wait_seconds: own()
                .filter_map(|depth| depth.next_waited)
                .max()
                .map(|waited| waited.as_secs_f64()),
            measured_at: own().map(|depth| depth.measured_at).max()?,
        })
    }
}

impl Queue {
    /// A queue, with what is told of it among the counts of all.
    pub(super) fn new(row: QueueRow, depths: &[Depth]) -> Self {
        let QueueRow { name, paused_at, limits, workers, slots } = row;
        let Limits { max_running, max_running_per_key } = limits;
        let depths = QueueDepths::of(&name, depths);
        Self { name, paused_at, max_running, max_running_per_key, workers, slots, depths }
    }
}

impl From<Vec<Queue>> for QueueList {
    fn from(results: Vec<Queue>) -> Self {
        Self { results }
    }
}

/// How many jobs of a queue may run at once, in all workers together. Both members must be given: what is
/// replaced is the pair.
#[derive(Debug, Object)]
#[oai(example)]
pub(super) struct QueueLimits {
    /// In all; null: as many as there are slots.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "2147483647")))]
    max_running: Option<u32>,
    /// With the same concurrency key; null: as many as there are slots.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "2147483647")))]
    max_running_per_key: Option<u32>,
}

impl ReadFields for QueueLimits {
    fn read(fields: &mut Fields) -> Self {
        Self {
            max_running: limit(fields, "max_running"),
            max_running_per_key: limit(fields, "max_running_per_key"),
        }
    }
}

fn limit(fields: &mut Fields, name: &'static str) -> Option<u32> {
    let expected = format!("a whole number from 1 to {MAX_LIMIT}, or null for no limit");
    if !fields.has(name) {
        fields.refuse(name, format!("must be given: {expected}"));
    }
    let number = |value: &serde_json::Value| {
        if value.is_null() {
            return Some(None);
        }
        let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
        number.filter(|n| (1..=MAX_LIMIT).contains(n)).map(Some)
    };
    fields.read(name, &expected, number).flatten()
}

impl From<QueueLimits> for Limits {
    fn from(QueueLimits { max_running, max_running_per_key }: QueueLimits) -> Self {
        Self { max_running, max_running_per_key }
    }
}

/// How many workers a queue wants.
#[derive(Debug, Object)]
#[oai(rename = "QueueDemand", example)]
pub(super) struct Demand {
    /// Jobs that could start now; counted up to 100,000.
    waiting: JobCount,
    /// Jobs that run.
    running: u64,
    /// How long a job takes on average; null before the first has ended.
    #[oai(nullable)]
    mean_run_seconds: Option<f64>,
    /// How many jobs a worker runs at once, on average.
    slots_per_worker: f64,
    /// Live workers that take jobs of the queue.
    workers: u64,
    /// As many as it takes to do what waits within the target, beside what runs; never more than the queue's
    /// limit can use, and none for a paused queue.
    workers_wanted: u64,
}

impl From<inspect::Demand> for Demand {
    fn from(demand: inspect::Demand) -> Self {
        Self {
            waiting: JobCount { value: demand.waiting, exact: demand.waiting_is_exact },
            running: demand.running,
            mean_run_seconds: demand.mean_run_s,
            slots_per_worker: demand.slots_per_worker,
            workers: demand.workers,
            workers_wanted: demand.workers_wanted,
        }
    }
}

impl Example for Queue {
    fn example() -> Self {
        Self {
            name: "make_call".to_owned(),
            paused_at: None,
            max_running: Some(100),
            max_running_per_key: None,
            workers: 2,
            slots: 32,
            depths: Some(QueueDepths {
                available: JobCount { value: 100_000, exact: false },
                scheduled: JobCount { value: 0, exact: true },
                retryable: JobCount { value: 3, exact: true },
                running: JobCount { value: 32, exact: true },
                oldest_wait_seconds: Some(12.5),
                measured_at: Utc.timestamp_nanos(1_795_446_000_000_000_000),
            }),
        }
    }
}

impl Example for QueueList {
    fn example() -> Self {
        Self { results: vec![Queue::example()] }
    }
}

impl Example for QueueLimits {
    fn example() -> Self {
        Self { max_running: Some(100), max_running_per_key: None }
    }
}

impl Example for Demand {
    fn example() -> Self {
        Self {
            waiting: JobCount { value: 4_000, exact: true },
            running: 32,
            mean_run_seconds: Some(2.1),
            slots_per_worker: 16.0,
            workers: 2,
            workers_wanted: 11,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attributes take literals only.
    #[test]
    fn the_description_says_the_largest_limit() {
        let spec = crate::spec::document();
        let schema = &spec["components"]["schemas"]["QueueLimits"];
        for field in ["max_running", "max_running_per_key"] {
            assert_eq!(schema["properties"][field]["maximum"].as_f64(), Some(f64::from(MAX_LIMIT)));
        }
        assert_eq!(schema["required"], serde_json::json!(["max_running", "max_running_per_key"]));
    }
}
