//! Why a collection does not move, and when it will.

use chrono::{DateTime, Utc};
use resume_queue::{
    Job,
    inspect::{self, NextRetry, QueueRow},
};
use sqlx::PgPool;
use uuid::Uuid;

use super::Collection;
use crate::{
    call,
    call_limit::{self, Circuit},
    jobs::{ContinueCollection, FinishCollection, MakeCall, ParseDocuments},
    progress::{CollectionState, Counts, ErrorCount},
};

/// How many kinds of errors of calls are listed, and how many reasons in all.
const KINDS_MAX: i64 = 5;
const REASONS_MAX: usize = 10;

/// How many jobs of each queue are looked at that wait for their time, of whatever collection.
const RETRIES_MAX: i64 = 200;

/// Something that a collection waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What it is: a stable code or, where calls fail, theirs.
    pub code: String,
    /// The same, for people.
    pub message: String,
    /// The source that causes it.
    pub source: Option<String>,
    /// When it ends by itself, or is looked at again, where that is known.
    pub next_try_at: Option<DateTime<Utc>>,
}

impl Waiting {
    fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), source: None, next_try_at: None }
    }

    fn of_source(code: &str, source: &str, message: &str, next_try_at: Option<DateTime<Utc>>) -> Self {
        Self { source: Some(source.to_owned()), next_try_at, ..Self::new(code, message) }
    }
}

/// What keeps a collection from going on as fast as it could, the most decisive first; nothing for one that
/// is over. Of jobs that are tried again, only those that are among the next of their queues.
///
/// # Errors
/// The database's.
pub(super) async fn reasons(
    pool: &PgPool,
    collection: &Collection,
    counts: &Counts,
    waits_for: Option<Uuid>,
    is_lagging: bool,
) -> Result<Vec<Waiting>, sqlx::Error> {
    if collection.state.is_over() {
        return Ok(Vec::new());
    }
    let mut reasons = of_collection(collection.state, waits_for, is_lagging);
    let fetches = counts.pending() > 0 && collection.state != CollectionState::Paused;
    let parses = counts.waiting() > 0;
    if fetches || parses {
        let queues = inspect::queues(pool).await?;
        for (queue, is_used) in [(MakeCall::KIND, fetches), (ParseDocuments::KIND, parses)] {
            if is_used {
                reasons.extend(of_queue(&queues, queue));
            }
        }
    }
    let retries = retries(pool, collection.id).await?;
    if fetches {
        reasons.extend(of_source(pool, &collection.source).await?);
        reasons.extend(of_calls(pool, collection.id, &collection.source, &retries).await?);
    }
    for retry in &retries {
        // The error of a call is listed already, unless only its job has it.
        let is_listed = reasons.iter().any(|reason| reason.code == retry.code);
        if !is_listed && reasons.len() < REASONS_MAX {
            reasons.push(of_job(retry));
        }
    }
    Ok(reasons)
}

fn of_collection(state: CollectionState, waits_for: Option<Uuid>, is_lagging: bool) -> Vec<Waiting> {
    let mut reasons = Vec::new();
    if state == CollectionState::Paused {
        reasons.push(Waiting::new("paused", "it is paused until somebody continues it"));
    }
    if let Some(other) = waits_for {
        let message = format!("collection {other} of the same source has to be over first");
        reasons.push(Waiting::new("waits_for_collection", message));
    }
    if is_lagging {
        let message = "too many documents of its source wait to be parsed first";
        reasons.push(Waiting::new("parsing_lags", message));
    }
    reasons
}

fn of_queue(queues: &[QueueRow], name: &str) -> Option<Waiting> {
    let queue = queues.iter().find(|queue| queue.name == name);
    if queue.is_some_and(|queue| queue.paused_at.is_some()) {
        return Some(Waiting::new("queue_paused", format!("queue {name} is paused")));
    }
    let workers = queue.map_or(0, |queue| queue.workers);
    (workers == 0).then(|| Waiting::new("no_worker", format!("no worker takes jobs of the queue {name}")))
}

async fn of_source(pool: &PgPool, source: &str) -> Result<Option<Waiting>, sqlx::Error> {
    let Some(state) = call_limit::state(pool, source).await? else { return Ok(None) };
    Ok(match (state.circuit, state.silent_until) {
        (Circuit::Held(_), _) => Some(Waiting::of_source(
            "source_held",
            source,
            "its calls are held until somebody releases them",
            None,
        )),
        (Circuit::Open(until), _) => {
            let message = "too many calls in a row have failed";
            Some(Waiting::of_source("circuit_open", source, message, Some(until)))
        }
        (_, Some(until)) => {
            let message = "it has asked for silence";
            Some(Waiting::of_source("source_silent", source, message, Some(until)))
        }
        _ => None,
    })
}

/// Calls that have failed and are made again: among them those of workers that lack a secret.
async fn of_calls(
    pool: &PgPool,
    collection_id: Uuid,
    source: &str,
    retries: &[NextRetry],
) -> Result<Vec<Waiting>, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let errors = call::error_counts(&mut conn, collection_id, true, KINDS_MAX).await?;
    let reasons = errors.into_iter().map(|ErrorCount { code, count, sample }| {
        let others = if count > 1 { format!(", and {} other calls", count - 1) } else { String::new() };
        let next = retries.iter().find(|retry| retry.queue == MakeCall::KIND && retry.code == code);
        let next_at = next.and_then(|retry| retry.next_at);
        Waiting::of_source(&code, source, &format!("{sample}{others}"), next_at)
    });
    Ok(reasons.collect())
}

/// The jobs of a collection that have had an error and are tried again next, the first to come first.
async fn retries(pool: &PgPool, collection_id: Uuid) -> Result<Vec<NextRetry>, sqlx::Error> {
    let queues = [MakeCall::KIND, ParseDocuments::KIND, FinishCollection::KIND, ContinueCollection::KIND];
    let id = collection_id.to_string();
    let mut retries = inspect::next_retries(pool, &queues, RETRIES_MAX).await?;
    retries.retain(|retry| retry.args["collection_id"].as_str() == Some(&id));
    Ok(retries)
}

fn of_job(NextRetry { id, queue, next_at, code, error, .. }: &NextRetry) -> Waiting {
    Waiting { next_try_at: *next_at, ..Waiting::new(code, format!("job {id} ({queue}): {error}")) }
}
