use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{error::BoxDynError, task::Task};
use sqlx::PgConnection;
use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle},
};
use tower::{Layer, Service};
use tracing::Instrument;

use crate::{
    CompleteError, JobId, backoff,
    error::{Failure, Verdict, code, verdict},
    held::{Hold, Stop},
    metrics,
    settle::{Outcome, complete_one, storable},
    trace::with_traceparent,
};

/// How long a handler that listens to [`Lease::stop_requested`] may clean up before it is dropped.
pub(crate) const CLEAN_UP_MAX: Duration = Duration::from_secs(5);

/// How long a dropped handler is waited for. It stops at its next `.await`; one that never comes to it must
/// not hold up a shutdown.
pub(crate) const STOP_WAIT: Duration = Duration::from_secs(1);

/// One attempt's hold on its job; a handler takes it as `Data<Lease>`.
#[derive(Debug, Clone)]
pub struct Lease {
    pub(crate) hold: Arc<Hold>,
    pub(crate) attempt: i32,
    pub(crate) max_attempts: i32,
    pub(crate) timeout: Duration,
    pub(crate) traceparent: Option<Arc<str>>,
    pub(crate) stop: watch::Receiver<Option<Stop>>,
    /// Whether the handler wants to be told to stop.
    pub(crate) listens: Arc<AtomicBool>,
}

impl Lease {
    /// The job's id.
    pub fn job_id(&self) -> JobId {
        self.hold.id
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt.unsigned_abs()
    }

    /// Whether the job is discarded if this attempt fails.
    pub fn is_last_attempt(&self) -> bool {
        self.attempt >= self.max_attempts
    }

    /// The W3C trace context that the job carries. What the handler enqueues carries it by itself.
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// Ends when the handler should stop: the job was cancelled or discarded by request, its time is up, the
    /// worker shuts down, or the lease was lost. A handler that has polled this gets five seconds to clean up
    /// and return before it is dropped; one that has not is dropped at once.
    pub async fn stop_requested(&self) {
        self.listens.store(true, Ordering::SeqCst);
        let mut stop = self.stop.clone();
        ordered_to_stop(&mut stop).await;
    }

    /// Lets this process claim no further job with the concurrency key of this one for so long, where the
    /// slots of its queue are shared ([`QueueConfig::in_shares`](crate::QueueConfig::in_shares)); elsewhere
    /// it does nothing. For a handler that [snoozes](crate::JobError::Snooze) the job for a reason that all
    /// jobs of the key have: else each of them would be claimed to be snoozed, however many there are. Of
    /// several times the last to end counts.
    pub fn rest_key(&self, time: Duration) {
        self.hold.shared.held.rest_key(self.hold.id, time);
    }

    /// Completes the job in the caller's transaction, so that the handler's effects and the completion are
    /// one: both or neither, and once. After the commit return `Ok`; on any error roll back and return the
    /// error.
    ///
    /// Locks the job's row until the transaction ends. If it does not commit and the handler returns `Ok` all
    /// the same, the job comes back when its lease runs out.
    ///
    /// # Errors
    /// [`CompleteError::LeaseLost`] when the job has been taken from this attempt, and the database's own
    /// errors.
    pub async fn complete_in(&self, conn: &mut PgConnection) -> Result<(), CompleteError> {
        if !complete_one(conn, self.hold.id, self.hold.fence).await? {
            return Err(CompleteError::LeaseLost(self.hold.id));
        }
        self.hold.complete();
        Ok(())
    }
}

/// Puts [`LeaseService`] around a worker's handler. apalis adds it by itself.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LeaseLayer;

impl<S> Layer<S> for LeaseLayer {
    type Service = LeaseService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LeaseService { inner }
    }
}

/// Runs each attempt in a tokio task of its own, so that handlers use all cores and a panic stays inside, and
/// settles its job by how it ends.
#[derive(Debug, Clone)]
pub struct LeaseService<S> {
    inner: S,
}

impl<S, A> Service<Task<A>> for LeaseService<S>
where
    S: Service<Task<A>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxDynError>,
    S::Response: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxDynError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<A>) -> Self::Future {
        let Some(lease) = task.data().get::<Lease>().cloned() else {
            let error = "the job carries no lease: it did not come from the queue's backend";
            return Box::pin(async move { Err(error.into()) });
        };
        // What a closure does before its future begins happens here, in the task of the worker: a panic of
        // one job must not end the worker.
        let handler = match catch_unwind(AssertUnwindSafe(|| self.inner.call(task))) {
            Ok(handler) => handler,
            Err(panic) => {
                lease.hold.settle(outcome(&lease, Verdict::Retry(panicked(panic.as_ref()))));
                return Box::pin(async { Ok(()) });
            }
        };
        Box::pin(async move {
            // The handler may have kept a copy of the lease, so this does not wait for the last one.
            let _unsettled = HandBackOnDrop(lease.hold.clone());
            let span = tracing::info_span!(
                "attempt",
                job = lease.hold.id,
                kind = lease.hold.queue,
                attempt = lease.attempt,
                traceparent = lease.traceparent()
            );
            match run_attempt(&lease, handler).instrument(span).await {
                Some(outcome) => lease.hold.settle(outcome),
                None => lease.hold.release(),
            }
            Ok(())
        })
    }
}

/// Runs the handler until it ends, is told to stop or has used up its time. `None`: nothing is left to
/// settle.
async fn run_attempt<F, R, E>(lease: &Lease, handler: F) -> Option<Outcome>
where
    F: Future<Output = Result<R, E>> + Send + 'static,
    E: Into<BoxDynError>,
{
    let mut stop = lease.stop.clone();
    let before = *stop.borrow();
    if let Some(why) = before {
        return stopped(lease, why);
    }
    let traceparent = lease.traceparent().map(str::to_owned);
    let handler = with_traceparent(traceparent, async move { handler.await.map(drop).map_err(Into::into) });
    let mut handler = AbortOnDrop(tokio::spawn(handler.in_current_span()));
    let why = tokio::select! {
        ended = &mut handler.0 => return ended_by_itself(lease, ended),
        why = ordered_to_stop(&mut stop) => why,
        () = tokio::time::sleep(lease.timeout) => Stop::TimedOut,
    };
    lease.hold.stop(why);
    match stop_handler(lease, &mut handler.0).await {
        // It was done before it could be stopped.
        Some(Ok(Ok(()))) => ended_by_itself(lease, Ok(Ok(()))),
        Some(_) => stopped(lease, why),
        None => {
            metrics::stuck(lease.hold.queue);
            tracing::error!(
                ?why,
                "the handler is stuck, it blocks its thread: its slot is given back all the same"
            );
            stopped(lease, why)
        }
    }
}

/// Lets a handler that listens clean up, and drops it after that. `None`: it cannot be stopped.
async fn stop_handler(
    lease: &Lease,
    handler: &mut JoinHandle<Result<(), BoxDynError>>,
) -> Option<Result<Result<(), BoxDynError>, JoinError>> {
    if lease.listens.load(Ordering::SeqCst)
        && let Ok(ended) = tokio::time::timeout(CLEAN_UP_MAX, &mut *handler).await
    {
        return Some(ended);
    }
    handler.abort();
    tokio::time::timeout(STOP_WAIT, handler).await.ok()
}

fn ended_by_itself(lease: &Lease, ended: Result<Result<(), BoxDynError>, JoinError>) -> Option<Outcome> {
    match ended {
        Ok(Ok(())) if lease.hold.is_completed() => None,
        Ok(Ok(())) => Some(Outcome::Completed),
        Ok(Err(error)) => Some(outcome(lease, verdict(error))),
        Err(ended) => {
            let failure = ended.try_into_panic().map_or_else(
                |_| Failure { error: "the handler was aborted".to_owned(), code: code::ERROR.into() },
                |panic| panicked(panic.as_ref()),
            );
            Some(outcome(lease, Verdict::Retry(failure)))
        }
    }
}

async fn ordered_to_stop(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
    match stop.wait_for(Option::is_some).await.map(|why| *why) {
        Ok(Some(why)) => why,
        // The sender goes when the job is released, which is after this attempt; or when a newer attempt at
        // the same job takes its place, which says so first.
        _ => std::future::pending().await,
    }
}

/// How an attempt ends whose handler was stopped.
fn stopped(lease: &Lease, why: Stop) -> Option<Outcome> {
    match why {
        Stop::Interrupted => Some(Outcome::HandedBack),
        // The row says which end; see end_attempts.sql.
        Stop::Asked => Some(Outcome::AsAsked),
        Stop::TimedOut => {
            let error = format!("the attempt took longer than {:?}", lease.timeout);
            Some(outcome(lease, Verdict::Retry(Failure { error, code: code::TIMEOUT.into() })))
        }
        Stop::LeaseLost => {
            tracing::warn!("the lease is lost: stopped the handler");
            None
        }
    }
}

fn outcome(lease: &Lease, verdict: Verdict) -> Outcome {
    let (failure, wait) = match verdict {
        Verdict::Snooze(wait) => return Outcome::Snoozed(wait),
        Verdict::Discard(failure) => {
            let error = storable(&failure.error);
            tracing::warn!(job = lease.hold.id, code = %failure.code, error, "job discarded");
            return Outcome::Discarded { error, code: failure.code };
        }
        Verdict::RetryAfter(failure, wait) => (failure, wait),
        Verdict::Retry(failure) => (failure, backoff::after(lease.attempt())),
    };
    let Failure { error, code } = failure;
    let error = storable(&error);
    let last = lease.is_last_attempt();
    tracing::warn!(job = lease.hold.id, attempt = lease.attempt, last, ?wait, %code, error, "attempt failed");
    Outcome::Retry { error, code, wait: wait.max(Duration::from_millis(1)) }
}

fn panicked(payload: &(dyn Any + Send)) -> Failure {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Failure { error: format!("panic: {}", text.unwrap_or_default()), code: code::PANIC.into() }
}

/// A spawned handler that is stopped at its next await when nobody waits for it any more.
struct AbortOnDrop(JoinHandle<Result<(), BoxDynError>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Hands the job back when the worker's future is dropped in the middle of the attempt.
struct HandBackOnDrop(Arc<Hold>);

impl Drop for HandBackOnDrop {
    fn drop(&mut self) {
        self.0.settle(Outcome::HandedBack);
    }
}
