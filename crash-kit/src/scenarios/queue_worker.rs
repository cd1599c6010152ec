//! The worker process of the scenarios over the queue alone.

use std::{env, time::Duration};

use anyhow::{Context, Result};
use apalis::prelude::{WorkerBuilder, WorkerError};
use resume_queue::{Job, QueueConfig, Session, SessionSettings};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::task::JoinSet;

use super::{
    control,
    handlers::{self, Site},
    kinds::{
        Child, Doomed, Effect, Endless, Flaky, Hopeless, Keyed, Limited, Lingering, Mourn, Operator, Panics,
        Parent, Plain, Planner, Retried, Slow, Snoozer, Tick,
    },
    rescue, schedules,
};
use crate::{DATABASE_URL, DIRECT_URL};

/// In a rescue. Heartbeats come at a third of it, so that a short job sees some; long enough for a busy
/// machine not to lose one. Elsewhere it is the default, and an invariant that none runs out.
const SHORT_LEASE: Duration = Duration::from_secs(3);

/// How long a job that never ends is waited for.
const GRACE: Duration = Duration::from_millis(200);

/// At once in each queue: more than the limits that some have.
const CONCURRENCY: QueueConfig = QueueConfig::fixed(3);

/// Works on the jobs of a scenario until `stop` resolves, and leaves in good order.
pub(super) async fn run(scenario: &str, stop: impl Future<Output = ()>) -> Result<()> {
    let site = Site {
        pool: pool(DATABASE_URL, 6).await?,
        direct: pool(DIRECT_URL, 3).await?,
        is_watched: env::var_os(DATABASE_URL) != env::var_os(DIRECT_URL),
    };
    let mut settings = SessionSettings::default();
    if scenario == rescue::NAME {
        settings.lease = SHORT_LEASE;
    }
    let session = Session::start(site.pool.clone(), settings).await.context("registering the worker")?;
    let mut workers = JoinSet::<Result<(), WorkerError>>::new();
    macro_rules! start {
        ($($job:ty => $handler:ident),* $(,)?) => {{$(
            let worker = WorkerBuilder::new(<$job>::KIND)
                .backend(session.backend::<$job>(CONCURRENCY))
                .data(site.clone())
                .build(handlers::$handler);
            workers.spawn(worker.run());
        )*}};
    }
    // What has no jobs in a scenario would only add points at which nothing happens.
    match scenario {
        schedules::NAME => start! { Planner => planner, Tick => tick },
        control::NAME => start! {
            Effect => effect, Mourn => mourn, Operator => operator, Endless => endless, Limited => limited, Retried => retried, Keyed => keyed,
        },
        rescue::NAME => start! {
            Plain => plain, Effect => effect, Doomed => doomed, Mourn => mourn, Lingering => lingering, Slow => slow,
        },
        _ => start! {
            Plain => plain, Effect => effect, Doomed => doomed, Mourn => mourn, Lingering => lingering, Flaky => flaky,
            Panics => panics, Hopeless => hopeless, Snoozer => snoozer, Parent => parent, Child => child,
        },
    }
    stop.await;
    session.shutdown(GRACE).await;
    Ok(())
}

async fn pool(variable: &str, connections_max: u32) -> Result<PgPool> {
    let url = env::var(variable).with_context(|| format!("{variable} is not set"))?;
    // As in the service: a transaction whose worker is cut off must not keep its locks.
    let options: PgConnectOptions = url.parse()?;
    let options = options.options([("idle_in_transaction_session_timeout", "5s")]);
    let pool = PgPoolOptions::new().max_connections(connections_max);
    pool.connect_with(options).await.with_context(|| format!("connecting to the database of {variable}"))
}
