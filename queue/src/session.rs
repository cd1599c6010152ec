use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::PgPool;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, mpsc, watch},
    task::JoinHandle,
};

use crate::{Job, JobId, QueueBackend, QueueConfig, completer, heartbeat, history, presence, rescue, settle::Settlement};

/// How one process works as a worker.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// Names the process to people; need not be unique. By default the host name and the process id.
    pub name: String,
    /// How long a claim is good for without a heartbeat. A crash is noticed long before; this covers a network that is
    /// cut while both ends live on. Heartbeats come at a third of it.
    pub lease: Duration,
    /// The longest time between two looks at a queue when no notification comes.
    pub poll: Duration,
}

impl Default for SessionSettings {
    fn default() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
        Self {
            name: format!("{host}:{}", std::process::id()),
            lease: Duration::from_secs(30),
            poll: Duration::from_secs(5),
        }
    }
}

/// One process as a worker: its row in `queue.workers`, its presence, and the upkeep of the jobs it holds. All queues
/// that the process works on share it.
///
/// It survives any outage of the database: every part of it reconnects and goes on. Dropping it without
/// [`shutdown`](Session::shutdown) is like a crash.
#[derive(Debug)]
pub struct Session {
    pub(crate) shared: Arc<Shared>,
    upkeep: Vec<JoinHandle<()>>,
    completer: JoinHandle<()>,
    presence: JoinHandle<()>,
}

/// What the parts of a session share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) pool: PgPool,
    pub(crate) settings: SessionSettings,
    pub(crate) worker_id: i64,
    pub(crate) held: Arc<Held>,
    pub(crate) settlements: mpsc::UnboundedSender<Settlement>,
    /// Turns true once, when the session shuts down and claims nothing more.
    pub(crate) stopping: watch::Sender<bool>,
}

/// Why a running handler must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The job is no longer this worker's.
    LeaseLost,
    /// The worker shuts down and its grace time is over.
    Interrupted,
}

#[derive(Debug)]
struct HeldJob {
    fence: i32,
    stop: watch::Sender<Option<Stop>>,
    /// One of the queue's slots in this process, free again when the job is released.
    _slot: OwnedSemaphorePermit,
}

/// The jobs that this process holds, from the claim until their end is durable, and the claimers to wake.
#[derive(Debug, Default)]
pub(crate) struct Held {
    jobs: Mutex<HashMap<JobId, HeldJob>>,
    claims_under_way: AtomicUsize,
    changed: Notify,
    claimers: Mutex<HashMap<String, Arc<Notify>>>,
}

/// A claim whose jobs are not noted as held yet.
#[derive(Debug)]
pub(crate) struct ClaimUnderWay(Arc<Held>);

impl Drop for ClaimUnderWay {
    fn drop(&mut self) {
        self.0.claims_under_way.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

impl Held {
    /// Announces a claim, so that a shutdown waits for what it brings.
    pub(crate) fn begin_claim(self: &Arc<Self>) -> ClaimUnderWay {
        self.claims_under_way.fetch_add(1, Ordering::SeqCst);
        ClaimUnderWay(self.clone())
    }

    /// Notes a claimed job; the receiver tells its handler to stop. An older attempt at the same job that still runs
    /// here, its lease lost, is stopped.
    pub(crate) fn hold(&self, id: JobId, fence: i32, slot: OwnedSemaphorePermit) -> watch::Receiver<Option<Stop>> {
        let (stop, receiver) = watch::channel(None);
        if let Some(older) = lock(&self.jobs).insert(id, HeldJob { fence, stop, _slot: slot }) {
            older.stop.send_replace(Some(Stop::LeaseLost));
        }
        receiver
    }

    /// Forgets a job, if it is still held under this fence: its end is durable, or it is somebody else's by now.
    pub(crate) fn release(&self, id: JobId, fence: i32) {
        let mut jobs = lock(&self.jobs);
        if jobs.get(&id).is_some_and(|job| job.fence == fence) {
            jobs.remove(&id);
        }
        drop(jobs);
        self.changed.notify_waiters();
    }

    /// The ids and fences of all jobs held.
    pub(crate) fn ids_and_fences(&self) -> (Vec<i64>, Vec<i32>) {
        lock(&self.jobs).iter().map(|(id, job)| (*id, job.fence)).unzip()
    }

    /// Tells the handler of one job to stop, if it still runs under this fence.
    pub(crate) fn stop(&self, id: JobId, fence: i32, why: Stop) {
        if let Some(job) = lock(&self.jobs).get(&id).filter(|job| job.fence == fence) {
            job.stop.send_replace(Some(why));
        }
    }

    fn stop_all(&self, why: Stop) {
        for job in lock(&self.jobs).values() {
            job.stop.send_replace(Some(why));
        }
    }

    /// Waits until no job is held and no claim is under way.
    async fn until_empty(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registers before looking, so that a change in between is not missed.
            changed.as_mut().enable();
            // Claims first: one that ends after this look has its jobs noted by the next.
            if self.claims_under_way.load(Ordering::SeqCst) == 0 && lock(&self.jobs).is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// The signal that makes the claimer of `queue` look again.
    pub(crate) fn claimer(&self, queue: &str) -> Arc<Notify> {
        lock(&self.claimers).entry(queue.to_owned()).or_default().clone()
    }

    pub(crate) fn wake_claimer(&self, queue: &str) {
        if let Some(claimer) = lock(&self.claimers).get(queue) {
            claimer.notify_one();
        }
    }

    pub(crate) fn wake_claimers(&self) {
        for claimer in lock(&self.claimers).values() {
            claimer.notify_one();
        }
    }
}

/// A poisoned lock guards nothing worse than a map entry too many: go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Registers this process as a worker and starts its upkeep. `pool` serves claims, heartbeats and settlements, at
    /// most three connections at once beside one for each queue; one more connection, outside the pool, is held for the
    /// presence.
    ///
    /// # Errors
    /// When the database cannot be reached now. Later outages are ridden out.
    pub async fn start(pool: PgPool, settings: SessionSettings) -> Result<Self, sqlx::Error> {
        let worker_id = presence::register(&pool, &settings.name).await?;
        history::maintain(&pool).await?;
        let (settlements, receiver) = mpsc::unbounded_channel();
        let held = Arc::new(Held::default());
        let shared = Arc::new(Shared {
            pool: pool.clone(),
            settings,
            worker_id,
            held: held.clone(),
            settlements,
            stopping: watch::Sender::new(false),
        });
        let presence = presence::hold(shared.clone()).await?;
        let upkeep = vec![
            tokio::spawn(heartbeat::run(shared.clone())),
            tokio::spawn(rescue::run(shared.clone())),
            tokio::spawn(history::run(pool.clone())),
        ];
        let completer = tokio::spawn(completer::run(pool, held, receiver));
        tracing::info!(worker = shared.settings.name, worker_id, "worker started");
        Ok(Self { shared, upkeep, completer, presence })
    }

    /// The id of this worker's row in `queue.workers`.
    pub fn worker_id(&self) -> i64 {
        self.shared.worker_id
    }

    /// A backend for an apalis worker that runs the jobs of kind `J`.
    pub fn backend<J: Job>(&self, config: QueueConfig) -> QueueBackend<J> {
        QueueBackend::new(self.shared.clone(), config)
    }

    /// Ends the work of this process: claims nothing more, lets running jobs finish for `grace`, then drops their
    /// handlers and hands the jobs back without taking an attempt from them, and signs off. The apalis workers built
    /// over this session end by themselves.
    ///
    /// Where the database is away, gives up five seconds after the grace time; the leases will run out.
    pub async fn shutdown(self, grace: Duration) {
        self.shared.stopping.send_replace(true);
        let held = &self.shared.held;
        if tokio::time::timeout(grace, held.until_empty()).await.is_err() {
            held.stop_all(Stop::Interrupted);
        }
        let sign_off = async {
            held.until_empty().await;
            presence::sign_off(&self.shared.pool, self.shared.worker_id).await
        };
        match tokio::time::timeout(Duration::from_secs(5), sign_off).await {
            Ok(Ok(())) => tracing::info!(worker = self.shared.settings.name, "worker stopped"),
            Ok(Err(error)) => tracing::warn!(%error, "signing off failed; the others will notice"),
            Err(_) => tracing::warn!("the database is away; jobs still held come back when their leases run out"),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for task in self.upkeep.iter().chain([&self.completer, &self.presence]) {
            task.abort();
        }
    }
}
