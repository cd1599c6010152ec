//! Jobs that do what people do to others, and the others.

use apalis::prelude::Data;
use resume_queue::{
    Job, JobError, JobFilter, Lease, NewJob, cancel_all, create_group, enqueue_all, retry_all, unpause_queue,
};

use super::{
    super::kinds::{Effect, Endless, Keyed, Limited, Operator, Retried},
    Result, SOON, Site, insert_effect,
};
use crate::sql::{execute, number};

/// The number of a group's follow-up, beside those of the operators.
pub(in crate::scenarios) const FOLLOW_UP: i64 = 10;

/// Every request may be made again, after a crash or by another operator.
pub(in crate::scenarios) async fn operator(job: Operator, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    let ready = "select count(*) from jobs where kind = 'endless' and id in (select job_id from runs) \
                 or kind = 'retried' and finished_at is not null";
    while number(&site.direct, ready).await? < 2 {
        tokio::time::sleep(SOON).await;
    }
    let of_kind = |kind: &str| JobFilter { kind: Some(kind.to_owned()), ..JobFilter::default() };
    cancel_all(&site.pool, &of_kind(Endless::KIND), None).await?;
    retry_all(&site.pool, &of_kind(Retried::KIND), None).await?;
    execute(&site.direct, "insert into unpaused default values").await?;
    unpause_queue(&site.pool, Limited::KIND).await?;
    let mut tx = site.pool.begin().await?;
    let group = create_group(&mut tx, &Effect { n: FOLLOW_UP + job.n }).await?;
    let keyed = NewJob::new(&Keyed { n: 1 })?.idempotency_key("of all operators").group(group);
    enqueue_all(&mut tx, &[NewJob::new(&Effect { n: job.n })?.group(group), keyed]).await?;
    insert_effect(&mut tx, &lease).await?;
    lease.complete_in(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

pub(in crate::scenarios) async fn endless(_: Endless, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    lease.stop_requested().await;
    Err("asked to stop".into())
}

pub(in crate::scenarios) async fn retried(_: Retried, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    if lease.attempt() == 1 {
        return Err(JobError::discard("the first attempt is one too few").into());
    }
    site.effect(&lease).await
}

/// Its end is noted before it completes, so that what overlaps in the notes ran at once.
pub(in crate::scenarios) async fn limited(_: Limited, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    tokio::time::sleep(SOON).await;
    let (id, attempt) = (lease.job_id(), lease.attempt());
    let end = "update runs set ended = clock_timestamp() where";
    execute(&site.direct, format!("{end} job_id = {id} and attempt = {attempt}")).await?;
    site.effect(&lease).await
}

pub(in crate::scenarios) async fn keyed(_: Keyed, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    let operators = "select count(*) from jobs where kind = 'operator' and finished_at is null";
    while number(&site.direct, operators).await? > 0 {
        tokio::time::sleep(SOON).await;
    }
    site.effect(&lease).await
}
