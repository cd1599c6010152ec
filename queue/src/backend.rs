use std::{
    convert::Infallible,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use sqlx::PgConnection;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
};

use crate::{
    Job, Lease, LeaseLayer, backoff,
    claim::{Claimed, claim, hand_back_unknown, next_due},
    completer::RECONNECT_MAX,
    held::hold,
    session::Shared,
    settle::Outcome,
};

/// The most jobs claimed by one statement.
const CLAIM_MAX: usize = 500;

/// The shortest and the longest pause between two looks at a due job that cannot be claimed.
const LOCKED_OUT_MIN: Duration = Duration::from_millis(5);
const LOCKED_OUT_MAX: Duration = Duration::from_secs(1);

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
        let concurrency = self.config.concurrency.clamp(1, Semaphore::MAX_PERMITS);
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
    /// started, and goes back when it is dropped.
    fn poll_close(&mut self, cx: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), Infallible>> {
        if let Some(claimer) = &mut self.claimer {
            claimer.jobs.close();
            while ready!(claimer.jobs.poll_recv(cx)).is_some() {}
            // The channel is empty and closed, so the claimer ends at its next send or look; it holds no job by then.
            let _ = ready!(Pin::new(&mut claimer.task).poll(cx));
            self.claimer = None;
        }
        // A worker whose backend has ended waits for a stop before it ends itself.
        if !worker.is_shutting_down() {
            let _ = worker.stop();
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
        LeaseLayer
    }
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
        let mut locked_out = Duration::ZERO;
        let stopped = self.shared.stopped();
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = self.claim_and_wait(&wake, &mut locked_out) => {}
                () = &mut stopped => break,
                () = self.sender.closed() => return,
            }
        }
        // Also ends a worker that is paused, and so would not ask for jobs and learn that there are no more.
        let _ = self.worker.stop();
    }

    async fn claim_and_wait(&self, wake: &Notify, locked_out: &mut Duration) {
        let slots = self.free_slots().await;
        let wanted = slots.len();
        let got = if self.worker.is_paused() { 0 } else { self.claim_into(slots).await };
        if got == wanted {
            return;
        }
        let next = self.until_next_look().await;
        // A due job that no claim gets is locked by somebody, or the worker is paused: look ever less often.
        let in_vain = got == 0 && next.is_zero();
        *locked_out =
            if in_vain { (*locked_out * 2).clamp(LOCKED_OUT_MIN, LOCKED_OUT_MAX) } else { Duration::ZERO };
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(next.max(*locked_out)) => {}
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
        let worker = self.worker.clone();
        let under_way = shared.held.begin_claim();
        let claiming = tokio::spawn(async move {
            let _under_way = under_way;
            let claimed = claim_when_reachable(&shared, &sender, slots).await;
            let count = claimed.len();
            if worker.is_paused() {
                // They go back, rather than to wait for the worker to go on.
                return 0;
            }
            for (job, lease) in claimed {
                if let Some(task) = task(job, lease) {
                    // Whatever is not sent, because the worker was closed, goes back.
                    let _ = sender.send(task).await;
                }
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
        let next = async { next_due(&mut *self.shared.connection().await?, J::KIND).await };
        match next.await {
            Ok(Some(due)) => due.min(poll),
            Ok(None) => poll,
            Err(_) => poll.min(RECONNECT_MAX),
        }
    }
}

/// Claims a job for each slot, however long the database is away; nothing once the session stops or the worker is
/// closed.
async fn claim_when_reachable<J: Job>(
    shared: &Arc<Shared>,
    sender: &mpsc::Sender<Task<J>>,
    slots: Vec<OwnedSemaphorePermit>,
) -> Vec<(Claimed, Lease)> {
    let mut pause = Duration::from_millis(50);
    let mut answer_lost = false;
    loop {
        let conn = tokio::select! {
            conn = shared.connection() => conn,
            () = shared.stopped() => return Vec::new(),
            () = sender.closed() => return Vec::new(),
        };
        let error = match conn {
            Err(error) => error,
            Ok(mut conn) => {
                if answer_lost && let Err(error) = hand_back_lost(shared, &mut conn).await {
                    tracing::warn!(queue = J::KIND, %error, "handing back jobs of a lost claim failed");
                }
                let _known_when_held = shared.claiming.read().await;
                match claim(&mut conn, J::KIND, shared.worker_id, slots.len(), shared.settings.lease).await {
                    Ok(claimed) => {
                        return claimed
                            .into_iter()
                            .zip(slots)
                            .map(|(job, slot)| held(shared, job, slot))
                            .collect();
                    }
                    Err(error) => {
                        answer_lost = true;
                        error
                    }
                }
            }
        };
        tracing::warn!(queue = J::KIND, %error, "claiming jobs failed, trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECONNECT_MAX);
    }
}

/// After a claim whose answer was lost: it may have taken jobs all the same.
async fn hand_back_lost(shared: &Shared, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    let _alone = shared.claiming.write().await;
    let (held, _) = shared.held.ids_and_fences();
    hand_back_unknown(conn, shared.worker_id, &held).await.map(drop)
}

fn held(shared: &Arc<Shared>, job: Claimed, slot: OwnedSemaphorePermit) -> (Claimed, Lease) {
    let (hold, stop) = hold(shared, job.id, job.fence, slot);
    let lease = Lease { hold: Arc::new(hold), attempt: job.attempt, max_attempts: job.max_attempts, stop };
    (job, lease)
}

/// Decodes a claimed job. One that cannot be decoded is discarded alone.
fn task<J: Job>(job: Claimed, lease: Lease) -> Option<Task<J>> {
    let error = match serde_json::from_str::<J>(&job.args) {
        Ok(payload) if job.kind == J::KIND => {
            let task = TaskBuilder::new(payload)
                .task_id(TaskId::from_int(job.id.unsigned_abs()))
                // apalis counts the attempts before this one.
                .attempt(lease.attempt() as usize - 1)
                .max_attempts(job.max_attempts.unsigned_abs() as usize)
                .priority(job.priority.max(0).unsigned_abs() as usize)
                .data(lease);
            return Some(task.build());
        }
        Ok(_) => format!("a {} job in the queue {}", job.kind, J::KIND),
        Err(error) => format!("the payload does not decode: {error}"),
    };
    tracing::error!(job = job.id, error, "job discarded");
    lease.hold.settle(Outcome::Discarded { error });
    None
}
