use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{
    sync::{Notify, RwLock, mpsc, watch},
    task::JoinHandle,
};

use crate::{
    Job, QueueBackend, QueueConfig,
    attempt::{CLEAN_UP_MAX, STOP_WAIT},
    completer,
    heartbeat::{self, Pulse},
    held::{Ended, Held, Stop},
    maintenance::{self, Services},
    presence,
};

/// How long a shutdown waits after the grace time: for handlers that clean up, and then for the database.
const SIGN_OFF_MAX: Duration = CLEAN_UP_MAX.saturating_add(STOP_WAIT).saturating_add(Duration::from_secs(3));

/// How long to wait for a connection before asking for it anew. While a server is away, sqlx asks ever less
/// often and would notice only after seconds that it is back.
const ACQUIRE_MAX: Duration = Duration::from_secs(3);

/// How long the statements of one errand may go without an answer. They take milliseconds, and wait for a row
/// lock no longer than Postgres lets a transaction stand still. A connection that fell silent would else be
/// waited for as long as the kernel believes in it, while the heartbeat, on another one, keeps the leases of
/// what waits.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// How one process works as a worker.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// Names the process to people; need not be unique. By default the host name and the process id.
    pub name: String,
    /// How long a claim is good for without a heartbeat. A crash is noticed long before; this covers a
    /// network that is cut while both ends live on. Heartbeats come at a third of it.
    pub lease: Duration,
    /// The longest time between two looks at a queue when no notification comes. While the worker listens
    /// none can be lost, so this may be long; while it has no connection to listen on, it looks every five
    /// seconds.
    pub poll: Duration,
    /// What the leader looks after beside the queue.
    pub services: Services,
}

impl Default for SessionSettings {
    fn default() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
        Self {
            name: format!("{host}:{}", std::process::id()),
            lease: Duration::from_secs(30),
            poll: Duration::from_secs(60),
            services: Services::default(),
        }
    }
}

/// One process as a worker: its row in `queue.workers`, its presence, and the upkeep of the jobs it holds.
/// All queues that the process works on share it.
///
/// It survives any outage of the database: every part of it reconnects and goes on. Dropping it without
/// [`shutdown`](Session::shutdown) is like a crash: its handlers are stopped, and others take its jobs back.
#[derive(Debug)]
pub struct Session {
    pub(crate) shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the parts of a session share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) pool: PgPool,
    pub(crate) settings: SessionSettings,
    pub(crate) worker_id: i64,
    pub(crate) held: Arc<Held>,
    /// Takes the attempts that are over to the completer.
    pub(crate) ended: mpsc::UnboundedSender<Ended>,
    /// Turns true once, when the session shuts down and claims nothing more.
    pub(crate) stopping: watch::Sender<bool>,
    /// Whether there is a connection that stands for this process now.
    pub(crate) present: watch::Sender<bool>,
    /// The term for which this worker leads, as far as it knows.
    pub(crate) term: watch::Sender<Option<i64>>,
    /// Signalled when a schedule may be due sooner than was known.
    pub(crate) schedules_changed: Notify,
    pub(crate) pulse: Mutex<Pulse>,
    /// Read while a claim is under way, until its jobs are held; written by who must know all that is
    /// claimed.
    pub(crate) claiming: RwLock<()>,
    /// Locked for each heartbeat; true when there must be no more.
    pub(crate) signed_off: tokio::sync::Mutex<bool>,
}

impl Shared {
    /// A connection of the pool.
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        tokio::time::timeout(ACQUIRE_MAX, self.pool.acquire()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Runs the statements of one errand on a connection of the pool. One that falls silent is given up.
    pub(crate) async fn ask<T>(
        &self,
        errand: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        ask_on(self.connection().await?, errand).await
    }

    /// Ends when the session shuts down.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.subscribe();
        async move {
            // An error says that the sender is gone, and the session with it.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }
}

/// Runs the statements of one errand on this connection, which goes back to its pool. One that falls silent
/// is given up.
async fn ask_on<T>(
    conn: PoolConnection<Postgres>,
    errand: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    let mut conn = DetachOnDrop(Some(conn));
    let Some(busy) = &mut conn.0 else { return Err(sqlx::Error::PoolClosed) };
    let result = answered(async { Ok(errand(busy).await) }).await?;
    // In order, and the pool's again.
    conn.0 = None;
    result
}

/// Gives up what gets no answer.
async fn answered<T>(errand: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(ANSWER_MAX, errand).await.unwrap_or_else(|_| {
        let seconds = ANSWER_MAX.as_secs();
        let silence = format!(
            "no answer for {seconds} s on a connection that was accepted: \
             does the database hang, or the network or a proxy in between?"
        );
        Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, silence)))
    })
}

/// A connection in the middle of an errand. One whose errand was given up, or stopped with its task, is not
/// the pool's any more: the pool would wait for its answer, and there may be a transaction open on it.
struct DetachOnDrop(Option<PoolConnection<Postgres>>);

impl Drop for DetachOnDrop {
    fn drop(&mut self) {
        drop(self.0.take().map(PoolConnection::detach));
    }
}

impl Session {
    /// Registers this process as a worker and starts its upkeep. `pool` serves claims, heartbeats and
    /// settlements, at most three connections at once beside one for each queue. One more connection, outside
    /// the pool, is held for the presence, and a second one while the handlers leave none of the pool for the
    /// heartbeat. The worker that leads has up to six more for the maintenance, and one for each of the
    /// settings' services.
    ///
    /// # Errors
    /// When the database cannot be reached now: when the pool has no connection in its time, or one accepts
    /// and gives no answer for 10 s. Later outages are ridden out.
    pub async fn start(pool: PgPool, settings: SessionSettings) -> Result<Self, sqlx::Error> {
        // How long a connection may take is the pool's to say; what there is must answer.
        let conn = pool.acquire().await?;
        let worker_id = ask_on(conn, async |conn| presence::register(conn, &settings.name).await).await?;
        let (ended, receiver) = mpsc::unbounded_channel();
        let held = Arc::new(Held::default());
        let shared = Arc::new(Shared {
            pool,
            settings,
            worker_id,
            held: held.clone(),
            ended,
            stopping: watch::Sender::new(false),
            present: watch::Sender::new(false),
            term: watch::Sender::new(None),
            schedules_changed: Notify::new(),
            pulse: Mutex::default(),
            claiming: RwLock::default(),
            signed_off: tokio::sync::Mutex::default(),
        });
        let tasks = vec![
            answered(presence::hold(shared.clone())).await?,
            tokio::spawn(heartbeat::run(shared.clone())),
            tokio::spawn(maintenance::run(shared.clone())),
            tokio::spawn(completer::run(shared.clone(), receiver)),
        ];
        tracing::info!(worker = shared.settings.name, worker_id, "worker started");
        Ok(Self { shared, tasks })
    }

    /// The id of this worker's row in `queue.workers`.
    pub fn worker_id(&self) -> i64 {
        self.shared.worker_id
    }

    /// A backend for an apalis worker that runs the jobs of kind `J`.
    pub fn backend<J: Job>(&self, config: QueueConfig) -> QueueBackend<J> {
        QueueBackend::new(self.shared.clone(), config)
    }

    /// Ends the work of this process: leaves the maintenance to another worker, claims nothing more, lets
    /// running jobs finish for `grace`, then drops their handlers and hands the jobs back without taking an
    /// attempt from them, and signs off. The apalis workers built over this session end by themselves.
    ///
    /// Where the database is away, gives up nine seconds after the grace time; the leases will run out.
    pub async fn shutdown(self, grace: Duration) {
        let shared = &self.shared;
        shared.stopping.send_replace(true);
        if tokio::time::timeout(grace, shared.held.until_empty()).await.is_err() {
            shared.held.stop_all(Stop::Interrupted);
        }
        let sign_off = async {
            shared.held.until_empty().await;
            presence::sign_off(shared).await
        };
        match tokio::time::timeout(SIGN_OFF_MAX, sign_off).await {
            Ok(Ok(())) => tracing::info!(worker = shared.settings.name, "worker stopped"),
            Ok(Err(error)) => tracing::warn!(%error, "signing off failed; the others will notice"),
            Err(_) => {
                let jobs = shared.held.ids_and_fences().0.len();
                tracing::warn!(
                    jobs,
                    "the database did not answer in time; the others will take back what is still held"
                );
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.stopping.send_replace(true);
        // Nobody keeps the leases from here on, and nobody would settle.
        self.shared.held.stop_all(Stop::LeaseLost);
        for task in &self.tasks {
            task.abort();
        }
    }
}
