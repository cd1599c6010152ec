//! What the queue counts and measures, through the [`metrics`](https://docs.rs/metrics) facade: install any
//! recorder.
//!
//! Names follow OpenTelemetry's semantic conventions for messaging where there is one
//! (<https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/>), written as Prometheus writes
//! them. The label `messaging_destination_name` is the queue. Counters and histograms are of this process
//! alone; the gauges, set by [`refresh`], are of the whole fleet, the same in every process.

use std::{collections::BTreeMap, time::Duration};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use sqlx::PgPool;

use crate::{
    UNDECODABLE_PAYLOAD, inspect,
    leader::leader,
    maintenance::{Depth, depths, report},
    settle::Outcome,
};

const SENT: &str = "messaging_client_sent_messages_total";
const CONSUMED: &str = "messaging_client_consumed_messages_total";
const PROCESS: &str = "messaging_process_duration_seconds";
const WAIT: &str = "queue_job_wait_seconds";
const ENDED: &str = "queue_attempts_ended_total";
const RESCUED: &str = "queue_rescued_jobs_total";
const STUCK: &str = "queue_stuck_handlers_total";
const JOBS: &str = "queue_jobs";
const OLDEST: &str = "queue_oldest_wait_seconds";
const WORKERS: &str = "queue_workers";
const LEADER: &str = "queue_leader_worker_id";
const TERM: &str = "queue_leader_term";
const SERVICE_AGE: &str = "queue_maintenance_age_seconds";
const SERVICE_COST: &str = "queue_maintenance_duration_seconds_total";
const SERVICE_FAILURES: &str = "queue_maintenance_failures_total";

/// The histograms of durations, for which a recorder may want buckets.
pub const HISTOGRAMS: [&str; 2] = [PROCESS, WAIT];

/// Tells the recorder what each metric means. Call it once after the recorder is installed.
pub fn describe() {
    describe_counter!(SENT, "jobs enqueued; those of a transaction that rolled back count too");
    describe_counter!(CONSUMED, "jobs claimed");
    describe_histogram!(
        PROCESS,
        Unit::Seconds,
        "from the claim of a job until the end of its attempt is durable"
    );
    describe_histogram!(WAIT, Unit::Seconds, "from when a job was due until it was claimed");
    describe_counter!(ENDED, "attempts, by how they ended and, if they failed, by error code");
    describe_counter!(RESCUED, "jobs taken back from dead workers and expired leases");
    describe_counter!(STUCK, "handlers that could not be stopped because they block their thread");
    describe_gauge!(JOBS, "live jobs by queue and state, at most 100,000, counted by the leader every 10 s");
    describe_gauge!(OLDEST, Unit::Seconds, "how long the job that is next in a queue has been due");
    describe_gauge!(WORKERS, "live workers that take jobs of a queue");
    describe_gauge!(LEADER, "the id of the worker that leads; 0 while there is none");
    describe_gauge!(TERM, "how many times a leader was elected");
    describe_gauge!(SERVICE_AGE, Unit::Seconds, "how long ago the last run of a maintenance service began");
    describe_gauge!(SERVICE_COST, Unit::Seconds, "how long all runs of a maintenance service took");
    describe_gauge!(SERVICE_FAILURES, "failed runs of a maintenance service");
}

/// Sets the gauges by what the database says now. Reads a few rows for each queue and worker, and no table of
/// jobs.
///
/// # Errors
/// The database's; the gauges keep what they had.
pub async fn refresh(pool: &PgPool) -> Result<(), sqlx::Error> {
    let depths = depths(pool).await?;
    for depth in &depths {
        gauge!(JOBS, "messaging_destination_name" => depth.queue.clone(), "state" => depth.state.as_str())
            .set(depth.jobs as f64);
    }
    // A queue that was worked on stays among the depths, and says so when nobody does.
    let mut workers: BTreeMap<String, u64> = depths.iter().map(|depth| (depth.queue.clone(), 0)).collect();
    for (queue, waited) in oldest_waits(depths) {
        gauge!(OLDEST, "messaging_destination_name" => queue).set(waited.as_secs_f64());
    }
    workers.extend(inspect::queues(pool).await?.into_iter().map(|queue| (queue.name, queue.workers)));
    for (queue, workers) in workers {
        gauge!(WORKERS, "messaging_destination_name" => queue).set(workers as f64);
    }
    let leader = leader(pool).await?;
    gauge!(LEADER).set(leader.as_ref().map_or(0.0, |leader| leader.worker_id as f64));
    if let Some(leader) = leader {
        gauge!(TERM).set(leader.term as f64);
    }
    for service in report(pool).await? {
        gauge!(SERVICE_AGE, "service" => service.service.clone()).set(service.age.as_secs_f64());
        gauge!(SERVICE_COST, "service" => service.service.clone()).set(service.total_duration.as_secs_f64());
        gauge!(SERVICE_FAILURES, "service" => service.service).set(service.failures as f64);
    }
    Ok(())
}

/// How far behind each queue is, whatever the state of the job that waits.
fn oldest_waits(depths: Vec<Depth>) -> BTreeMap<String, Duration> {
    depths.into_iter().fold(BTreeMap::new(), |mut waits, depth| {
        let oldest: &mut Duration = waits.entry(depth.queue).or_default();
        *oldest = depth.next_waited.unwrap_or_default().max(*oldest);
        waits
    })
}

pub(crate) fn sent(queue: &str, jobs: usize) {
    counter!(SENT, "messaging_destination_name" => queue.to_owned()).increment(jobs as u64);
}

/// Jobs of one claim, by how long each waited after it was due.
pub(crate) fn claimed(queue: &'static str, waited_s: impl ExactSizeIterator<Item = f64>) {
    counter!(CONSUMED, "messaging_destination_name" => queue).increment(waited_s.len() as u64);
    let wait = histogram!(WAIT, "messaging_destination_name" => queue);
    waited_s.for_each(|waited| wait.record(waited.max(0.0)));
}

/// The end of an attempt; `None`: its handler completed the job in a transaction of its own, or has lost it.
pub(crate) fn ended(queue: &'static str, outcome: Option<&Outcome>, ran: Duration) {
    let (name, code) = match outcome {
        None | Some(Outcome::Completed) => ("completed", ""),
        Some(Outcome::Retry { code, .. }) => ("failed", code.as_ref()),
        Some(Outcome::Discarded { code, .. }) => ("discarded", code.as_ref()),
        Some(Outcome::NotUnderstood { .. }) => ("not_understood", UNDECODABLE_PAYLOAD),
        Some(Outcome::Snoozed(_)) => ("snoozed", ""),
        Some(Outcome::HandedBack) => ("handed_back", ""),
        Some(Outcome::AsAsked) => ("ended_by_request", ""),
    };
    // What a stranger may have put behind a colon would make as many time series as he likes.
    let code = code.split(':').next().unwrap_or_default().to_owned();
    counter!(ENDED, "messaging_destination_name" => queue, "outcome" => name, "error_type" => code)
        .increment(1);
    histogram!(PROCESS, "messaging_destination_name" => queue).record(ran.as_secs_f64());
}

pub(crate) fn rescued(jobs: u64) {
    counter!(RESCUED).increment(jobs);
}

pub(crate) fn stuck(queue: &'static str) {
    counter!(STUCK, "messaging_destination_name" => queue).increment(1);
}
