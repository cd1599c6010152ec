use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bench::median;
use mock_ats::{Ats, Face, MockServer};
use resume_core::{
    collection::{self, CollectionState, NewCollection, Progress, Started},
    db::{self, PgPool, Role},
    source::{self, definition::Definition},
};
use resume_worker::{Retention, Settings};
use tokio::{sync::oneshot, time::MissedTickBehavior};

use crate::scenario::Scenario;

const SOURCE: &str = "bench";

/// How often somebody looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the looks at a collection said, once it is known what they should have said.
#[derive(Debug)]
pub(crate) struct Trial {
    seconds: f64,
    looks: Vec<Look>,
}

#[derive(Debug, Clone, Copy)]
struct Look {
    /// Seconds since the trigger.
    at: f64,
    /// Seconds that were left, by the estimate.
    eta: Option<f64>,
    percent: f64,
    is_lagging: bool,
}

impl Look {
    /// Part of the whole duration by which the end was missed.
    fn error(self, seconds: f64) -> f64 {
        self.eta.map_or(1.0, |eta| (self.at + eta - seconds).abs() / seconds)
    }
}

impl Trial {
    /// Those from a quarter of the duration on.
    fn counted(&self) -> impl Iterator<Item = Look> {
        self.looks.iter().copied().filter(|look| look.at >= self.seconds / 4.0)
    }

    fn errors_percent(&self) -> Vec<f64> {
        self.counted().map(|look| look.error(self.seconds) * 100.0).collect()
    }

    /// The largest error, in percent of the duration.
    pub(crate) fn worst_percent(&self) -> f64 {
        self.errors_percent().into_iter().fold(0.0, f64::max)
    }

    pub(crate) fn print(&self, each: bool) {
        let errors = self.errors_percent();
        let without = self.counted().filter(|look| look.eta.is_none()).count();
        println!(
            "took {:.1} s; {} looks, {without} without an estimate; error worst {:.1} %, median {:.1} %",
            self.seconds,
            errors.len(),
            self.worst_percent(),
            median(&errors)
        );
        for look in self.looks.iter().filter(|_| each) {
            let eta = look.eta.map_or_else(|| "-".to_owned(), |eta| format!("{eta:.1}"));
            println!(
                "  at {:>5.1} s: {eta:>5} s to go, {:>5.1} in truth, error {:>5.1} %, {:>3.0} % done{}",
                look.at,
                self.seconds - look.at,
                look.error(self.seconds) * 100.0,
                look.percent,
                if look.is_lagging { ", lagging" } else { "" },
            );
        }
    }
}

/// Collects once, on a database that is made for it.
pub(crate) async fn run(database_url: &str, scenario: Scenario) -> Result<Trial> {
    db::create_if_missing(database_url).await?;
    let pool = db::pool(database_url, Role::Worker)?;
    db::migrate(&pool).await?;
    let mock = MockServer::start(Ats::new(mock_ats::Settings::default())).await?;
    let definition = Definition::original(SOURCE, &mock.url(), Face::TestData.path(), 30);
    let definition = if scenario.is_chain { definition.along_links() } else { definition };
    source::put(&mut *pool.acquire().await?, &definition).await?;

    let (stop, stopped) = oneshot::channel::<()>();
    let settings = Settings {
        parse_delay: scenario.parse_delay,
        backlog_max: scenario.backlog_max,
        retention: Retention::default(),
        secrets_dir: std::env::temp_dir(),
        erasure_key: None,
        grace: Duration::from_secs(5),
    };
    let worker = tokio::spawn(resume_worker::run(pool.clone(), settings, async {
        // The sender that is gone says the same.
        let _ = stopped.await;
    }));
    let looks = watch(&pool, start(&pool, scenario).await?).await;
    drop(stop);
    worker.await??;
    pool.close().await;
    judge(looks?)
}

async fn start(pool: &PgPool, scenario: Scenario) -> Result<Started> {
    let new = NewCollection {
        source: SOURCE.to_owned(),
        count: Some(scenario.count.into()),
        per_page: Some(scenario.per_page),
        batch_size: scenario.batch_size,
        error_mode: false,
        full: false,
        seed: None,
        idempotency_key: None,
    };
    let mut tx = db::begin(pool).await?;
    let started = collection::start(&mut tx, &new).await?;
    tx.commit().await?;
    Ok(started)
}

/// Looks until it is over, and then once more.
async fn watch(pool: &PgPool, started: Started) -> Result<Vec<Progress>> {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = Vec::new();
    loop {
        ticks.tick().await;
        let progress = collection::progress(pool, started.id).await?.context("the collection is gone")?;
        let is_over = progress.collection.state.is_over();
        looks.push(progress);
        if is_over {
            return Ok(looks);
        }
    }
}

/// Compares what was said with what came.
fn judge(mut looks: Vec<Progress>) -> Result<Trial> {
    let last = looks.pop().context("nobody looked")?;
    ensure!(last.collection.state == CollectionState::Completed, "ended otherwise: {last:#?}");
    let look = |progress: &Progress| Look {
        at: progress.elapsed().as_secs_f64(),
        eta: progress.eta().map(|eta| eta.as_secs_f64()),
        percent: progress.percent(),
        is_lagging: progress.is_lagging,
    };
    Ok(Trial { seconds: last.elapsed().as_secs_f64(), looks: looks.iter().map(look).collect() })
}
