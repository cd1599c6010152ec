//! Jobs of schedules, and one that changes schedules.

use anyhow::Context;
use apalis::prelude::Data;
use resume_queue::{
    Lease,
    schedules::{self, Timing},
};

use super::{
    super::{
        kinds::{Planner, Tick},
        schedules::{ALL, DISABLED, SKIP, SOON_ONCE, new},
    },
    Result, SOON, Site, insert_effect,
};

/// Stores a schedule again whose ticks are due, and a new one; enables a third, and runs a fourth by hand.
pub(in crate::scenarios) async fn planner(_: Planner, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    let mut tx = site.pool.begin().await?;
    let all = schedules::get(&mut tx, ALL).await?.context("a schedule is gone")?;
    schedules::put(&mut tx, &all.what).await?;
    schedules::put(&mut tx, &new(SOON_ONCE, Timing::Once(all.read_at + SOON))?).await?;
    schedules::enable(&mut tx, DISABLED).await?;
    schedules::run_now(&mut tx, SKIP).await?;
    insert_effect(&mut tx, &lease).await?;
    lease.complete_in(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

pub(in crate::scenarios) async fn tick(_: Tick, lease: Data<Lease>, site: Data<Site>) -> Result {
    site.begin(&lease, "").await?;
    site.effect(&lease).await
}
