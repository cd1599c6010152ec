use std::{
    convert::Infallible,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, atomic::AtomicBool},
    task::{Context, Poll, ready},
    time::Duration,
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
};

use crate::{
    Job, Lease, LeaseLayer, backoff,
    claim::{Claimed, claim, next_due},
    completer::RECONNECT_MAX,
    session::Shared,
    settle::{Outcome, Settlement},
};

/// The most jobs claimed by one statement.
const CLAIM_MAX: usize = 500;

/// How one worker process treats one queue.
#[derive(Debug, Clone, Copy)]
pub struct QueueConfig {
    /// How many jobs run at once in this process; also the most that are claimed ahead of being done. At least 1.
    pub concurrency: usize,
}

/// Hands the jobs of one kind to an apalis worker. Made by [`Session::backend`](crate::Session::backend).
///
/// It claims no more than there are free slots, so nothing waits in memory while another process is idle, and it never
/// fails: while the database is away it has no jobs.
pub struct QueueBackend<J> {
    shared: Arc<Shared>,
    config: QueueConfig,
    claimer: Option<Claimer<J>>,
}

struct Claimer<J> {
    jobs: mpsc::Receiver<Task<J>>,
    task: JoinHandle<()>,
}

impl<J> Drop for Claimer<J> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<J> fmt::Debug for QueueBackend<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueBackend").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<J: Job> QueueBackend<J> {
    pub(crate) fn new(shared: Arc<Shared>, config: QueueConfig) -> Self {
        Self { shared, config, claimer: None }
    }

    fn start_claimer(&self, worker: &WorkerContext) -> Claimer<J> {
        let concurrency = self.config.concurrency.max(1);
        let (sender, jobs) = mpsc::channel(concurrency);
        let claiming = Claiming {
            shared: self.shared.clone(),
            slots: Arc::new(Semaphore::new(concurrency)),
            sender,
            worker: worker.clone(),
            payload: PhantomData::<fn() -> J>,
        };
        Claimer { jobs, task: tokio::spawn(claiming.run()) }
    }
}

impl<J: Job> Backend for QueueBackend<J> {
    type Task = Task<J>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), Infallible>> {
        if self.claimer.is_none() {
            self.claimer = Some(self.start_claimer(worker));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<J>, Infallible>>> {
        match &mut self.claimer {
            Some(claimer) => claimer.jobs.poll_recv(cx).map(|job| job.map(Ok)),
            None => Poll::Ready(None),
        }
    }

    /// Stops claiming. Called when no handler runs any more; what is still in the channel was claimed and never
    /// started, and goes back.
    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        if let Some(claimer) = &mut self.claimer {
            claimer.jobs.close();
            while let Some(job) = ready!(claimer.jobs.poll_recv(cx)) {
                if let Some(lease) = job.data().get::<Lease>() {
                    hand_back(&self.shared, lease.id, lease.fence);
                }
            }
            // The channel is empty and closed, so the claimer ends at its next send or look; it holds no job by then.
            let _ = ready!(Pin::new(&mut claimer.task).poll(cx));
            self.claimer = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<J: Job> BackendConfig for QueueBackend<J> {
    type Args = J;
    type Id = u64;
    type Kind = Ephemeral;
    type Config = QueueConfig;
    type Layer = LeaseLayer;

    fn config(&self) -> &QueueConfig {
        &self.config
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> LeaseLayer {
        LeaseLayer(self.shared.clone())
    }
}

fn hand_back(shared: &Shared, id: i64, fence: i32) {
    // The receiver goes when the session is dropped; that is a crash, and the lease covers it.
    let _ = shared.settlements.send(Settlement { id, fence, outcome: Outcome::HandedBack });
}

/// The task that claims jobs and passes them to the worker.
struct Claiming<J> {
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    sender: mpsc::Sender<Task<J>>,
    worker: WorkerContext,
    payload: PhantomData<fn() -> J>,
}

impl<J: Job> Claiming<J> {
    /// Claims whenever there are free slots and a reason to look, until the session stops or the worker is closed.
    async fn run(self) {
        let wake = self.shared.held.claimer(J::KIND);
        let mut stopping = self.shared.stopping.subscribe();
        loop {
            tokio::select! {
                () = self.claim_and_wait(&wake) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
                () = self.sender.closed() => return,
            }
        }
    }

    async fn claim_and_wait(&self, wake: &tokio::sync::Notify) {
        let slots = self.free_slots().await;
        let wanted = slots.len();
        let got = if self.worker.is_paused() { 0 } else { self.claim_into(slots).await };
        if got < wanted {
            let nap = self.until_next_look().await;
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    /// Waits for one free slot, then takes all that are free.
    async fn free_slots(&self) -> Vec<OwnedSemaphorePermit> {
        let Ok(first) = self.slots.clone().acquire_owned().await else { return Vec::new() };
        let mut slots = vec![first];
        while slots.len() < CLAIM_MAX
            && let Ok(slot) = self.slots.clone().try_acquire_owned()
        {
            slots.push(slot);
        }
        slots
    }

    /// Claims a job for each slot and passes them on; gives the number claimed.
    ///
    /// The claim itself runs in a task of its own: were it dropped half-way by a shutdown, jobs could be claimed that
    /// nobody knows of, and would wait for their lease to run out.
    async fn claim_into(&self, slots: Vec<OwnedSemaphorePermit>) -> usize {
        let shared = self.shared.clone();
        let sender = self.sender.clone();
        let under_way = shared.held.begin_claim();
        let claiming = tokio::spawn(async move {
            let _under_way = under_way;
            let claimed = claim_when_reachable(&shared, J::KIND, slots.len()).await;
            let count = claimed.len();
            for (job, slot) in claimed.into_iter().zip(slots) {
                start::<J>(&shared, &sender, job, slot).await;
            }
            count
        });
        claiming.await.unwrap_or_default()
    }

    /// How long to sleep when nothing was found: until the next scheduled job is due, at most the poll time, less up to
    /// a fifth so that processes do not look in step.
    async fn until_next_look(&self) -> Duration {
        let poll = self.shared.settings.poll;
        let poll = poll - backoff::jitter(poll / 5);
        match next_due(&self.shared.pool, J::KIND).await {
            Ok(Some(due)) => due.min(poll),
            Ok(None) => poll,
            Err(_) => poll.min(RECONNECT_MAX),
        }
    }
}

/// Claims, however long the database is away; nothing once the session stops.
async fn claim_when_reachable(shared: &Shared, queue: &str, limit: usize) -> Vec<Claimed> {
    let mut pause = Duration::from_millis(50);
    loop {
        if *shared.stopping.borrow() {
            return Vec::new();
        }
        let claimed = async {
            let mut conn = shared.pool.acquire().await?;
            claim(&mut conn, queue, shared.worker_id, limit, shared.settings.lease).await
        };
        match claimed.await {
            Ok(claimed) => return claimed,
            Err(error) => {
                tracing::warn!(queue, %error, "claiming jobs failed, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RECONNECT_MAX);
            }
        }
    }
}

/// Decodes a claimed job and passes it to the worker. One that cannot be decoded fails alone; one that comes after the
/// shutdown began goes back.
async fn start<J: Job>(shared: &Shared, sender: &mpsc::Sender<Task<J>>, job: Claimed, slot: OwnedSemaphorePermit) {
    let stop = shared.held.hold(job.id, job.fence, slot);
    if *shared.stopping.borrow() {
        return hand_back(shared, job.id, job.fence);
    }
    let payload = match serde_json::from_str::<J>(&job.args) {
        Ok(payload) if job.kind == J::KIND => payload,
        Ok(_) => return discard(shared, &job, format!("a {} job in the queue {}", job.kind, J::KIND)),
        Err(error) => return discard(shared, &job, format!("the payload does not decode: {error}")),
    };
    let lease = Lease {
        id: job.id,
        fence: job.fence,
        attempt: job.attempt,
        max_attempts: job.max_attempts,
        completed: Arc::new(AtomicBool::new(false)),
        stop,
    };
    let task = TaskBuilder::new(payload)
        .task_id(TaskId::from_int(job.id.unsigned_abs()))
        .attempt(lease.attempt() as usize - 1)
        .max_attempts(job.max_attempts.unsigned_abs() as usize)
        .priority(job.priority.max(0).unsigned_abs() as usize)
        .data(lease)
        .build();
    if sender.send(task).await.is_err() {
        hand_back(shared, job.id, job.fence);
    }
}

fn discard(shared: &Shared, job: &Claimed, error: String) {
    tracing::error!(job = job.id, error, "job discarded");
    let outcome = Outcome::Discarded { error };
    let _ = shared.settlements.send(Settlement { id: job.id, fence: job.fence, outcome });
}
