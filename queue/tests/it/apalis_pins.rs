//! What we rely on in apalis 1.0. An upgrade that changes it fails here, with a name for what changed.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use apalis::{
    layers::{catch_panic::CatchPanicLayer, retry::RetryPolicy},
    prelude::{
        Backend, BoxDynError, Data, Task, TaskBuilder, WorkerBuilder, WorkerBuilderExt, WorkerContext,
    },
};
use apalis_core::{
    backend::{BackendConfig, finalize::Ephemeral},
    task::attempt::Attempt,
    task::task_id::TaskId,
};
use resume_queue::{JobState, Lease, NewJob, QueueConfig, Session};
use tower::{Layer, Service};

use crate::support::*;

/// A backend that hands out what it is given and notes what is asked of it.
struct Scripted {
    tasks: Vec<Task<i64>>,
    calls: Seen<&'static str>,
    ends: bool,
}

impl Scripted {
    fn new(tasks: Vec<Task<i64>>, ends: bool) -> (Self, Seen<&'static str>) {
        let calls = Seen::new();
        (Self { tasks, calls: calls.clone(), ends }, calls)
    }
}

impl Backend for Scripted {
    type Task = Task<i64>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        self.calls.note("ready");
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<i64>, Infallible>>> {
        self.calls.note("next");
        match self.tasks.pop() {
            Some(task) => Poll::Ready(Some(Ok(task))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn poll_close(&mut self, _: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), Infallible>> {
        self.calls.note(if worker.is_shutting_down() { "close, stopped" } else { "close" });
        let _ = worker.stop();
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Scripted {
    type Args = i64;
    type Id = u64;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Named;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Named {
        Named("backend", self.calls.clone())
    }
}

/// A layer that notes when a task passes.
#[derive(Clone)]
struct Named(&'static str, Seen<&'static str>);

impl<S> Layer<S> for Named {
    type Service = NamedService<S>;

    fn layer(&self, inner: S) -> NamedService<S> {
        NamedService { name: self.clone(), inner }
    }
}

#[derive(Clone)]
struct NamedService<S> {
    name: Named,
    inner: S,
}

impl<S: Service<Task<i64>>> Service<Task<i64>> for NamedService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, task: Task<i64>) -> S::Future {
        self.name.1.note(self.name.0);
        self.inner.call(task)
    }
}

fn task(n: i64) -> Task<i64> {
    TaskBuilder::new(n).task_id(TaskId::from_int(n.unsigned_abs())).build()
}

/// The lease must see how the attempt ends after the user's layers are through with it. Of these the first
/// one added is the outermost, whatever the documentation of apalis says.
#[tokio::test]
async fn the_backends_layer_is_around_the_users() {
    let (backend, calls) = Scripted::new(vec![task(1)], true);
    let worker = WorkerBuilder::new("test")
        .backend(backend)
        .layer(Named("first added", calls.clone()))
        .layer(Named("last added", calls.clone()))
        .build(|_: i64| async { Ok::<_, BoxDynError>(()) });
    in_time("the worker ends", worker.run()).await.unwrap();
    let layers: Vec<&str> =
        calls.all().into_iter().filter(|call| call.contains("ed") && !call.contains("close")).collect();
    assert_eq!(layers, ["first added", "last added"]);
    let position = |name: &str| calls.all().iter().position(|call| *call == name).unwrap();
    assert!(position("backend") < position("first added"));
}

/// A backend that has no more tasks is closed once the handlers have ended, and must itself stop the worker.
#[tokio::test]
async fn the_end_of_the_tasks_closes_the_backend() {
    let (backend, calls) = Scripted::new(vec![task(1), task(2)], true);
    let closed_after = calls.clone();
    let worker = WorkerBuilder::new("test").backend(backend).build(move |_: i64| {
        let calls = closed_after.clone();
        async move {
            tokio::task::yield_now().await;
            assert!(!calls.all().contains(&"close"), "closed while a handler runs");
            Ok::<_, BoxDynError>(())
        }
    });
    in_time("the worker ends", worker.run()).await.unwrap();
    assert_eq!(calls.all().iter().filter(|call| call.starts_with("close")).count(), 1);
    assert_eq!(calls.all().last(), Some(&"close"));
}

/// A stopped worker asks for nothing more and closes the backend.
#[tokio::test]
async fn a_stop_closes_the_backend_too() {
    let (backend, calls) = Scripted::new(vec![task(1)], false);
    let worker =
        WorkerBuilder::new("test").backend(backend).build(|_: i64, worker: WorkerContext| async move {
            worker.stop().unwrap();
            Ok::<_, BoxDynError>(())
        });
    in_time("the worker ends", worker.run()).await.unwrap();
    assert_eq!(calls.all().last(), Some(&"close, stopped"));
}

/// A worker over our backend, with whatever layers.
async fn session(database: &resume_postgres::testing::TestDatabase) -> Session {
    Session::start(pool(database.url(), 5).await, settings("test")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_extract_what_they_ask_for() {
    let database = database().await;
    let session = session(&database).await;
    type Found = (i64, u32, String, u64, usize, i64);
    let seen = Seen::<Found>::new();
    async fn extracting(
        job: Work,
        lease: Data<Lease>,
        seen: Data<Seen<Found>>,
        id: TaskId,
        attempt: Attempt,
        worker: WorkerContext,
    ) -> Result<(), BoxDynError> {
        let id = id.to_string().parse()?;
        seen.note((job.n, lease.attempt(), worker.name().to_owned(), id, attempt.current(), lease.job_id()));
        Ok(())
    }
    let worker = WorkerBuilder::new("name of the apalis worker")
        .backend(session.backend::<Work>(QueueConfig::fixed(1)))
        .data(seen.clone())
        .build(extracting);
    let run = tokio::spawn(worker.run());
    let id = enqueue_one(database.pool(), NewJob::new(&Work { n: 7 }).unwrap()).await;
    let found = seen.until_count(1).await.remove(0);
    assert_eq!(found, (7, 1, "name of the apalis worker".to_owned(), id.unsigned_abs(), 1, id));
    session.shutdown(DEADLINE).await;
    in_time("the worker ends", run).await.unwrap().unwrap();
}

/// Data that nobody has put there is an error of the attempt, not the end of the worker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_data_fails_the_attempt() {
    let database = database().await;
    let session = session(&database).await;
    async fn asking(_: Work, _: Data<String>) -> Result<(), BoxDynError> {
        Ok(())
    }
    let worker =
        WorkerBuilder::new("test").backend(session.backend::<Work>(QueueConfig::fixed(1))).build(asking);
    let run = tokio::spawn(worker.run());
    let id = enqueue_one(database.pool(), NewJob::new(&Work { n: 7 }).unwrap()).await;
    let job = until_job(database.pool(), id, |job| job.last_error.is_some()).await;
    assert_eq!(job.state, JobState::Retryable, "{job:?}");
    assert!(job.last_error.unwrap().contains("String"));
    session.shutdown(DEADLINE).await;
    in_time("the worker ends", run).await.unwrap().unwrap();
}

/// What a closure does before its future begins, apalis calls in the task of the worker. It counts that job
/// as running for ever, so that a worker which had such a panic does not end by itself: an `async fn` has
/// none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_before_the_future_begins_does_not_end_the_worker() {
    let database = database().await;
    let session = session(&database).await;
    let worker = WorkerBuilder::new("test").backend(session.backend::<Work>(QueueConfig::fixed(1))).build(
        |job: Work| {
            assert!(job.n > 0, "too soon");
            async { Ok::<_, BoxDynError>(()) }
        },
    );
    let run = tokio::spawn(worker.run());
    let ids = enqueue_many(database.pool(), 2, |n| Work { n }).await;
    let job = until_state(database.pool(), ids[0], JobState::Retryable).await;
    assert_eq!(job.last_error.as_deref(), Some("panic: too soon"));
    until_state(database.pool(), ids[1], JobState::Completed).await;
    session.shutdown(DEADLINE).await;
    run.abort();
}

/// apalis' own layers around our backend: how each ends an attempt is how the job ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_of_apalis_work_around_the_backend() {
    let database = database().await;
    let pool = database.pool();
    let session = session(&database).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counting = runs.clone();
    let handler = move |job: Work| -> Pin<Box<dyn Future<Output = Result<(), BoxDynError>> + Send>> {
        let run = counting.fetch_add(usize::from(job.n == 2), Ordering::SeqCst);
        Box::pin(async move {
            match job.n {
                0 => Ok(()),
                // Longer than the time-out.
                1 => std::future::pending().await,
                // Fails once; the second try is the retry layer's, within the same attempt.
                2 if run == 0 => Err("not yet".into()),
                2 => Ok(()),
                _ => panic!("of {}", job.n),
            }
        })
    };
    let worker = WorkerBuilder::new("test")
        .backend(session.backend::<Work>(QueueConfig::fixed(10)))
        .retry(RetryPolicy::retries(1))
        .layer(CatchPanicLayer::new())
        .timeout(Duration::from_millis(500))
        .concurrency(5)
        .enable_tracing()
        .build(handler);
    let run = tokio::spawn(worker.run());
    let ids = enqueue_many(pool, 4, |n| Work { n }).await;
    assert_eq!(until_state(pool, ids[0], JobState::Completed).await.attempt, 1);
    let late = until_state(pool, ids[1], JobState::Retryable).await;
    assert_eq!((late.attempt, late.last_error.as_deref()), (1, Some("request timed out")));
    let retried = until_state(pool, ids[2], JobState::Completed).await;
    assert_eq!((retried.attempt, runs.load(Ordering::SeqCst)), (1, 2));
    // Its catch_panic makes an AbortError of a panic, which means: never again. Without that layer we retry.
    let panicked = until_state(pool, ids[3], JobState::Discarded).await;
    assert!(panicked.last_error.as_deref().unwrap().contains("of 3"), "{panicked:?}");
    session.shutdown(DEADLINE).await;
    in_time("the worker ends", run).await.unwrap().unwrap();
}
