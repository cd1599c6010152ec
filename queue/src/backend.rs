use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::Task,
    worker::context::WorkerContext,
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};

use crate::{Job, LeaseLayer, claimer::Claiming, session::Shared};

/// How many jobs of one queue run at once in this process; also the most that are claimed ahead of being
/// done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueConfig {
    pub(crate) min_concurrency: usize,
    pub(crate) max_concurrency: usize,
    pub(crate) in_shares: bool,
}

impl QueueConfig {
    /// Always `concurrency` jobs, at least 1.
    pub const fn fixed(concurrency: usize) -> Self {
        Self::between(concurrency, concurrency)
    }

    /// From `min` to `max` jobs: more while jobs wait for over a tenth of a second and all slots are busy,
    /// fewer after half of them were free for ten seconds. A `min` of 0 is taken as 1, a `max` below `min` as
    /// `min`.
    ///
    /// # Panics
    /// When `max` is over [`Semaphore::MAX_PERMITS`].
    pub const fn between(min: usize, max: usize) -> Self {
        let min = if min < 1 { 1 } else { min };
        let max = if max < min { min } else { max };
        assert!(max <= Semaphore::MAX_PERMITS, "more slots than a process can count");
        Self { min_concurrency: min, max_concurrency: max, in_shares: false }
    }

    /// Shares the slots among the concurrency keys: a key gets no slot that would leave fewer free than it
    /// has. So one key alone has at most half of the slots, two have a third each, and a job whose key has
    /// none starts at once while there are fewer keys than slots. Within a key its groups take turns, a job
    /// each. Jobs without a key get what is left.
    ///
    /// For jobs that wait for something which others of their key want too, such as permits to call a source.
    /// Not for queues with many hundreds of keys: each claim looks at all keys that have available jobs.
    #[must_use]
    pub const fn in_shares(self) -> Self {
        Self { in_shares: true, ..self }
    }
}

/// Hands the jobs of one kind to an apalis worker. Made by [`Session::backend`](crate::Session::backend).
///
/// It claims no more than there are free slots, so nothing waits in memory while another process is idle, and
/// it never fails: while the database is away it has no jobs.
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
        let (sender, jobs) = mpsc::channel(self.config.max_concurrency);
        let claiming = Claiming::new(self.shared.clone(), self.config, sender, worker.clone());
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

    /// Stops claiming. Called when no handler runs any more; what is still in the channel was claimed and
    /// never started, and goes back when it is dropped.
    fn poll_close(&mut self, cx: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), Infallible>> {
        if let Some(claimer) = &mut self.claimer {
            claimer.jobs.close();
            while ready!(claimer.jobs.poll_recv(cx)).is_some() {}
            // The channel is empty and closed, so the claimer ends at its next send or look; it holds no job
            // by then.
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
