//! Unique jobs: at most one job of a kind with a key, among those that stand in chosen states.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{JobId, JobState, enqueue::Existing};

/// When a key is taken: while the last job that was enqueued with it is in one of some states, and for a
/// period at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    pub(crate) key: String,
    states: Vec<JobState>,
    period: Option<Duration>,
}

impl Unique {
    /// Taken while the job is live: available, scheduled, running or retryable. At most
    /// [`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES), without NUL.
    pub fn key(key: impl Into<String>) -> Self {
        Self { key: key.into(), states: JobState::LIVE.to_vec(), period: None }
    }

    /// Taken while the job is in one of these states instead. Without [`JobState::Running`] one job may wait
    /// while another one runs; with [`JobState::Completed`] the key stays taken for as long as the job is in
    /// the history. Without any state it is never taken. A scheduled or retryable job is
    /// [`JobState::Available`] once its time has come and a claim has looked.
    #[must_use]
    pub fn in_states(self, states: &[JobState]) -> Self {
        Self { states: states.to_vec(), ..self }
    }

    /// Free again after this time, whatever became of the job: counted from the enqueue, or from its last
    /// retry out of the history, by the database's clock. At most a year.
    #[must_use]
    pub fn within(self, period: Duration) -> Self {
        Self { period: Some(period), ..self }
    }

    /// The states as PostgreSQL writes an array.
    pub(crate) fn states(&self) -> String {
        let names: Vec<&str> = self.states.iter().map(|state| state.as_str()).collect();
        format!("{{{}}}", names.join(","))
    }

    pub(crate) fn period_s(&self) -> Option<f64> {
        self.period.map(|period| period.min(crate::backoff::WAIT_MAX).as_secs_f64())
    }
}

/// The jobs that have these keys (queue and key), in the order given; `None` where there is no such job any
/// more. A statement of its own, since the one that tried to insert cannot see what was committed after it
/// began.
pub(crate) async fn holders_of(
    conn: &mut PgConnection,
    keys: &[(&str, &str)],
) -> Result<Vec<Option<Existing>>, sqlx::Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let (queues, keys): (Vec<String>, Vec<String>) =
        keys.iter().map(|(queue, key)| ((*queue).to_owned(), (*key).to_owned())).unzip();
    let rows = sqlx::query!(
        r#"
        select u.job_id as "id?: JobId", queue.state_of(u.job_id) as "state?: JobState"
        from unnest($1::text[], $2::text[]) with ordinality as w (queue, key, ord)
        left join queue.unique_keys u on u.queue = w.queue and u.key = w.key
        order by w.ord
        "#,
        &queues,
        &keys
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| Some(Existing { id: row.id?, state: row.state? })).collect())
}

/// Where a look at the keys stands: they are looked at by age, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeyCursor {
    taken_at: DateTime<Utc>,
    queue: String,
    key: String,
}

/// What came of a look at old keys.
#[derive(Debug)]
pub(crate) struct Forgotten {
    pub(crate) keys: u64,
    /// Where to go on; `None`: that was all.
    pub(crate) next: Option<KeyCursor>,
}

/// Looks at the oldest keys `after` a place, at most `limit`, and forgets those whose jobs are in neither
/// table any more. The age alone does not tell: a job may be live for a year.
pub(crate) async fn forget_keys(
    conn: &mut PgConnection,
    older_than_days: i32,
    after: Option<KeyCursor>,
    limit: i64,
) -> Result<Forgotten, sqlx::Error> {
    let (taken_at, queue, key) = after.map_or_else(Default::default, |c| (Some(c.taken_at), c.queue, c.key));
    let done = sqlx::query_file!("src/forget_keys.sql", older_than_days, taken_at, queue, key, limit)
        .fetch_one(conn)
        .await?;
    let next = match (done.taken_at, done.queue, done.key) {
        (Some(taken_at), Some(queue), Some(key)) if done.looked == limit => {
            Some(KeyCursor { taken_at, queue, key })
        }
        _ => None,
    };
    Ok(Forgotten { keys: done.forgotten.unsigned_abs(), next })
}
