use std::{path::PathBuf, process::Command};

use anyhow::Result;
use resume_queue::{
    NewJob,
    schedules::{self, Missed, NewSchedule, ScheduleError, Timing},
};
use sqlx::PgPool;

use super::{
    handlers::TABLES,
    kinds::{Planner, Tick},
    outcomes::{enqueue, invariants},
    worker,
};
use crate::{
    Invariant, Scenario,
    sql::{execute, number},
};

pub(super) const NAME: &str = "schedules";

/// Schedules by cron, each with three missed ticks, named after what becomes of those.
pub(super) const ALL: &str = "all";
const ONCE: &str = "once";
pub(super) const SKIP: &str = "skip";
/// As [`ALL`], but the planner has to enable it.
pub(super) const DISABLED: &str = "disabled";
/// Those that fire once: at a time that has passed, and soon after the planner has put it.
const PAST_ONCE: &str = "past, once";
pub(super) const SOON_ONCE: &str = "soon, once";

/// How many jobs each enqueues. The one whose ticks are skipped is run by hand.
const JOBS: [(&str, i64); 6] =
    [(ALL, 3), (ONCE, 1), (SKIP, 1), (DISABLED, 3), (PAST_ONCE, 1), (SOON_ONCE, 1)];

/// Every firing, noted by the transaction that enqueues the job, and with it.
const FIRINGS: &str = "
    create table expected (schedule text, jobs bigint);
    create table firings (schedule text, at timestamptz, job_id bigint);
    create function note_firing() returns trigger language plpgsql as $$ begin
        insert into firings values (new.args ->> 'schedule', new.run_at, new.id);
        return null;
    end $$;
    create trigger note_firing after insert on queue.live_jobs for each row
        when (new.kind = 'tick') execute function note_firing()";

/// The queue alone, with schedules that are due when it begins, and one that changes schedules.
#[derive(Debug)]
pub struct Schedules {
    program: PathBuf,
}

impl Schedules {
    /// With the program of this package as the worker.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }
}

impl Scenario for Schedules {
    type Fixture = ();

    fn name(&self) -> &str {
        NAME
    }

    async fn prepare(&self, pool: &PgPool) -> Result<()> {
        execute(pool, TABLES).await?;
        execute(pool, FIRINGS).await?;
        for (schedule, jobs) in JOBS {
            execute(pool, format!("insert into expected values ('{schedule}', {jobs})")).await?;
        }
        // Half a year from any tick, so that none comes by itself during the run.
        let month = number(pool, "select extract(month from now() + interval '6 months')::bigint").await?;
        let yearly = Timing::Cron { expression: format!("0 0 1 {month} *"), time_zone: "UTC".to_owned() };
        let by_cron =
            |name, missed| Ok::<_, ScheduleError>(NewSchedule { missed, ..new(name, yearly.clone())? });
        let mut tx = pool.begin().await?;
        let all = schedules::put(&mut tx, &by_cron(ALL, Missed::All)?).await?;
        schedules::put(&mut tx, &by_cron(ONCE, Missed::Once)?).await?;
        schedules::put(&mut tx, &by_cron(SKIP, Missed::Skip)?).await?;
        schedules::put(&mut tx, &by_cron(DISABLED, Missed::All)?).await?;
        schedules::put(&mut tx, &new(PAST_ONCE, Timing::Once(all.created_at))?).await?;
        schedules::disable(&mut tx, DISABLED).await?;
        tx.commit().await?;
        let miss = "update queue.schedules set next_at = next_at - interval '3 years' where cron is not null";
        execute(pool, miss).await?;
        enqueue(pool, &[NewJob::new(&Planner { n: 1 })?]).await
    }

    fn worker(&self) -> Command {
        worker(&self.program, NAME)
    }

    fn invariants(&self) -> Vec<Invariant> {
        let mut all = invariants();
        all.extend([
            Invariant::no_lease_ran_out(),
            Invariant::no_rows(
                "every tick is fired, and once",
                "select schedule, jobs, json_agg(at) as fired from expected left join firings using (schedule) \
                 group by schedule, jobs having count(at) <> jobs or count(distinct at) <> jobs",
            ),
            Invariant::no_rows(
                "a schedule knows its last job and its next tick, if there is one",
                "select s from queue.schedules s where not enabled or last_error is not null \
                 or (select max(job_id) from firings where schedule = name) is distinct from last_job_id \
                 or case when at is null then next_at > now() else next_at is null end is not true",
            ),
        ]);
        all
    }
}

/// A schedule of jobs that tell its name.
pub(super) fn new(name: &str, timing: Timing) -> Result<NewSchedule, ScheduleError> {
    NewSchedule::new(name, timing, &Tick { schedule: name.to_owned() })
}
