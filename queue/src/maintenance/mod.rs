//! The upkeep of the queue, which the leader does for all: one service a file.
//!
//! | file | service | how often |
//! | --- | --- | --- |
//! | `rescue.rs` | takes back the jobs of dead workers and of expired leases | 1 s |
//! | `groups.rs` | finishes groups whose last worker died before it could | 2 s |
//! | `schedules.rs` | fires the [`schedules`](crate::schedules) that are due | when the next one is |
//! | `statistics.rs` | counts what each queue holds: [`depths`] | 10 s |
//! | `retention.rs` | creates and drops the partitions of ended jobs | 1 h |
//! | `vacuum.rs` | removes dead rows that claims would read over | 5 s |
//! | `indexes.rs` | rebuilds the indexes that have grown far beyond their content | 1 h |
//!
//! `absence.rs` tells the rescue who is dead. There is no service that makes due jobs available: claims do.
//!
//! Each service is safe against another leader that is at it, too: it skips what is locked and changes only
//! what still is as it was seen. One that fails tries again after a while; that is no matter to the others.
//!
//! A program may have the leader run services of its own: [`Service`], [`Services`].

pub(crate) mod absence;
#[cfg(test)]
mod absence_tests;
pub(crate) mod groups;
pub(crate) mod indexes;
mod report;
pub(crate) mod rescue;
pub(crate) mod retention;
mod schedules;
pub(crate) mod statistics;
pub(crate) mod vacuum;

use std::{
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::{task::JoinSet, time::timeout};

use crate::session::Shared;

pub use report::{ServiceReport, report};
pub use statistics::{Depth, depths};

use report::{Tally, record};

/// One for each service of the queue but `indexes`, which takes its own.
const CONNECTIONS_MAX: u32 = 6;

/// The longest that one statement may take. Ours take milliseconds; one that waits for a lock must not wait
/// for ever.
const STATEMENT_MAX: &str = "10s";

/// How long the server waits for the next statement of a transaction, and keeps its locks meanwhile. We go on
/// at once, unless the connection fell silent, and then what it had locked would be skipped by whoever tries
/// again.
const IDLE_IN_TRANSACTION_MAX: &str = "5s";

/// The longest run of a service that works in batches, each committed on its own: what it does not come to is
/// left to the next run, a second later. It is longer than one statement may take, and else as short as can
/// be: where the connection falls silent, that is how long dead workers keep their jobs, groups stay open and
/// ticks are late.
const BATCHES_MAX: Duration = Duration::from_secs(15);

/// How long to wait until a run is written down.
const RECORD_MAX: Duration = Duration::from_secs(5);

/// How long to try for a connection, and to wait for one to close.
const ACQUIRE_MAX: Duration = Duration::from_secs(3);

/// How often the runs of a service are written down that come more often and have nothing to tell.
const RECORD_EVERY: Duration = Duration::from_secs(10);

/// One concern of the maintenance, which the leader looks after for the whole fleet. Two processes may
/// believe to lead for a moment, and a run may be cut off anywhere: it must be safe against both.
pub trait Service: Send + 'static {
    /// Names it in `queue.maintenance` and in [`report`].
    const NAME: &'static str;
    /// The longest that a run may take, even where the server does not answer.
    const RUN_MAX: Duration;
    /// How soon to run again after a failure.
    const RETRY: Duration;

    /// Does what is to be done now, on a connection whose statements may take 10 s each.
    fn run(&mut self, conn: &mut PgConnection) -> impl Future<Output = Result<Pass, sqlx::Error>> + Send;

    /// Ends when there is a reason to run before the time.
    fn woken(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// The result of a run.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// How many jobs, rows, partitions or indexes it dealt with.
    pub affected: u64,
    /// When to run again.
    pub next: Duration,
}

/// Services that a program adds to those of the queue, for
/// [`SessionSettings::services`](crate::SessionSettings::services).
#[derive(Clone, Default)]
pub struct Services(Vec<Arc<Start>>);

/// Starts a service with the connections of the maintenance.
type Start = dyn Fn(&mut JoinSet<()>, &Arc<Shared>, &PgPool) + Send + Sync;

impl Services {
    /// Adds a service. The leader runs a copy of it at once, and then whenever it wants to be run.
    #[must_use]
    pub fn with<S: Service + Clone + Sync>(mut self, service: S) -> Self {
        self.0.push(Arc::new(move |running, shared, pool| {
            running.spawn(keep(service.clone(), shared.clone(), pool.clone()));
        }));
        self
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Services").field(&self.0.len()).finish()
    }
}

/// Runs all services while this worker leads, for as long as the session lives.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut term = shared.term.subscribe();
    while term.wait_for(Option::is_some).await.is_ok() {
        let pool = own_pool(&shared);
        let mut services = JoinSet::new();
        services.spawn(keep(rescue::Rescue::new(shared.clone()), shared.clone(), pool.clone()));
        services.spawn(keep(groups::Groups::default(), shared.clone(), pool.clone()));
        services.spawn(keep(schedules::Schedules::new(shared.clone()), shared.clone(), pool.clone()));
        services.spawn(keep(statistics::Statistics, shared.clone(), pool.clone()));
        services.spawn(keep(retention::Retention, shared.clone(), pool.clone()));
        services.spawn(keep(vacuum::Vacuum, shared.clone(), pool.clone()));
        services.spawn(keep(indexes::Indexes::new(shared.pool.clone()), shared.clone(), pool.clone()));
        for start in &shared.settings.services.0 {
            start(&mut services, &shared, &pool);
        }
        // An error says that the session is gone.
        let _ = term.wait_for(Option::is_none).await;
        services.shutdown().await;
        // A service that was stopped half-way may have left a transaction open: none of the connections is
        // used again.
        let _ = timeout(ACQUIRE_MAX, pool.close()).await;
    }
}

/// Handlers that use up the session's pool must not stop the maintenance: it has connections of its own,
/// opened when it needs them.
fn own_pool(shared: &Shared) -> PgPool {
    let options = shared.pool.connect_options().as_ref().clone();
    let options = options.application_name(&format!("{} maintenance", shared.settings.name)).options([
        ("statement_timeout", STATEMENT_MAX),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_MAX),
    ]);
    PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX + shared.settings.services.0.len() as u32)
        .acquire_timeout(ACQUIRE_MAX)
        .connect_lazy_with(options)
}

/// Runs one service again and again, and writes down what its runs came to.
async fn keep<S: Service>(mut service: S, shared: Arc<Shared>, pool: PgPool) {
    let mut tally = Tally::default();
    let mut recorded: Option<Instant> = None;
    loop {
        let start = Instant::now();
        let result = run_once(&mut service, &pool).await;
        if let Err(error) = &result {
            tracing::warn!(service = S::NAME, error, "maintenance failed, trying again");
        }
        let pause = result.as_ref().map_or(S::RETRY, |pass| pass.next);
        let has_news = !matches!(&result, Ok(pass) if pass.affected == 0);
        tally.add(start, result.map(|pass| pass.affected));
        if has_news || pause >= RECORD_EVERY || recorded.is_none_or(|at| at.elapsed() >= RECORD_EVERY) {
            match write_down::<S>(&pool, &shared, &tally).await {
                Ok(()) => (tally, recorded) = (Tally::default(), Some(Instant::now())),
                // Kept for the next time.
                Err(error) => tracing::debug!(service = S::NAME, %error, "a run cannot be written down"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = service.woken() => {}
        }
    }
}

/// Writes down what the runs came to. A connection that falls silent meanwhile must not hold up the next one.
async fn write_down<S: Service>(pool: &PgPool, shared: &Shared, tally: &Tally) -> Result<(), sqlx::Error> {
    let mut conn = pool.acquire().await?;
    if let Ok(recorded) = timeout(RECORD_MAX, record(&mut conn, S::NAME, shared.worker_id, tally)).await {
        return recorded;
    }
    conn.close_on_drop();
    Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
}

async fn run_once<S: Service>(service: &mut S, pool: &PgPool) -> Result<Pass, String> {
    let mut conn = pool.acquire().await.map_err(|error| error.to_string())?;
    let error = match timeout(S::RUN_MAX, service.run(&mut conn)).await {
        Ok(Ok(pass)) => return Ok(pass),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no end after {:?}", S::RUN_MAX),
    };
    // It may be in the middle of anything.
    conn.close_on_drop();
    Err(error)
}
