use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use crate::{GroupId, JobId, JobState};

/// How many jobs one step of a change over many looks at: some tens of milliseconds.
pub(super) const WINDOW: i64 = 5_000;

/// Counts stop here: beyond it nobody needs the number.
const COUNT_MAX: i64 = 10_000;

/// How many jobs a count looks at of each sort: a quarter of a second.
pub(crate) const COUNT_WINDOW: i64 = 100_000;

/// Chooses jobs; a member that is `None` chooses all.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct JobFilter {
    /// Only these states. Each change takes only the states that it can change.
    #[serde(skip)]
    pub states: Option<Vec<JobState>>,
    /// Of this queue.
    pub queue: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Whose last failed attempt had this code.
    pub error_code: Option<String>,
    /// Created longer ago than this, by the database's clock.
    #[serde(rename = "older_than_s", serialize_with = "seconds")]
    pub older_than: Option<Duration>,
    /// Of this group.
    pub group_id: Option<GroupId>,
    /// Whose payload contains this: `{"collection_id": "…"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
}

fn seconds<S: serde::Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|d| d.min(crate::backoff::WAIT_MAX).as_secs_f64()).serialize(serializer)
}

impl JobFilter {
    /// The filter as `queue.matches` takes it.
    pub(crate) fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The states of `possible` that are chosen.
    pub(crate) fn states_of(&self, possible: &[JobState]) -> Vec<JobState> {
        let chosen = |state: &&JobState| self.states.as_ref().is_none_or(|states| states.contains(state));
        possible.iter().filter(chosen).copied().collect()
    }
}

/// A number of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The number, at most 10,000.
    pub value: u64,
    /// Whether there are exactly that many; else there are at least that many.
    pub is_exact: bool,
}

/// How far a change over many jobs has come. Each call changes one batch, in transactions of its own; go on
/// with `next` until it is `None`. A crash in between leaves whole batches behind, and starting again does no
/// harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The jobs that were changed by this call.
    pub changed: u64,
    /// Chosen ones that could not be changed, because another job has their unique key by now.
    pub conflicts: u64,
    /// Where to go on; `None`: that was all.
    pub next: Option<Remaining>,
}

/// What is left of a change over many jobs: those above one id, up to that of the newest job there was when
/// it began. What is enqueued later, as by the change itself, is not meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    /// The last job that is done with.
    pub after: JobId,
    /// The last one that is meant.
    pub last: JobId,
}

impl Remaining {
    pub(super) fn of_one(id: JobId) -> Self {
        Self { after: id.saturating_sub(1), last: id }
    }

    /// What is left when it is done up to this id.
    pub(super) fn behind(self, done_to: JobId) -> Option<Self> {
        (done_to < self.last).then_some(Self { after: done_to, ..self })
    }

    /// What is left, or, where nothing was begun, all jobs that there are now.
    pub(super) async fn or_all(remaining: Option<Self>, pool: &PgPool) -> Result<Self, sqlx::Error> {
        if let Some(remaining) = remaining {
            return Ok(remaining);
        }
        let last =
            sqlx::query_scalar!("select last_value from queue.live_jobs_id_seq").fetch_one(pool).await?;
        Ok(Self { after: 0, last })
    }
}

impl Progress {
    /// Of a batch that is through with the jobs up to `done_to`.
    pub(super) fn of_batch(chosen: i64, changed: i64, remaining: Remaining, done_to: JobId) -> Self {
        Self {
            changed: changed.unsigned_abs(),
            conflicts: (chosen - changed).unsigned_abs(),
            next: remaining.behind(done_to),
        }
    }
}

/// What became of a change of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is as asked for, or will be as soon as its handler has stopped.
    Done,
    /// A job in this state cannot be changed so.
    Refused(JobState),
    /// Another job has its unique key.
    Conflict,
    /// There is no such job, or no more.
    NotFound,
}

/// How many jobs a filter chooses, live and ended. Looks at the newest 100,000 live jobs, and at as many of
/// those that ended in each state asked for (completed and cancelled ones together, where completed ones are
/// asked for); where there are more, it tells what it found as the least. Locks nothing.
///
/// # Errors
/// The database's.
pub async fn count(pool: &PgPool, filter: &JobFilter) -> Result<Count, sqlx::Error> {
    count_in(&mut *pool.acquire().await?, filter).await
}

pub(crate) async fn count_in(conn: &mut PgConnection, filter: &JobFilter) -> Result<Count, sqlx::Error> {
    let states = filter.states_of(&JobState::ALL);
    let found =
        sqlx::query_file!("src/control/count.sql", &states as &[JobState], filter.to_json(), COUNT_WINDOW)
            .fetch_one(conn)
            .await?;
    let is_exact = found.is_all && found.chosen <= COUNT_MAX;
    Ok(Count { value: found.chosen.min(COUNT_MAX).unsigned_abs(), is_exact })
}

/// The result of a change of one job, of which a batch tells that it changed `progress`.
pub(super) async fn changed_one(
    pool: &PgPool,
    id: JobId,
    progress: Progress,
) -> Result<Changed, sqlx::Error> {
    if progress.changed > 0 {
        return Ok(Changed::Done);
    }
    if progress.conflicts > 0 {
        return Ok(Changed::Conflict);
    }
    let state =
        sqlx::query_scalar!(r#"select queue.state_of($1) as "state: JobState""#, id).fetch_one(pool).await?;
    Ok(state.map_or(Changed::NotFound, Changed::Refused))
}
