use std::{collections::HashMap, time::Duration};

use sqlx::PgConnection;

use crate::{Job, JobId, backoff::WAIT_MAX};

/// The largest payload. A queue row is rewritten when it is claimed and when it ends; data belongs in a table of its
/// own, and its id in the payload.
pub const MAX_ARGS_BYTES: usize = 1024 * 1024;

/// The longest idempotency key: PostgreSQL takes no index entry over 2,704 bytes.
pub const MAX_KEY_BYTES: usize = 1024;

/// Why jobs were not enqueued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The payload does not serialize.
    #[error("the payload of a {kind} job does not serialize")]
    Args {
        /// The kind of the job.
        kind: String,
        /// What serde said.
        #[source]
        source: serde_json::Error,
    },
    /// The payload is over [`MAX_ARGS_BYTES`].
    #[error(
        "the payload of a {kind} job has {size_bytes} bytes, the most is {MAX_ARGS_BYTES}: store the data and enqueue its id"
    )]
    TooLarge {
        /// The kind of the job.
        kind: String,
        /// The size of the payload.
        size_bytes: usize,
    },
    /// The payload contains the character NUL.
    #[error("the payload of a {kind} job contains a NUL character, which PostgreSQL cannot store")]
    Nul {
        /// The kind of the job.
        kind: String,
    },
    /// The idempotency key contains the character NUL, or is over [`MAX_KEY_BYTES`].
    #[error(
        "the idempotency key of a {kind} job has {size_bytes} bytes or a NUL character, the most is {MAX_KEY_BYTES} without NUL"
    )]
    Key {
        /// The kind of the job.
        kind: String,
        /// The size of the key.
        size_bytes: usize,
    },
    /// The database refused; nothing was enqueued.
    #[error("enqueueing failed")]
    Database(#[from] sqlx::Error),
}

/// A job that is about to be enqueued.
#[derive(Debug, Clone)]
pub struct NewJob {
    kind: String,
    args: String,
    priority: i16,
    delay: Option<Duration>,
    max_attempts: i32,
    idempotency_key: Option<String>,
    on_discard: Option<String>,
}

impl NewJob {
    /// A job that carries `payload`, due at once, with priority 0.
    ///
    /// # Errors
    /// [`EnqueueError::Args`], [`EnqueueError::TooLarge`] or [`EnqueueError::Nul`].
    pub fn new<J: Job>(payload: &J) -> Result<Self, EnqueueError> {
        let kind = J::KIND.to_owned();
        let args = serde_json::to_string(payload)
            .map_err(|source| EnqueueError::Args { kind: kind.clone(), source })?;
        if args.len() > MAX_ARGS_BYTES {
            return Err(EnqueueError::TooLarge { kind, size_bytes: args.len() });
        }
        if holds_nul(&args) {
            return Err(EnqueueError::Nul { kind });
        }
        Ok(Self {
            kind,
            args,
            priority: 0,
            delay: None,
            max_attempts: i32::from(J::MAX_ATTEMPTS),
            idempotency_key: None,
            on_discard: J::ON_DISCARD.map(str::to_owned),
        })
    }

    /// Makes the job wait this long, by the database's clock; at most a year.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay: Some(delay.min(WAIT_MAX)), ..self }
    }

    /// Jobs of a higher priority are claimed first; among equals the older one.
    #[must_use]
    pub fn priority(self, priority: i16) -> Self {
        Self { priority, ..self }
    }

    /// Enqueues nothing when a live job of the same kind has the same key.
    #[must_use]
    pub fn idempotency_key(self, key: impl Into<String>) -> Self {
        Self { idempotency_key: Some(key.into()), ..self }
    }
}

/// What became of one new job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It waits under this id.
    Inserted(JobId),
    /// A live job has its idempotency key: this one, or none any more if that job ended in the meantime.
    Duplicate(Option<JobId>),
}

/// Enqueues one job, due at once, in the caller's transaction.
///
/// # Errors
/// See [`EnqueueError`].
pub async fn enqueue<J: Job>(conn: &mut PgConnection, payload: &J) -> Result<JobId, EnqueueError> {
    let job = NewJob::new(payload)?;
    let outcome = enqueue_all(conn, &[job]).await?;
    match outcome[..] {
        [Enqueued::Inserted(id)] => Ok(id),
        _ => unreachable!("a job without an idempotency key is always inserted"),
    }
}

/// Enqueues any number of jobs with one statement in the caller's transaction, and tells for each what became of it, in
/// the order given. A duplicate never fails the rest.
///
/// Waits for a concurrent transaction that is enqueueing the same idempotency key.
///
/// # Errors
/// [`EnqueueError::Key`], before the database is asked, and [`EnqueueError::Database`].
pub async fn enqueue_all(conn: &mut PgConnection, jobs: &[NewJob]) -> Result<Vec<Enqueued>, EnqueueError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    if let Some((job, key)) = jobs
        .iter()
        .filter_map(|job| Some((job, job.idempotency_key.as_ref()?)))
        .find(|(_, key)| is_bad_key(key))
    {
        return Err(EnqueueError::Key { kind: job.kind.clone(), size_bytes: key.len() });
    }
    let column = |f: fn(&NewJob) -> &str| jobs.iter().map(|job| f(job).to_owned()).collect::<Vec<_>>();
    let kinds = column(|job| &job.kind);
    let args = column(|job| &job.args);
    let priorities: Vec<i16> = jobs.iter().map(|job| job.priority).collect();
    let delays: Vec<Option<f64>> = jobs.iter().map(|job| job.delay.map(|d| d.as_secs_f64())).collect();
    let max_attempts: Vec<i32> = jobs.iter().map(|job| job.max_attempts).collect();
    let keys: Vec<Option<String>> = jobs.iter().map(|job| job.idempotency_key.clone()).collect();
    let on_discard: Vec<Option<String>> = jobs.iter().map(|job| job.on_discard.clone()).collect();
    // The ids are drawn before the insert, so that a row that comes back tells which input it was. Keys are inserted in
    // their order, so that two batches never wait for each other in a circle.
    let rows = sqlx::query!(
        r#"
        with input as materialized (
            select nextval('queue.live_jobs_id_seq') as id, i.*
            from unnest($1::text[], $2::text[], $3::smallint[], $4::float8[], $5::integer[], $6::text[], $7::text[])
                with ordinality as i (kind, args, priority, delay_s, max_attempts, idempotency_key, on_discard, ord)
        ), inserted as (
            insert into queue.live_jobs
                (id, queue, kind, args, priority, state, run_at, max_attempts, idempotency_key, on_discard)
            select id, kind, kind, args::jsonb, priority,
                   case when delay_s > 0 then 'scheduled' else 'available' end::queue.job_state,
                   now() + make_interval(secs => coalesce(delay_s, 0)), max_attempts, idempotency_key, on_discard
            from input order by kind, idempotency_key, ord
            on conflict (queue, idempotency_key) where idempotency_key is not null do nothing
            returning id
        )
        select input.id as "id!", inserted.id is not null as "inserted!"
        from input left join inserted on inserted.id = input.id order by input.ord
        "#,
        &kinds,
        &args,
        &priorities,
        &delays as &[Option<f64>],
        &max_attempts,
        &keys as &[Option<String>],
        &on_discard as &[Option<String>],
    )
    .fetch_all(&mut *conn)
    .await?;
    let duplicates = rows.iter().zip(jobs).filter(|(row, _)| !row.inserted).map(|(_, job)| job);
    let live = live_jobs_with_keys(conn, duplicates).await?;
    let outcome = rows.iter().zip(jobs).map(|(row, job)| {
        if row.inserted {
            return Enqueued::Inserted(row.id);
        }
        let key = job.idempotency_key.as_deref().unwrap_or_default();
        Enqueued::Duplicate(live.get(&(job.kind.as_str(), key)).copied())
    });
    Ok(outcome.collect())
}

/// Finds the live jobs that stand in the way. A statement of its own: the one that inserted cannot see what another
/// transaction committed after it began.
async fn live_jobs_with_keys<'a>(
    conn: &mut PgConnection,
    jobs: impl Iterator<Item = &'a NewJob>,
) -> Result<HashMap<(&'a str, &'a str), JobId>, sqlx::Error> {
    let wanted: Vec<(&str, &str)> =
        jobs.filter_map(|job| Some((job.kind.as_str(), job.idempotency_key.as_deref()?))).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let (queues, keys): (Vec<String>, Vec<String>) =
        wanted.iter().map(|(queue, key)| ((*queue).to_owned(), (*key).to_owned())).unzip();
    let rows = sqlx::query!(
        r#"
        select w.ord as "ord!", j.id
        from unnest($1::text[], $2::text[]) with ordinality as w (queue, idempotency_key, ord)
        join queue.live_jobs j on j.queue = w.queue and j.idempotency_key = w.idempotency_key
        "#,
        &queues,
        &keys
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (wanted[row.ord as usize - 1], row.id)).collect())
}

fn is_bad_key(key: &str) -> bool {
    key.len() > MAX_KEY_BYTES || key.contains('\0')
}

/// Whether some text in this JSON holds the character NUL: its escape, and not a backslash that is followed by `u0000`.
fn holds_nul(json: &str) -> bool {
    let is_escape =
        |at: usize| json.as_bytes()[..at].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0;
    json.match_indices(r"\u0000").any(|(at, _)| is_escape(at))
}
