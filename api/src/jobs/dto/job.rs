use chrono::{DateTime, Utc};
use poem_openapi::{
    Object,
    types::{Any, Example},
};
use resume_queue::inspect::JobRow;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{EXAMPLE_COLLECTION, EXAMPLE_ID, example_time, state::State};

/// A job.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::jobs) struct Job {
    /// Its number, which it keeps for ever.
    id: i64,
    /// The queue it waits in.
    queue: String,
    /// What sort of job it is.
    kind: String,
    /// Where it stands.
    state: State,
    /// What a running job becomes as soon as its handler has stopped, when that was asked for; else null.
    #[oai(nullable)]
    end_as: Option<State>,
    /// What it is to be done with.
    args: Any<Value>,
    /// The collection it works for; null when it works for none.
    #[oai(nullable)]
    collection_id: Option<Uuid>,
    /// How many attempts were begun.
    attempt: i32,
    /// How many there may be.
    max_attempts: i32,
    /// By how many minutes its turn comes earlier.
    priority: i16,
    /// When it was enqueued.
    created_at: DateTime<Utc>,
    /// When it is, or was, due.
    run_at: DateTime<Utc>,
    /// When its last attempt began; null before the first.
    #[oai(nullable)]
    started_at: Option<DateTime<Utc>>,
    /// When it ended; null while it has not.
    #[oai(nullable)]
    finished_at: Option<DateTime<Utc>>,
    /// The name of the worker of its last attempt.
    #[oai(nullable)]
    worker: Option<String>,
    /// The error of its last failed attempt; null when none failed.
    #[oai(nullable)]
    last_error: Option<String>,
    /// The code of that error.
    #[oai(nullable)]
    last_error_code: Option<String>,
    /// Every failed attempt, the oldest first.
    errors: Vec<FailedAttempt>,
    /// The name that makes it unique.
    #[oai(nullable)]
    idempotency_key: Option<String>,
    /// How many jobs of one such key run at once is limited by the queue.
    #[oai(nullable)]
    concurrency_key: Option<String>,
    /// The group of jobs it belongs to.
    #[oai(nullable)]
    group_id: Option<i64>,
    /// The W3C trace context of whoever enqueued it.
    #[oai(nullable)]
    traceparent: Option<String>,
}

/// An attempt that failed.
#[derive(Debug, Object)]
#[oai(rename = "JobError")]
struct FailedAttempt {
    /// Which one it was, from 1.
    attempt: i64,
    /// When it failed.
    #[oai(nullable)]
    at: Option<DateTime<Utc>>,
    /// A stable code.
    code: String,
    /// What happened, for people.
    error: String,
}

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        let errors = row.errors.as_ref().and_then(Value::as_array).into_iter().flatten();
        let errors: Vec<FailedAttempt> = errors.map(Into::into).collect();
        let last = errors.last();
        Self {
            id: row.id,
            queue: row.queue,
            kind: row.kind,
            state: row.state.into(),
            end_as: row.end_as.map(Into::into),
            collection_id: row.args["collection_id"].as_str().and_then(|id| id.parse().ok()),
            args: Any(row.args),
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            priority: row.priority,
            created_at: row.created_at,
            run_at: row.run_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            worker: row.worker,
            last_error: last.map(|last| last.error.clone()),
            last_error_code: last.map(|last| last.code.clone()),
            errors,
            idempotency_key: row.idempotency_key,
            concurrency_key: row.concurrency_key,
            group_id: row.group_id,
            traceparent: row.traceparent,
        }
    }
}

impl From<&Value> for FailedAttempt {
    fn from(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Self {
            attempt: value["attempt"].as_i64().unwrap_or_default(),
            at: value["at"].as_str().and_then(|at| at.parse().ok()),
            // Attempts that failed before there were codes have none.
            code: text("code").unwrap_or_else(|| "error".to_owned()),
            error: text("error").unwrap_or_default(),
        }
    }
}

impl Example for Job {
    fn example() -> Self {
        let error = json!({
            "attempt": 1, "at": example_time(), "code": "source_timeout", "error": "the source did not answer within 30 s",
        });
        Self {
            id: EXAMPLE_ID,
            queue: "make_call".to_owned(),
            kind: "make_call".to_owned(),
            state: State::Retryable,
            end_as: None,
            args: Any(json!({"collection_id": EXAMPLE_COLLECTION, "page": 3})),
            collection_id: Some(EXAMPLE_COLLECTION),
            attempt: 1,
            max_attempts: 8,
            priority: 0,
            created_at: example_time(),
            run_at: example_time(),
            started_at: Some(example_time()),
            finished_at: None,
            worker: Some("worker-1:4711".to_owned()),
            last_error: Some("the source did not answer within 30 s".to_owned()),
            last_error_code: Some("source_timeout".to_owned()),
            errors: vec![(&error).into()],
            idempotency_key: None,
            concurrency_key: None,
            group_id: None,
            traceparent: None,
        }
    }
}
