use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::Result;
use resume_queue::{Job, Limits, NewJob, create_group, enqueue_all, limit_queue, pause_queue};
use sqlx::PgPool;

use super::{
    handlers::{FOLLOW_UP, TABLES},
    kinds::{Effect, Endless, Limited, Operator, Retried},
    outcomes::invariants,
    worker,
};
use crate::{Invariant, Scenario, sql::execute};

pub(super) const NAME: &str = "control";

const LIMITS: Limits = Limits { max_running: Some(2), max_running_per_key: Some(1) };

/// When the operators unpaused the queue, noted around the proxy and before they did.
const UNPAUSED: &str = "create table unpaused (at timestamptz default clock_timestamp())";

/// The queue alone, with jobs that are cancelled while they wait and while they run, one that is retried,
/// groups, a unique key, and a paused queue with limits.
#[derive(Debug)]
pub struct Control {
    program: PathBuf,
}

impl Control {
    /// With the program of this package as the worker.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }
}

impl Scenario for Control {
    type Fixture = ();

    fn name(&self) -> &str {
        NAME
    }

    async fn prepare(&self, pool: &PgPool) -> Result<()> {
        execute(pool, TABLES).await?;
        execute(pool, UNPAUSED).await?;
        limit_queue(pool, Limited::KIND, LIMITS).await?;
        pause_queue(pool, Limited::KIND).await?;
        let mut tx = pool.begin().await?;
        let group = create_group(&mut tx, &Effect { n: FOLLOW_UP }).await?;
        let never = Duration::from_secs(3600);
        let mut jobs = vec![
            NewJob::new(&Endless { n: 1 })?.group(group),
            NewJob::new(&Endless { n: 2 })?.group(group).after(never),
            NewJob::new(&Retried { n: 1 })?,
            // Two, so that they get into each other's way.
            NewJob::new(&Operator { n: 1 })?,
            NewJob::new(&Operator { n: 2 })?,
        ];
        for (n, key) in (1..).zip(["a", "a", "b", "c"]) {
            jobs.push(NewJob::new(&Limited { n })?.concurrency_key(key));
        }
        enqueue_all(&mut tx, &jobs).await?;
        tx.commit().await?;
        Ok(())
    }

    fn worker(&self) -> Command {
        worker(&self.program, NAME)
    }

    fn invariants(&self) -> Vec<Invariant> {
        let mut all = invariants();
        all.extend([
            Invariant::no_lease_ran_out(),
            // A process is gone before the next one starts.
            Invariant::no_rows(
                "no more jobs run at once than the limits allow",
                "with limited as (select * from runs join jobs on id = job_id where kind = 'limited') \
                 select r.job_id, count(*) as at_once, count(*) filter (where o.concurrency_key = r.concurrency_key) as of_key \
                 from limited r join limited o on o.process = r.process \
                 and o.began <= r.began and coalesce(o.ended, 'infinity') > r.began \
                 group by r.job_id, r.began \
                 having count(*) > 2 or count(*) filter (where o.concurrency_key = r.concurrency_key) > 1",
            ),
            Invariant::no_rows(
                "nothing of a paused queue runs",
                "select job_id, began from runs join jobs on id = job_id \
                 where kind = 'limited' and began < (select min(at) from unpaused)",
            ),
            Invariant::no_rows(
                "one job has the key, however many ask for it",
                "select count(*) from jobs where kind = 'keyed' having count(*) <> 1",
            ),
            Invariant::no_rows(
                "a group has one follow-up, when all its jobs have ended",
                "select id, args from queue.groups g where finished_at is null \
                 or (select count(*) from jobs where kind = g.kind and args = g.args) <> 1 \
                 or exists (select from jobs where group_id = g.id and finished_at > g.finished_at)",
            ),
        ]);
        all
    }
}
