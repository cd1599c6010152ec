//! One fault: a fresh database, four workers, a steady rate, the fault, and the count of what is left.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bench::sql;
use resume_core::db::{self, Role};
use resume_postgres::Cluster;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use crate::{
    Options,
    clock::{Micros, seconds},
    faults::{Fault, Injected},
    feed,
    fleet::Fleet,
    recovery::{self, rate, rate_before, recovery_s},
    rescue::{Rescue, rescue},
    verdict::{Stale, Verdict, stale, verdict},
    worker,
};

/// How long the fleet runs before its rate is taken.
const WARM_UP: Duration = Duration::from_secs(2);

/// How long no job may end before the trial is over as it is: longer than any lease, and than any wait for an
/// attempt that a fault can lead to.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a fault came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) fault_s: f64,
    /// Effects a second, before and during the fault.
    pub(crate) before_per_s: f64,
    pub(crate) during_per_s: f64,
    pub(crate) recovery_s: f64,
    pub(crate) verdict: Verdict,
    pub(crate) begun: Micros,
    /// By worker that was killed.
    pub(crate) rescues: Vec<Rescue>,
    /// Where a worker stood still.
    pub(crate) stale: Option<Stale>,
}

impl Outcome {
    /// From the kill of a worker to the start of the last of its jobs, at worst; `None` where no worker was
    /// killed.
    pub(crate) fn rescue_s(&self) -> Option<f64> {
        self.rescues.iter().map(Rescue::worst_s).reduce(f64::max)
    }
}

/// Lets a fault loose on a fleet at work.
pub(crate) async fn trial(cluster: &Arc<Cluster>, fault: Fault, options: &Options) -> Result<Outcome> {
    let name = fault.to_string().replace('-', "_");
    let url = cluster.url(&name);
    create_database(&url).await?;
    let mut fleet = Fleet::start(&url, fault.lease(), options.seed)?;
    let feeding = tokio::spawn(feed::feed(db::pool(&url, Role::Worker)?, options.jobs));
    until_first_effect(&url).await?;
    sleep(WARM_UP + recovery::STEADY).await;
    let injected = fault.inject(cluster, &url, &mut fleet).await?;
    feeding.await??;
    until_all_ended(&url).await?;
    fleet.stop().await?;
    let outcome = judge(&url, &injected).await.with_context(|| format!("judging {name}"))?;
    let mut admin = PgConnection::connect(&cluster.url("postgres")).await?;
    sql::execute(&mut admin, format!("drop database {name} with (force)")).await?;
    admin.close().await?;
    Ok(outcome)
}

async fn create_database(url: &str) -> Result<()> {
    db::create_if_missing(url).await?;
    let pool = db::pool(url, Role::Worker)?;
    db::migrate(&pool).await?;
    let mut conn = pool.acquire().await?;
    worker::create_tables(&mut conn).await?;
    feed::create_table(&mut conn).await?;
    // Each trial begins like every other: with a checkpoint just behind it.
    sql::execute(&mut conn, "checkpoint").await?;
    drop(conn);
    pool.close().await;
    Ok(())
}

async fn until_first_effect(url: &str) -> Result<()> {
    let mut conn = PgConnection::connect(url).await?;
    let begun = Instant::now();
    while sql::number(&mut conn, "select count(*) from (select from effects limit 1) first").await? == 0 {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "the workers do not begin");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(conn.close().await?)
}

/// Waits until no job is live, or nothing changes any more: what is left then is the verdict's to count.
async fn until_all_ended(url: &str) -> Result<()> {
    let mut conn = PgConnection::connect(url).await?;
    let (mut least, mut changed) = (i64::MAX, Instant::now());
    while least > 0 && changed.elapsed() < PATIENCE {
        let live = sql::number(&mut conn, "select count(*) from queue.live_jobs").await?;
        if live < least {
            (least, changed) = (live, Instant::now());
        }
        sleep(Duration::from_millis(250)).await;
    }
    Ok(conn.close().await?)
}

async fn judge(url: &str, injected: &Injected) -> Result<Outcome> {
    let mut conn = PgConnection::connect(url).await?;
    let effects = "select (extract(epoch from at) * 1000000)::bigint from effects";
    let effects: Vec<Micros> = sql::numbers(&mut conn, effects).await?;
    let before_per_s = rate_before(&effects, injected.begun);
    let mut rescues = Vec::new();
    for kill in &injected.kills {
        rescues.push(rescue(&mut conn, *kill).await?);
    }
    let outcome = Outcome {
        fault_s: seconds(injected.begun, injected.ended),
        before_per_s,
        during_per_s: rate(&effects, injected.begun, injected.ended),
        recovery_s: recovery_s(&effects, injected.ended, before_per_s),
        verdict: verdict(&mut conn).await?,
        begun: injected.begun,
        rescues,
        stale: match injected.stopped {
            None => None,
            Some(pid) => Some(stale(&mut conn, pid, injected.ended).await?),
        },
    };
    conn.close().await?;
    Ok(outcome)
}
