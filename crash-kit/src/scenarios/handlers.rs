//! What the jobs of `kinds.rs` do.

use std::time::Duration;

use apalis::prelude::{BoxDynError, Data};
use resume_queue::{JobError, Lease, NewJob, enqueue_all};
use sqlx::{PgConnection, PgPool};

use super::kinds::{
    Child, Doomed, Effect, Flaky, Hopeless, Lingering, Mourn, Panics, Parent, Plain, Slow, Snoozer,
};
use crate::sql::{execute, execute_in, number};

type Result<T = ()> = std::result::Result<T, BoxDynError>;

/// The tables of the handlers: every run that began, noted around the proxy, and every effect.
pub(super) const TABLES: &str = "create table runs (job_id bigint, attempt integer, note text); \
                                 create table effects (job_id bigint)";

/// A run that gives its attempt back unless the crash comes between.
const RETURNS_ATTEMPT: &str = "returns its attempt";

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
        let (id, attempt) = (lease.job_id(), lease.attempt());
        execute(&self.direct, format!("insert into runs values ({id}, {attempt}, nullif('{note}', ''))"))
            .await?;
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

pub(super) async fn plain(_: Plain, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await.map(drop)
}

pub(super) async fn effect(_: Effect, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    site.effect(&lease).await
}

pub(super) async fn flaky(_: Flaky, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    if lease.attempt() == 1 {
        return Err(JobError::RetryAfter("the first attempt fails".into(), SOON).into());
    }
    site.effect(&lease).await
}

pub(super) async fn panics(_: Panics, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    assert!(lease.attempt() > 1, "the first attempt panics");
    site.effect(&lease).await
}

pub(super) async fn doomed(_: Doomed, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    Err(JobError::RetryAfter("every attempt fails".into(), SOON).into())
}

pub(super) async fn hopeless(_: Hopeless, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    Err(JobError::discard("trying again cannot help").into())
}

pub(super) async fn mourn(_: Mourn, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    site.effect(&lease).await
}

pub(super) async fn snoozer(_: Snoozer, lease: Data<Lease>, site: Data<Site>) -> Result {
    if site.begin(&lease, RETURNS_ATTEMPT).await? == 1 {
        return Err(JobError::Snooze(SOON).into());
    }
    site.effect(&lease).await
}

pub(super) async fn parent(job: Parent, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    let child = NewJob::new(&Child { n: job.n })?.idempotency_key(format!("child of {}", job.n)).after(SOON);
    let mut tx = site.pool.begin().await?;
    insert_effect(&mut tx, &lease).await?;
    enqueue_all(&mut tx, &[child.clone(), child]).await?;
    lease.complete_in(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn child(_: Child, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    site.effect(&lease).await
}

pub(super) async fn slow(_: Slow, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    for _ in 0..2 {
        let until =
            "select (extract(epoch from lease_until) * 1000000)::bigint from queue.live_jobs where id =";
        let until = format!("{until} {}", lease.job_id());
        let before = number(&site.direct, &until).await?;
        while number(&site.direct, &until).await? == before {
            tokio::time::sleep(SOON).await;
        }
    }
    site.effect(&lease).await
}

pub(super) async fn lingering(_: Lingering, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, RETURNS_ATTEMPT).await?;
    if site.is_watched {
        std::future::pending::<()>().await;
    }
    site.effect(&lease).await
}
