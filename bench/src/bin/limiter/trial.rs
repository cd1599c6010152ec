//! The trials, and what each came to.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context, Result, ensure};
use chrono::DateTime;
use mock_ats::Face;
use resume_core::{
    call_limit::{self, Evidence},
    collection::{self, NewCollection},
    db::{self, PgPool, Role},
    source::{self, definition::Definition},
};
use tokio::time::{Instant, interval, sleep};
use uuid::Uuid;

use crate::{LIMIT, LOWER, fleet::Fleet, source::System};

pub(crate) const KILL_EVERY: Duration = Duration::from_secs(3);
/// How long the lower limit holds.
pub(crate) const LOWERED_FOR: Duration = Duration::from_secs(20);
/// How long after the raising is watched: longer than a pace needs to recover.
const RAISED_FOR: Duration = Duration::from_secs(70);
/// How long the peer is watched.
const PEER_FOR: Duration = Duration::from_secs(10);
/// How often the system's numbers are read.
const LOOK: Duration = Duration::from_millis(50);
/// The first calls of new processes are not what this is about.
const WARM_UP: Duration = Duration::from_secs(3);

/// How many huge collections share the limit with a small one, and how small that is.
pub(crate) const HUGE: u32 = 3;
pub(crate) const SMALL_PAGES: u32 = 30;

const SOURCE: &str = "bench";

/// A fleet whose workers are killed.
#[derive(Debug)]
pub(crate) struct Kills {
    pub(crate) calls_per_second: f64,
    pub(crate) busiest_second: u32,
    pub(crate) refused: u64,
    pub(crate) killed: usize,
    pub(crate) ledger: Evidence,
}

/// A fleet whose source changes its limit twice.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) lowered: Adapted,
    pub(crate) raised: Adapted,
}

#[derive(Debug)]
pub(crate) struct Adapted {
    /// Until the last refusal, or until the rate is that of the new limit.
    pub(crate) adapted_s: f64,
    pub(crate) refused: u64,
    pub(crate) calls_per_second: f64,
}

/// A small collection beside huge ones of the same source.
#[derive(Debug)]
pub(crate) struct Share {
    /// From its start until its last page was stored.
    pub(crate) seconds: f64,
    /// Of all collections, meanwhile.
    pub(crate) calls_per_second: f64,
}

/// Processes that know nothing of each other.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) calls_per_second: f64,
    pub(crate) busiest_second: u32,
    pub(crate) refused: u64,
}

/// A database with a collection that is too long to be finished.
async fn prepare(url: &str, system: &System) -> Result<PgPool> {
    db::create_if_missing(url).await?;
    let pool = db::pool(url, Role::Worker)?;
    db::migrate(&pool).await?;
    let definition = Definition::original(SOURCE, system.address(), Face::TestData.path(), LIMIT);
    let mut tx = db::begin(&pool).await?;
    source::put(&mut tx, &definition).await?;
    tx.commit().await?;
    start(&pool, 10_000, 1).await?;
    Ok(pool)
}

/// Starts a collection of so many pages.
async fn start(pool: &PgPool, pages: u32, seed: u32) -> Result<Uuid> {
    const PER_PAGE: u32 = 10;
    let new = NewCollection {
        source: SOURCE.to_owned(),
        count: Some((pages * PER_PAGE).into()),
        per_page: Some(PER_PAGE),
        batch_size: PER_PAGE,
        error_mode: false,
        full: false,
        seed: Some(seed),
        idempotency_key: None,
    };
    let mut tx = db::begin(pool).await?;
    let started = collection::start(&mut tx, &new).await?;
    tx.commit().await?;
    Ok(started.id)
}

async fn under_way(system: &System) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while system.stats().calls == 0 {
        ensure!(Instant::now() < deadline, "no worker calls the system");
        sleep(LOOK).await;
    }
    sleep(WARM_UP).await;
    Ok(())
}

/// Kills one worker every three seconds.
pub(crate) async fn kills(url: &str, watched: Duration) -> Result<Kills> {
    let system = System::start(false).await?;
    let pool = prepare(url, &system).await?;
    let mut fleet = Fleet::start(&["work", "--url", url])?;
    under_way(&system).await?;
    let (before, begun) = (system.stats().calls, Instant::now());
    let mut killing = interval(KILL_EVERY);
    let mut killed = 0;
    while begun.elapsed() + KILL_EVERY / 2 < watched {
        killing.tick().await;
        fleet.kill_one().await?;
        killed += 1;
    }
    tokio::time::sleep_until(begun + watched).await;
    let calls = system.stats().calls - before;
    let seconds = begun.elapsed().as_secs_f64();
    fleet.kill_all().await?;
    let stats = system.stats();
    let to = DateTime::from_timestamp(4_000_000_000, 0).context("no such time")?;
    let ever = call_limit::Period { from: DateTime::UNIX_EPOCH, to };
    // The dead are noticed by nobody, so what they have lost is known only when no call could take so long.
    let ledger = call_limit::evidence(&pool, SOURCE, ever, &[]).await?;
    pool.close().await;
    Ok(Kills {
        calls_per_second: calls as f64 / seconds,
        busiest_second: stats.max_calls_in_one_second,
        refused: stats.rate_limited,
        killed,
        ledger,
    })
}

/// Lowers the limit of the system and raises it again.
pub(crate) async fn change(url: &str, tells: bool) -> Result<Change> {
    let system = System::start(tells).await?;
    let pool = prepare(url, &system).await?;
    let fleet = Fleet::start(&["work", "--url", url])?;
    under_way(&system).await?;
    let lowered = watch(&system, LOWER, LOWERED_FOR, |_| false).await;
    let wanted = f64::from(LIMIT) * 0.9;
    let raised =
        watch(&system, LIMIT, RAISED_FOR, |in_last_second| f64::from(in_last_second) >= wanted).await;
    fleet.kill_all().await?;
    pool.close().await;
    Ok(Change { lowered, raised })
}

/// Sets a limit and watches what arrives. A fleet has adapted when it is no longer refused or, if that is
/// asked for by `is_reached`, has that many calls in a second; that also ends it.
async fn watch(system: &System, limit: u32, watched: Duration, is_reached: impl Fn(u32) -> bool) -> Adapted {
    let before = system.stats();
    system.set_limit(limit);
    let begun = Instant::now();
    let mut refused = 0;
    let mut adapted_s = 0.0;
    let mut looks: VecDeque<(Instant, u64)> = VecDeque::new();
    while begun.elapsed() < watched {
        sleep(LOOK).await;
        let stats = system.stats();
        if stats.rate_limited - before.rate_limited > refused {
            refused = stats.rate_limited - before.rate_limited;
            adapted_s = begun.elapsed().as_secs_f64();
        }
        looks.push_back((Instant::now(), stats.served));
        while looks.front().is_some_and(|(at, _)| at.elapsed() > Duration::from_secs(1)) {
            looks.pop_front();
        }
        let in_last_second = looks.front().map_or(0, |(_, served)| stats.served - served);
        if is_reached(u32::try_from(in_last_second).unwrap_or(u32::MAX)) {
            adapted_s = begun.elapsed().as_secs_f64();
            break;
        }
    }
    let calls = system.stats().calls - before.calls;
    Adapted { adapted_s, refused, calls_per_second: calls as f64 / begun.elapsed().as_secs_f64() }
}

/// Starts a small collection while huge ones of the same source are under way.
pub(crate) async fn share(url: &str) -> Result<Share> {
    let system = System::start(false).await?;
    let pool = prepare(url, &system).await?;
    for seed in 2..=HUGE {
        start(&pool, 10_000, seed).await?;
    }
    let fleet = Fleet::start(&["work", "--url", url])?;
    under_way(&system).await?;
    let (before, begun) = (system.stats().calls, Instant::now());
    let small = start(&pool, SMALL_PAGES, HUGE + 1).await?;
    loop {
        let progress = collection::progress(&pool, small).await?.context("the small collection is gone")?;
        if progress.counts.done == i64::from(SMALL_PAGES) {
            break;
        }
        ensure!(begun.elapsed() < Duration::from_secs(120), "the small collection is starved");
        sleep(LOOK).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let calls = system.stats().calls - before;
    fleet.kill_all().await?;
    pool.close().await;
    Ok(Share { seconds, calls_per_second: calls as f64 / seconds })
}

/// Processes that each keep the limit for themselves.
pub(crate) async fn peer() -> Result<Peer> {
    let system = System::start(false).await?;
    let fleet = Fleet::start(&["alone", "--source", system.address()])?;
    under_way(&system).await?;
    let (before, begun) = (system.stats(), Instant::now());
    sleep(PEER_FOR).await;
    let after = system.stats();
    let seconds = begun.elapsed().as_secs_f64();
    fleet.kill_all().await?;
    Ok(Peer {
        calls_per_second: (after.calls - before.calls) as f64 / seconds,
        busiest_second: after.max_calls_in_one_second,
        refused: after.rate_limited - before.rate_limited,
    })
}
