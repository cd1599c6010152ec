//! What the jobs of `kinds.rs` do.

mod control;
mod outcomes;
mod schedules;

use std::time::Duration;

use apalis::prelude::BoxDynError;
use resume_queue::Lease;
use sqlx::{PgConnection, PgPool};

use crate::sql::{execute, execute_in, number};

pub(super) use control::{FOLLOW_UP, endless, keyed, limited, operator, retried};
pub(super) use outcomes::{
    child, doomed, effect, flaky, hopeless, lingering, mourn, panics, parent, plain, slow, snoozer,
};
pub(super) use schedules::{planner, tick};

type Result<T = ()> = std::result::Result<T, BoxDynError>;

/// The tables of the handlers: every run that began and in which process, noted around the proxy, and every
/// effect.
pub(super) const TABLES: &str = "
    create table runs (job_id bigint, attempt integer, note text, process bigint,
                       began timestamptz default clock_timestamp(), ended timestamptz);
    create table effects (job_id bigint)";

/// Short, so that a trial is; long enough to be a wait.
const SOON: Duration = Duration::from_millis(30);

/// What the handlers share.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// Through the proxy.
    pub(super) pool: PgPool,
    /// Around it.
    pub(super) direct: PgPool,
    /// Whether there is a proxy: the helper has none.
    pub(super) is_watched: bool,
}

impl Site {
    /// Notes that a run has begun; gives how many the job has had, with this one.
    async fn begin(&self, lease: &Lease, note: &str) -> Result<i64> {
        let (id, attempt, process) = (lease.job_id(), lease.attempt(), std::process::id());
        let run = format!("values ({id}, {attempt}, nullif('{note}', ''), {process})");
        execute(&self.direct, format!("insert into runs (job_id, attempt, note, process) {run}")).await?;
        Ok(number(&self.direct, format!("select count(*) from runs where job_id = {id}")).await?)
    }

    /// The effect and the completion, in one transaction.
    async fn effect(&self, lease: &Lease) -> Result {
        let mut tx = self.pool.begin().await?;
        insert_effect(&mut tx, lease).await?;
        lease.complete_in(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn insert_effect(conn: &mut PgConnection, lease: &Lease) -> Result {
    Ok(execute_in(conn, format!("insert into effects values ({})", lease.job_id())).await?)
}
