use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{error::BoxDynError, task::Task};
use sqlx::PgConnection;
use tokio::{sync::watch, task::JoinHandle};
use tower::{Layer, Service};

use crate::{
    CompleteError, JobId, backoff,
    error::{Verdict, verdict},
    held::{Hold, Stop},
    settle::{Outcome, complete_one, storable},
};

/// How long a handler that is told to stop is waited for. It stops at its next `.await`; one that never comes to it must
/// not hold up a shutdown.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// One attempt's hold on its job; a handler takes it as `Data<Lease>`.
#[derive(Debug, Clone)]
pub struct Lease {
    pub(crate) hold: Arc<Hold>,
    pub(crate) attempt: i32,
    pub(crate) max_attempts: i32,
    pub(crate) stop: watch::Receiver<Option<Stop>>,
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

    /// Completes the job in the caller's transaction, so that the handler's effects and the completion are one: both or
    /// neither, and once. After the commit return `Ok`; on any error roll back and return the error.
    ///
    /// Locks the job's row until the transaction ends. If it does not commit and the handler returns `Ok` all the same,
    /// the job comes back when its lease runs out.
    ///
    /// # Errors
    /// [`CompleteError::LeaseLost`] when the job has been taken from this attempt, and the database's own errors.
    pub async fn complete_in(&self, conn: &mut PgConnection) -> Result<(), CompleteError> {
        if !complete_one(conn, self.hold.id, self.hold.fence).await? {
            return Err(CompleteError::LeaseLost(self.hold.id));
        }
        self.hold.completed.store(true, Ordering::SeqCst);
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

/// Runs each attempt in a tokio task of its own, so that handlers use all cores and a panic stays inside, and settles
/// its job by how it ends.
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
        // What a closure does before its future begins happens here, in the task of the worker: a panic of one job must
        // not end the worker.
        let handler = match catch_unwind(AssertUnwindSafe(|| self.inner.call(task))) {
            Ok(handler) => handler,
            Err(panic) => {
                lease.hold.settle(outcome(&lease, Verdict::Retry(panic_text(panic.as_ref()))));
                return Box::pin(async { Ok(()) });
            }
        };
        Box::pin(async move {
            // The handler may have kept a copy of the lease, so this does not wait for the last one.
            let _unsettled = HandBackOnDrop(lease.hold.clone());
            match run_attempt(&lease, handler).await {
                Some(outcome) => lease.hold.settle(outcome),
                None => lease.hold.release(),
            }
            Ok(())
        })
    }
}

/// Runs the handler until it ends or is told to stop. `None`: nothing is left to settle.
async fn run_attempt<F, R, E>(lease: &Lease, handler: F) -> Option<Outcome>
where
    F: Future<Output = Result<R, E>> + Send + 'static,
    E: Into<BoxDynError>,
{
    let mut stop = lease.stop.clone();
    if stop.borrow().is_some() {
        return stopped(lease, *stop.borrow());
    }
    let mut handler = AbortOnDrop(tokio::spawn(async move { handler.await.map(drop).map_err(Into::into) }));
    tokio::select! {
        ended = &mut handler.0 => match ended {
            Ok(Ok(())) if lease.hold.completed.load(Ordering::SeqCst) => None,
            Ok(Ok(())) => Some(Outcome::Completed),
            Ok(Err(error)) => Some(outcome(lease, verdict(error))),
            Err(ended) => {
                let text = ended.try_into_panic().map_or_else(|_| "the handler was aborted".to_owned(), |p| panic_text(p.as_ref()));
                Some(outcome(lease, Verdict::Retry(text)))
            }
        },
        why = ordered_to_stop(&mut stop) => {
            handler.0.abort();
            let _ = tokio::time::timeout(STOP_WAIT, &mut handler.0).await;
            stopped(lease, Some(why))
        }
    }
}

async fn ordered_to_stop(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
    match stop.wait_for(Option::is_some).await.map(|why| *why) {
        Ok(Some(why)) => why,
        // The sender goes when the job is released, which is after this attempt; or when a newer attempt at the same
        // job takes its place, which says so first.
        _ => std::future::pending().await,
    }
}

fn stopped(lease: &Lease, why: Option<Stop>) -> Option<Outcome> {
    if why == Some(Stop::Interrupted) {
        return Some(Outcome::HandedBack);
    }
    tracing::warn!(job = lease.hold.id, "the lease is lost: stopped the handler");
    None
}

fn outcome(lease: &Lease, verdict: Verdict) -> Outcome {
    let (error, wait) = match verdict {
        Verdict::Snooze(wait) => return Outcome::Snoozed(wait),
        Verdict::Discard(error) => {
            let error = storable(&error);
            tracing::warn!(job = lease.hold.id, error, "job discarded");
            return Outcome::Discarded { error };
        }
        Verdict::RetryAfter(error, wait) => (error, wait),
        Verdict::Retry(error) => (error, backoff::after(lease.attempt())),
    };
    let error = storable(&error);
    let last = lease.is_last_attempt();
    tracing::warn!(job = lease.hold.id, attempt = lease.attempt, last, ?wait, error, "attempt failed");
    Outcome::Retry { error, wait: wait.max(Duration::from_millis(1)) }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or_default())
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
