use std::{collections::BTreeMap, time::Duration};

use sqlx::PgConnection;

use crate::{
    GroupId, Job, JobId, JobState,
    backoff::WAIT_MAX,
    metrics, trace,
    unique::{Unique, holders_of},
};

/// The largest payload. A queue row is rewritten when it is claimed and when it ends; data belongs in a table
/// of its own, and its id in the payload.
pub const MAX_ARGS_BYTES: usize = 1024 * 1024;

/// The longest unique or concurrency key: PostgreSQL takes no index entry over 2,704 bytes.
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
    /// A unique key or a concurrency key contains the character NUL, or is over [`MAX_KEY_BYTES`].
    #[error(
        "the {which} key of a {kind} job has {size_bytes} bytes or a NUL character, the most is {MAX_KEY_BYTES} without NUL"
    )]
    Key {
        /// The kind of the job.
        kind: String,
        /// `unique` or `concurrency`.
        which: &'static str,
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
    unique: Option<Unique>,
    group: Option<GroupId>,
    concurrency_key: Option<String>,
    on_discard: Option<String>,
    traceparent: Option<String>,
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
            unique: None,
            group: None,
            concurrency_key: None,
            on_discard: J::ON_DISCARD.map(str::to_owned),
            traceparent: trace::current(),
        })
    }

    pub(crate) fn args(&self) -> &str {
        &self.args
    }

    /// Makes the job wait this long, by the database's clock; at most a year.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay: Some(delay.min(WAIT_MAX)), ..self }
    }

    /// Each step of priority is worth one minute of waiting: a job of priority 5 is claimed before all that
    /// wait since less than five minutes, and no job starves. From -32,768 to 32,767, 0 by default.
    #[must_use]
    pub fn priority(self, priority: i16) -> Self {
        Self { priority, ..self }
    }

    /// Enqueues nothing while a live job of the same kind has the same key: short for
    /// [`unique`](Self::unique).
    #[must_use]
    pub fn idempotency_key(self, key: impl Into<String>) -> Self {
        self.unique(Unique::key(key))
    }

    /// Enqueues nothing while the last job of the same kind with the same key stands as `unique` says.
    #[must_use]
    pub fn unique(self, unique: Unique) -> Self {
        Self { unique: Some(unique), ..self }
    }

    /// Adds the job to a group, or to none; see [`create_group`](crate::create_group) for when that is sound.
    #[must_use]
    pub fn group(self, group: impl Into<Option<GroupId>>) -> Self {
        Self { group: group.into(), ..self }
    }

    /// Counts the job under this key where its queue limits the running jobs of a key
    /// ([`Limits::max_running_per_key`](crate::Limits::max_running_per_key)).
    #[must_use]
    pub fn concurrency_key(self, key: impl Into<String>) -> Self {
        Self { concurrency_key: Some(key.into()), ..self }
    }

    fn check_keys(&self) -> Result<(), EnqueueError> {
        let unique = self.unique.as_ref().map(|unique| ("unique", unique.key.as_str()));
        let concurrency = self.concurrency_key.as_deref().map(|key| ("concurrency", key));
        match unique.into_iter().chain(concurrency).find(|(_, key)| is_bad_key(key)) {
            Some((which, key)) => {
                Err(EnqueueError::Key { kind: self.kind.clone(), which, size_bytes: key.len() })
            }
            None => Ok(()),
        }
    }
}

/// What became of one new job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It waits under this id.
    Inserted(JobId),
    /// This job has its unique key; `None` when that one has gone for good in the meantime.
    Duplicate(Option<Existing>),
}

/// The job that has a unique key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Existing {
    /// Its id.
    pub id: JobId,
    /// Its state, when asked.
    pub state: JobState,
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
        _ => unreachable!("a job without a unique key is always inserted"),
    }
}

/// Enqueues any number of jobs with one statement in the caller's transaction, and tells for each what became
/// of it, in the order given. A duplicate never fails the rest.
///
/// Waits for a concurrent transaction that is enqueueing the same unique key.
///
/// # Errors
/// [`EnqueueError::Key`], before the database is asked, and [`EnqueueError::Database`].
pub async fn enqueue_all(conn: &mut PgConnection, jobs: &[NewJob]) -> Result<Vec<Enqueued>, EnqueueError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    for job in jobs {
        job.check_keys()?;
    }
    if jobs.iter().all(|job| job.unique.is_none()) {
        return Ok(insert(conn, jobs).await?.into_iter().map(Enqueued::Inserted).collect());
    }
    let inserted = insert_unless_taken(conn, jobs).await?;
    let duplicates = inserted.iter().zip(jobs).filter(|(id, _)| id.is_none());
    let keys: Vec<(&str, &str)> = duplicates
        .filter_map(|(_, job)| Some((job.kind.as_str(), job.unique.as_ref()?.key.as_str())))
        .collect();
    let mut holders = holders_of(conn, &keys).await?.into_iter();
    let outcome = |id: Option<JobId>| match id {
        Some(id) => Enqueued::Inserted(id),
        None => Enqueued::Duplicate(holders.next().flatten()),
    };
    Ok(inserted.into_iter().map(outcome).collect())
}

/// What the columns of new jobs have, one entry for each.
struct Columns {
    kinds: Vec<String>,
    args: Vec<String>,
    priorities: Vec<i16>,
    delays: Vec<Option<f64>>,
    max_attempts: Vec<i32>,
    on_discard: Vec<Option<String>>,
    traceparents: Vec<Option<String>>,
    groups: Vec<Option<GroupId>>,
    concurrency_keys: Vec<Option<String>>,
}

impl Columns {
    fn of(jobs: &[NewJob]) -> Self {
        Self {
            kinds: jobs.iter().map(|job| job.kind.clone()).collect(),
            args: jobs.iter().map(|job| job.args.clone()).collect(),
            priorities: jobs.iter().map(|job| job.priority).collect(),
            delays: jobs.iter().map(|job| job.delay.map(|d| d.as_secs_f64())).collect(),
            max_attempts: jobs.iter().map(|job| job.max_attempts).collect(),
            on_discard: jobs.iter().map(|job| job.on_discard.clone()).collect(),
            traceparents: jobs.iter().map(|job| job.traceparent.clone()).collect(),
            groups: jobs.iter().map(|job| job.group).collect(),
            concurrency_keys: jobs.iter().map(|job| job.concurrency_key.clone()).collect(),
        }
    }
}

/// Inserts jobs without a unique key; returns their ids, in the order given.
async fn insert(conn: &mut PgConnection, jobs: &[NewJob]) -> Result<Vec<JobId>, sqlx::Error> {
    let new = Columns::of(jobs);
    let ids = sqlx::query_file_scalar!(
        "src/enqueue.sql",
        &new.kinds,
        &new.args,
        &new.priorities,
        &new.delays as &[Option<f64>],
        &new.max_attempts,
        &new.on_discard as &[Option<String>],
        &new.traceparents as &[Option<String>],
        &new.groups as &[Option<i64>],
        &new.concurrency_keys as &[Option<String>],
    )
    .fetch_all(conn)
    .await?;
    count_sent(jobs, ids.iter().map(|_| true));
    Ok(ids)
}

/// Inserts the jobs whose key is free, and those without one; returns the id of each, `None` for a duplicate,
/// in the order given.
async fn insert_unless_taken(
    conn: &mut PgConnection,
    jobs: &[NewJob],
) -> Result<Vec<Option<JobId>>, sqlx::Error> {
    let new = Columns::of(jobs);
    let keys: Vec<Option<String>> = jobs.iter().map(|job| Some(job.unique.as_ref()?.key.clone())).collect();
    let states: Vec<Option<String>> = jobs.iter().map(|job| Some(job.unique.as_ref()?.states())).collect();
    let periods: Vec<Option<f64>> = jobs.iter().map(|job| job.unique.as_ref()?.period_s()).collect();
    let rows = sqlx::query_file!(
        "src/enqueue_unique.sql",
        &new.kinds,
        &new.args,
        &new.priorities,
        &new.delays as &[Option<f64>],
        &new.max_attempts,
        &new.on_discard as &[Option<String>],
        &new.traceparents as &[Option<String>],
        &new.groups as &[Option<i64>],
        &new.concurrency_keys as &[Option<String>],
        &keys as &[Option<String>],
        &states as &[Option<String>],
        &periods as &[Option<f64>],
    )
    .fetch_all(conn)
    .await?;
    count_sent(jobs, rows.iter().map(|row| row.is_inserted));
    Ok(rows.into_iter().map(|row| row.is_inserted.then_some(row.id)).collect())
}

/// Counts the inserted jobs by queue; a batch mostly has one.
fn count_sent(jobs: &[NewJob], inserted: impl Iterator<Item = bool>) {
    let mut sent: BTreeMap<&str, usize> = BTreeMap::new();
    for (job, _) in jobs.iter().zip(inserted).filter(|(_, is_inserted)| *is_inserted) {
        *sent.entry(&job.kind).or_default() += 1;
    }
    sent.into_iter().for_each(|(queue, jobs)| metrics::sent(queue, jobs));
}

fn is_bad_key(key: &str) -> bool {
    key.len() > MAX_KEY_BYTES || key.contains('\0')
}

/// Whether some text in this JSON holds the character NUL: its escape, and not a backslash that is followed
/// by `u0000`.
fn holds_nul(json: &str) -> bool {
    let is_escape =
        |at: usize| json.as_bytes()[..at].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0;
    json.match_indices(r"\u0000").any(|(at, _)| is_escape(at))
}
