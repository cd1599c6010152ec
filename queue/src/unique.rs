//! Unique jobs: at most one job of a kind with a key, among those that stand in chosen states.

use std::time::Duration;

use sqlx::PgConnection;

use crate::{JobId, JobState, enqueue::Existing};

/// When a key is taken: while the last job that was enqueued with it is in one of some states, and for a period at most.
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

    /// Taken while the job is in one of these states instead. Without [`JobState::Running`] one job may wait while another
    /// one runs; with [`JobState::Completed`] the key stays taken for as long as the job is in the history. Without any state
    /// it is never taken. A scheduled or retryable job is [`JobState::Available`] once its time has come and a claim has looked.
    #[must_use]
    pub fn in_states(self, states: &[JobState]) -> Self {
        Self { states: states.to_vec(), ..self }
    }

    /// Free again after this time, whatever became of the job: counted from the enqueue, or from its last retry out of the
    /// history, by the database's clock. At most a year.
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

/// The jobs that have these keys (queue and key), in the order given; `None` where there is no such job any more. A
/// statement of its own, since the one that tried to insert cannot see what was committed after it began.
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

/// Forgets the keys of jobs that are in neither table any more; at most 10,000, oldest first. Gives their number.
pub(crate) async fn forget_keys(conn: &mut PgConnection, older_than_days: i32) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        r#"
        delete from queue.unique_keys where (queue, key) in (
            select queue, key from queue.unique_keys
            where taken_at < now() - make_interval(days => $1) and queue.state_of(job_id) is null
            order by taken_at limit 10000
        )
        "#,
        older_than_days
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
