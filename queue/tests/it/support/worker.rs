//! Workers inside the test process.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use apalis::prelude::{BoxDynError, Data, WorkerBuilder, WorkerError};
use resume_queue::{Job, Lease, QueueConfig, Session, SessionSettings};
use sqlx::PgPool;
use tokio::task::JoinHandle;

use super::{DEADLINE, execute, in_time, number, pool, until};

pub(crate) type HandlerResult = Result<(), BoxDynError>;
type HandlerFuture = Pin<Box<dyn Future<Output = HandlerResult> + Send>>;

/// Any closure as a handler.
pub(crate) struct Handler<J>(Arc<dyn Fn(J, Lease) -> HandlerFuture + Send + Sync>);

impl<J> Clone for Handler<J> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<J> Handler<J> {
    pub(crate) fn new<F, Fut>(f: F) -> Self
    where
        F: Fn(J, Lease) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = HandlerResult> + Send + 'static,
    {
        Self(Arc::new(move |job, lease| Box::pin(f(job, lease))))
    }
}

/// The task function of apalis that all test workers run.
pub(crate) async fn handle<J: Job>(job: J, lease: Data<Lease>, handler: Data<Handler<J>>) -> HandlerResult {
    (handler.0.0)(job, lease.0).await
}

/// A session with its apalis workers.
#[derive(Debug)]
pub(crate) struct TestWorker {
    pub(crate) session: Session,
    pub(crate) pool: PgPool,
    runs: Vec<JoinHandle<Result<(), WorkerError>>>,
}

impl TestWorker {
    /// A worker that nothing but a notification wakes before a minute has passed.
    pub(crate) async fn start(url: &str) -> Self {
        Self::start_with(url, settings("test")).await
    }

    pub(crate) async fn start_with(url: &str, settings: SessionSettings) -> Self {
        Self::over(pool(url, 5).await, settings).await
    }

    pub(crate) async fn over(pool: PgPool, settings: SessionSettings) -> Self {
        let session = Session::start(pool.clone(), settings).await.unwrap();
        Self { session, pool, runs: Vec::new() }
    }

    /// A session that works on no queue, and leads, so that it soon takes back jobs whose lease has run out.
    pub(crate) async fn rescuer(url: &str) -> Self {
        let lease = Duration::from_secs(1);
        Self::start_with(url, SessionSettings { lease, ..settings("rescuer") }).await.lead().await
    }

    /// Makes this session the leader, whoever was before.
    pub(crate) async fn lead(self) -> Self {
        let id = self.session.worker_id();
        let appoint = "update queue.leader set term = term + 1, lease_until = now() + interval '1 minute', \
                       elected_at = null, worker_id =";
        execute(&self.pool, format!("{appoint} {id}; notify queue_leader")).await;
        let elected = format!("select count(elected_at) from queue.leader where worker_id = {id}");
        until("the session leads", || async { number(&self.pool, &elected).await.filter(|n| *n == 1) }).await;
        self
    }

    /// Works on the jobs of kind `J`.
    pub(crate) fn work<J, F, Fut>(self, concurrency: usize, f: F) -> Self
    where
        J: Job,
        F: Fn(J, Lease) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = HandlerResult> + Send + 'static,
    {
        self.work_with(QueueConfig::fixed(concurrency), f)
    }

    pub(crate) fn work_with<J, F, Fut>(mut self, config: QueueConfig, f: F) -> Self
    where
        J: Job,
        F: Fn(J, Lease) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = HandlerResult> + Send + 'static,
    {
        let worker = WorkerBuilder::new("test")
            .backend(self.session.backend::<J>(config))
            .data(Handler::new(f))
            .build(handle::<J>);
        self.runs.push(tokio::spawn(worker.run()));
        self
    }

    /// Shuts down in order: all that runs may finish.
    pub(crate) async fn stop(self) {
        self.stop_within(DEADLINE).await;
    }

    pub(crate) async fn stop_within(self, grace: Duration) {
        in_time("the session shuts down", self.session.shutdown(grace)).await;
        for run in self.runs {
            in_time("the apalis worker ends", run).await.unwrap().unwrap();
        }
    }

    /// Takes the session and the workers apart, for tests that end them one by one.
    pub(crate) fn into_parts(self) -> (Session, Vec<JoinHandle<Result<(), WorkerError>>>) {
        (self.session, self.runs)
    }
}

pub(crate) fn settings(name: &str) -> SessionSettings {
    let minute = Duration::from_secs(60);
    SessionSettings {
        name: name.to_owned(),
        lease: Duration::from_secs(30),
        poll: minute,
        ..SessionSettings::default()
    }
}

/// What handlers have seen, in order.
#[derive(Debug)]
pub(crate) struct Seen<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> Seen<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn note(&self, what: T) {
        self.0.lock().unwrap().push(what);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) async fn until_count(&self, count: usize) -> Vec<T> {
        let what = format!("{count} things seen");
        super::until(&what, || async { Some(self.all()).filter(|all| all.len() >= count) }).await
    }
}

/// Counts that it was dropped.
#[derive(Debug)]
pub(crate) struct CountDrop(pub(crate) Arc<std::sync::atomic::AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}
