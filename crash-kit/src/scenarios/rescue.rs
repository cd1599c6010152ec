use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::Result;
use resume_queue::NewJob;
use sqlx::PgPool;

use super::{
    handlers::TABLES,
    kinds::{Doomed, Effect, Lingering, Plain, Slow},
    outcomes::{enqueue, invariants},
    worker,
};
use crate::{Invariant, Scenario, sql::execute};

pub(super) const NAME: &str = "rescue";

/// What two workers left behind when they died: one a moment ago, one so long ago that its lease has run out.
/// The doomed job was at its second and last attempt.
const DEATHS: &str = "
    with dead as (
        insert into queue.workers (name, heartbeat_at)
        values ('killed', now()), ('cut off', now() - interval '1 minute') returning id, name
    )
    update queue.live_jobs
    set state = 'running', started_at = now(), worker_id = dead.id,
        fence = case kind when 'doomed' then 2 else 1 end, attempt = case kind when 'doomed' then 2 else 1 end,
        errors = case kind when 'doomed' then jsonb_build_array(jsonb_build_object('attempt', 1, 'error', '')) end,
        lease_until = now() + case dead.name when 'killed' then interval '1 hour' else interval '-1 s' end
    from dead
    where kind in ('effect', 'plain', 'doomed') and state = 'available'
      and dead.name = case args ->> 'n' when '0' then 'cut off' else 'killed' end";

/// The queue alone, with the jobs of workers that are dead when it begins, and one that needs heartbeats.
#[derive(Debug)]
pub struct Rescue {
    program: PathBuf,
}

impl Rescue {
    /// With the program of this package as the worker.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }
}

impl Scenario for Rescue {
    type Fixture = ();

    fn name(&self) -> &str {
        NAME
    }

    async fn prepare(&self, pool: &PgPool) -> Result<()> {
        execute(pool, TABLES).await?;
        let later = Duration::from_secs(1);
        let jobs = [
            NewJob::new(&Effect { n: 0 })?,
            NewJob::new(&Effect { n: 1 })?,
            NewJob::new(&Plain { n: 1 })?,
            NewJob::new(&Doomed { n: 1 })?,
            NewJob::new(&Effect { n: 2 })?.after(later),
            NewJob::new(&Slow { n: 1 })?,
            NewJob::new(&Lingering { n: 1 })?,
        ];
        enqueue(pool, &jobs).await?;
        execute(pool, DEATHS).await?;
        Ok(())
    }

    fn worker(&self) -> Command {
        worker(&self.program, NAME)
    }

    /// As in [`Outcomes`](super::Outcomes), and the dead are buried.
    fn is_settled(&self) -> &str {
        "select not exists (select from jobs where finished_at is null and (kind <> 'lingering' or state <> 'running')) \
         and exists (select from runs join jobs on id = job_id where kind = 'lingering') \
         and not exists (select from queue.workers where name in ('killed', 'cut off') and stopped_at is null)"
    }

    fn invariants(&self) -> Vec<Invariant> {
        invariants()
    }
}
