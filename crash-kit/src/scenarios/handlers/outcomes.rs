//! Jobs that end in every way.

use apalis::prelude::Data;
use resume_queue::{JobError, Lease, NewJob, enqueue_all};

use super::{
    super::kinds::{
        Child, Doomed, Effect, Flaky, Hopeless, Lingering, Mourn, Panics, Parent, Plain, Slow, Snoozer,
    },
    Result, SOON, Site, insert_effect,
};
use crate::sql::number;

/// A run that gives its attempt back unless the crash comes between.
const RETURNS_ATTEMPT: &str = "returns its attempt";

pub(in crate::scenarios) async fn plain(_: Plain, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await.map(drop)
}

pub(in crate::scenarios) async fn effect(_: Effect, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    site.effect(&lease).await
}

pub(in crate::scenarios) async fn flaky(_: Flaky, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    if lease.attempt() == 1 {
        return Err(JobError::RetryAfter("the first attempt fails".into(), SOON).into());
    }
    site.effect(&lease).await
}

pub(in crate::scenarios) async fn panics(_: Panics, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    assert!(lease.attempt() > 1, "the first attempt panics");
    site.effect(&lease).await
}

pub(in crate::scenarios) async fn doomed(_: Doomed, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    Err(JobError::RetryAfter("every attempt fails".into(), SOON).into())
}

pub(in crate::scenarios) async fn hopeless(_: Hopeless, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    Err(JobError::discard("trying again cannot help").into())
}

pub(in crate::scenarios) async fn mourn(_: Mourn, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    site.effect(&lease).await
}

pub(in crate::scenarios) async fn snoozer(_: Snoozer, lease: Data<Lease>, site: Data<Site>) -> Result {
    if site.begin(&lease, RETURNS_ATTEMPT).await? == 1 {
        return Err(JobError::Snooze(SOON).into());
    }
    site.effect(&lease).await
}

pub(in crate::scenarios) async fn parent(job: Parent, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    let child = NewJob::new(&Child { n: job.n })?.idempotency_key(format!("child of {}", job.n)).after(SOON);
    let mut tx = site.pool.begin().await?;
    insert_effect(&mut tx, &lease).await?;
    enqueue_all(&mut tx, &[child.clone(), child]).await?;
    lease.complete_in(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

pub(in crate::scenarios) async fn child(_: Child, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    site.effect(&lease).await
}

pub(in crate::scenarios) async fn slow(_: Slow, lease: Data<Lease>, site: Data<Site>) -> Result {
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

pub(in crate::scenarios) async fn lingering(_: Lingering, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, RETURNS_ATTEMPT).await?;
    if site.is_watched {
        std::future::pending::<()>().await;
    }
    site.effect(&lease).await
}
