use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::Result;
use resume_queue::{Job, NewJob, enqueue_all};
use sqlx::PgPool;

use super::{
    handlers::TABLES,
    kinds::{Doomed, Effect, Flaky, Hopeless, Lingering, Panics, Parent, Plain, Snoozer},
    worker,
};
use crate::{Invariant, Scenario, sql::execute};

pub(super) const NAME: &str = "outcomes";

/// The queue alone, with jobs that end in every way.
#[derive(Debug)]
pub struct Outcomes {
    program: PathBuf,
}

impl Outcomes {
    /// With the program of this package as the worker.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }
}

impl Scenario for Outcomes {
    type Fixture = ();

    fn name(&self) -> &str {
        NAME
    }

    async fn prepare(&self, pool: &PgPool) -> Result<()> {
        execute(pool, TABLES).await?;
        let soon = Duration::from_millis(300);
        let jobs = [
            NewJob::new(&Plain { n: 1 })?,
            NewJob::new(&Plain { n: 2 })?,
            NewJob::new(&Effect { n: 1 })?,
            NewJob::new(&Effect { n: 2 })?.priority(1),
            NewJob::new(&Effect { n: 3 })?.after(soon),
            NewJob::new(&Flaky { n: 1 })?,
            NewJob::new(&Panics { n: 1 })?,
            NewJob::new(&Doomed { n: 1 })?,
            NewJob::new(&Hopeless { n: 1 })?,
            NewJob::new(&Snoozer { n: 1 })?,
            NewJob::new(&Parent { n: 1 })?,
            NewJob::new(&Lingering { n: 1 })?,
        ];
        enqueue(pool, &jobs).await
    }

    fn worker(&self) -> Command {
        worker(&self.program, NAME)
    }

    /// All but the job that only a stop ends, and that one has begun.
    fn is_settled(&self) -> &str {
        "select not exists (select from jobs where finished_at is null and (kind <> 'lingering' or state <> 'running')) \
         and exists (select from runs join jobs on id = job_id where kind = 'lingering')"
    }

    fn invariants(&self) -> Vec<Invariant> {
        let mut all = invariants();
        all.push(Invariant::no_lease_ran_out());
        all
    }
}

/// Enqueues in a transaction of its own.
pub(super) async fn enqueue(pool: &PgPool, jobs: &[NewJob]) -> Result<()> {
    let mut conn = pool.acquire().await?;
    enqueue_all(&mut conn, jobs).await?;
    Ok(())
}

/// What is true of all jobs of `kinds.rs`.
pub(super) fn invariants() -> Vec<Invariant> {
    let plain = Plain::KIND;
    vec![
        Invariant::no_rows(
            "every effect happened once",
            format!(
                "select id, kind, state, count(job_id) as effects from jobs left join effects on job_id = id \
                 group by id, kind, state \
                 having count(job_id) <> (state = 'completed' and kind <> '{plain}')::integer"
            ),
        ),
        Invariant::no_rows(
            "every job that was discarded or cancelled has one follow-up",
            "select d.id, d.kind, count(m.id) as follow_ups from jobs d \
             left join jobs m on m.kind = 'mourn' and (m.args ->> 'job_id')::bigint = d.id \
             where d.state in ('discarded', 'cancelled') group by d.id, d.kind having count(m.id) <> 1",
        ),
        Invariant::no_rows(
            "no attempt was begun twice, but those that are given back",
            "select job_id, attempt, count(*) from runs where note is null group by job_id, attempt \
             having count(*) > 1",
        ),
        Invariant::no_rows(
            "every run that began is one of the job's attempts",
            "select job_id, runs.attempt, jobs.attempt as attempts from runs join jobs on id = job_id \
             where runs.attempt > jobs.attempt",
        ),
        Invariant::no_rows(
            "the attempt that completed the job has run",
            "select id, kind, attempt from jobs where state = 'completed' \
             and not exists (select from runs where job_id = id and runs.attempt = jobs.attempt)",
        ),
    ]
}
