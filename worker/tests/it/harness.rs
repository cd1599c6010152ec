//! What every test of the pipeline needs: a database, a source that misbehaves on request, and workers.

use std::{future::Future, time::Duration};

use mock_ats::{Ats, Face, Fault, FaultKind, MockServer, Pages, Times};
use resume_core::{
    collection::{self, BACKLOG_MAX, Continued, NewCollection, Progress, Scope},
    db::{self, PgPool, Role, migrators},
    erasure::Key,
    parsing::Format,
    source::{self, definition::Definition},
};
use resume_postgres::testing::TestDatabase;
use resume_worker::{Retention, Settings};
use tokio::{
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, oneshot},
    task::JoinHandle,
};
use uuid::Uuid;

/// How long anything may take; many times what it does take, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The sources that every pipeline has, all served by its mock.
pub(crate) const NUMBERED: &str = "numbered";
pub(crate) const NEXT_LINK: &str = "next-link";
pub(crate) const JSON_RESUMES: &str = "json-resumes";

/// Shared by all tests of this process, but for those that measure time.
static TURN: RwLock<()> = RwLock::const_new(());

/// A test's leave to run, kept for its sake alone.
enum Turn {
    Together { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

/// A database and a source. Workers are started by the tests. One at a time in each test: a second one could
/// wait for a measurement that waits for the first one.
pub(crate) struct Pipeline {
    // Dropped in this order: the pool before its database.
    pub(crate) pool: PgPool,
    pub(crate) mock: MockServer,
    pub(crate) database: TestDatabase,
    _turn: Turn,
}

fn settings() -> Settings {
    Settings {
        parse_delay: Duration::ZERO,
        backlog_max: BACKLOG_MAX,
        secrets_dir: std::env::temp_dir(),
        erasure_key: None,
        retention: Retention::default(),
        grace: Duration::from_secs(10),
    }
}

impl Pipeline {
    /// With a source that answers at once and has no limit worth the name.
    pub(crate) async fn start() -> Self {
        Self::start_with(u32::MAX, 1000).await
    }

    /// With a source that answers at once and allows `allowed` calls a second, while we believe that it
    /// allows `believed`.
    pub(crate) async fn start_with(allowed: u32, believed: u32) -> Self {
        Self::start_on(TestDatabase::new(&migrators()).await.unwrap(), allowed, believed).await
    }

    /// As [`Pipeline::start_with`], on this database.
    pub(crate) async fn start_on(database: TestDatabase, allowed: u32, believed: u32) -> Self {
        let turn = Turn::Together { _guard: TURN.read().await };
        Self::build(turn, database, allowed, believed).await
    }

    /// As [`Pipeline::start_with`], while no other test of this process runs: for measurements.
    pub(crate) async fn start_alone(allowed: u32, believed: u32) -> Self {
        let turn = Turn::Alone { _guard: TURN.write().await };
        Self::build(turn, TestDatabase::new(&migrators()).await.unwrap(), allowed, believed).await
    }

    async fn build(turn: Turn, database: TestDatabase, allowed: u32, believed: u32) -> Self {
        let settings =
            mock_ats::Settings { calls_per_second: allowed, ..mock_ats::Settings::without_latency() };
        let mock = MockServer::start(Ats::new(settings)).await.unwrap();
        let pool = db::pool(database.url(), Role::Worker).unwrap();
        let mut conn = pool.acquire().await.unwrap();
        let original = |name, face: Face| Definition::original(name, &mock.url(), face.path(), believed);
        for definition in [
            original(NUMBERED, Face::TestData),
            original(NEXT_LINK, Face::TestData).along_links(),
            original(JSON_RESUMES, Face::JsonResumes).of_format(Format::JsonResume),
        ] {
            source::put(&mut conn, &definition).await.unwrap();
        }
        drop(conn);
        Self { pool, mock, database, _turn: turn }
    }

    /// Triggers a collection.
    pub(crate) async fn collect(&self, new: &NewCollection) -> Uuid {
        let mut tx = db::begin(&self.pool).await.unwrap();
        let started = collection::start(&mut tx, new).await.unwrap();
        tx.commit().await.unwrap();
        started.id
    }

    /// Starts a worker with a pool of its own, as a process has.
    pub(crate) fn worker(&self) -> Worker {
        self.worker_with(settings())
    }

    /// Starts a worker whose parser takes this long, and that does not wait for it when it stops.
    pub(crate) fn slow_worker(&self, parse_delay: Duration) -> Worker {
        self.worker_with(Settings { parse_delay, grace: Duration::from_millis(100), ..settings() })
    }

    /// Starts a worker that fetches nothing while more than so many documents wait to be parsed.
    pub(crate) fn worker_with_backlog(&self, backlog_max: u32) -> Worker {
        self.worker_with(Settings { backlog_max, ..settings() })
    }

    /// Starts a worker that can tell who was erased.
    pub(crate) fn worker_with_key(&self, key: Key) -> Worker {
        self.worker_with(Settings { erasure_key: Some(key), ..settings() })
    }

    /// Starts a worker that deletes what has had its time.
    pub(crate) fn worker_that_keeps(&self, retention: Retention) -> Worker {
        self.worker_with(Settings { retention, ..settings() })
    }

    fn worker_with(&self, settings: Settings) -> Worker {
        let pool = db::pool(self.database.url(), Role::Worker).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            // A dropped sender is a worker that nobody stops.
            let shutdown = async {
                if stopped.await.is_err() {
                    std::future::pending().await
                }
            };
            resume_worker::run(pool, settings, shutdown).await.unwrap();
        });
        Worker { stop, task }
    }

    /// How far a collection is.
    pub(crate) async fn progress(&self, id: Uuid) -> Progress {
        collection::progress(&self.pool, id).await.unwrap().unwrap()
    }

    /// Waits until a collection is over.
    pub(crate) async fn ended(&self, id: Uuid) -> Progress {
        self.until(id, "it is over", |progress| progress.collection.state.is_over()).await
    }

    /// Waits until a collection is as wanted.
    pub(crate) async fn until(&self, id: Uuid, what: &str, wanted: impl Fn(&Progress) -> bool) -> Progress {
        let mut last = None;
        let waiting = async {
            loop {
                let progress = self.progress(id).await;
                if wanted(&progress) {
                    return progress;
                }
                last = Some(progress);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, waiting).await;
        reached.unwrap_or_else(|_| panic!("waited {PATIENCE:?} until {what}: {last:#?}"))
    }

    /// Continues a collection that is over; returns the number of calls that are made again.
    pub(crate) async fn continue_collection(&self, id: Uuid) -> i64 {
        self.continue_with(id, Scope::default()).await.calls
    }

    /// Continues this of a collection.
    pub(crate) async fn continue_with(&self, id: Uuid, scope: Scope) -> Continued {
        let mut tx = db::begin(&self.pool).await.unwrap();
        let continued = collection::continue_collection(&mut tx, id, scope).await.unwrap();
        tx.commit().await.unwrap();
        continued
    }

    /// Lets the jobs of a kind that are there have one attempt only; gives their number.
    pub(crate) async fn allow_one_attempt(&self, kind: &str) -> u64 {
        let update = sqlx::query!("update queue.live_jobs set max_attempts = 1 where kind = $1", kind);
        update.execute(&self.pool).await.unwrap().rows_affected()
    }

    /// Waits until so many jobs of a kind run.
    pub(crate) async fn until_running(&self, kind: &str, wanted: i64) {
        let running = async || {
            let count = sqlx::query_scalar!(
                r#"select count(*) as "count!" from jobs where kind = $1 and state = 'running'"#,
                kind
            );
            count.fetch_one(&self.pool).await.unwrap()
        };
        let waiting = async {
            while running().await != wanted {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        in_time("the jobs run", waiting).await;
    }

    /// Makes calls to a page fail in one way.
    pub(crate) fn set_fault(&self, kind: FaultKind, pages: Pages, times: Times) {
        self.mock.ats().set_faults([Fault::new(kind, pages, times)]);
    }
}

/// A running worker. Dropping it leaves it running until the test ends.
pub(crate) struct Worker {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Worker {
    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        in_time("the worker stops", self.task).await.unwrap();
    }

    /// Ends it as `kill -9` does: nothing is handed back and nobody is told.
    pub(crate) async fn crash(self) {
        self.task.abort();
        assert!(in_time("the worker is gone", self.task).await.unwrap_err().is_cancelled());
    }
}

/// Waits for something that must happen.
pub(crate) async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} until {what}"))
}

/// The people of [`collection_of`].
pub(crate) const SEED: u32 = 7;

/// A collection of `count` people, ten a page, five a batch.
pub(crate) fn collection_of(count: u32, source: &str) -> NewCollection {
    NewCollection {
        source: source.to_owned(),
        count: Some(count.into()),
        per_page: Some(10),
        batch_size: 5,
        error_mode: false,
        full: false,
        seed: Some(SEED),
        idempotency_key: None,
    }
}
