use std::{
    future::Future,
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
use tokio::{sync::watch, task::JoinHandle};
use tower::{Layer, Service};

use crate::{
    CompleteError, JobError, JobId, backoff,
    error::{chain, verdict},
    session::{Shared, Stop},
    settle::{Outcome, Settlement, complete_one},
};

/// One attempt's hold on its job; a handler takes it as `Data<Lease>`.
#[derive(Debug, Clone)]
pub struct Lease {
    pub(crate) id: JobId,
    pub(crate) fence: i32,
    pub(crate) attempt: i32,
    pub(crate) max_attempts: i32,
    pub(crate) completed: Arc<AtomicBool>,
    pub(crate) stop: watch::Receiver<Option<Stop>>,
}

impl Lease {
    /// The job's id.
    pub fn job_id(&self) -> JobId {
        self.id
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
    /// Locks the job's row until the transaction ends.
    ///
    /// # Errors
    /// [`CompleteError::LeaseLost`] when the job has been taken from this attempt, and the database's own errors.
    pub async fn complete_in(&self, conn: &mut PgConnection) -> Result<(), CompleteError> {
        if !complete_one(conn, self.id, self.fence).await? {
            return Err(CompleteError::LeaseLost(self.id));
        }
        self.completed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Puts [`LeaseService`] around a worker's handler. apalis adds it by itself.
#[derive(Debug, Clone)]
pub struct LeaseLayer(pub(crate) Arc<Shared>);

impl<S> Layer<S> for LeaseLayer {
    type Service = LeaseService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LeaseService { inner, shared: self.0.clone() }
    }
}

/// Runs each attempt in a tokio task of its own, so that handlers use all cores and a panic stays inside, and settles
/// its job by how it ends.
#[derive(Debug, Clone)]
pub struct LeaseService<S> {
    inner: S,
    shared: Arc<Shared>,
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
        let lease = task.data().get::<Lease>().cloned();
        let handler = self.inner.call(task);
        let shared = self.shared.clone();
        Box::pin(async move {
            let Some(lease) = lease else {
                return Err("the job carries no lease: it did not come from the queue's backend".into());
            };
            let handler = AbortOnDrop(tokio::spawn(async move { handler.await.map(drop).map_err(Into::into) }));
            match run_attempt(&lease, handler).await {
                Some(outcome) => settle(&shared, &lease, outcome),
                None => shared.held.release(lease.id, lease.fence),
            }
            Ok(())
        })
    }
}

/// Waits for the handler or for the order to stop it. `None`: nothing is left to settle.
async fn run_attempt(lease: &Lease, mut handler: AbortOnDrop) -> Option<Outcome> {
    let mut stop = lease.stop.clone();
    let stopped = async {
        match stop.wait_for(Option::is_some).await.map(|why| *why) {
            Ok(Some(why)) => why,
            // The job is held for as long as this attempt runs, so its sender lives.
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = &mut handler.0 => match ended {
            Ok(Ok(())) if lease.completed.load(Ordering::Relaxed) => None,
            Ok(Ok(())) => Some(Outcome::Completed),
            Ok(Err(error)) => Some(outcome(lease, verdict(error))),
            Err(panic) => Some(outcome(lease, JobError::retry(panic_text(panic)))),
        },
        why = stopped => match why {
            Stop::Interrupted => Some(Outcome::HandedBack),
            Stop::LeaseLost => {
                tracing::warn!(job = lease.id, "the lease is lost: stopped the handler");
                None
            }
        },
    }
}

fn outcome(lease: &Lease, error: JobError) -> Outcome {
    let (error, wait) = match error {
        JobError::Snooze(wait) => return Outcome::Snoozed(wait),
        JobError::Discard(error) => {
            let error = chain(error.as_ref());
            tracing::warn!(job = lease.id, error, "job discarded");
            return Outcome::Discarded { error };
        }
        JobError::RetryAfter(error, wait) => (chain(error.as_ref()), wait),
        JobError::Retry(error) => (chain(error.as_ref()), backoff::after(lease.attempt())),
    };
    let last = lease.is_last_attempt();
    tracing::warn!(job = lease.id, attempt = lease.attempt, last, ?wait, error, "attempt failed");
    Outcome::Retry { error, wait: wait.max(Duration::from_millis(1)) }
}

fn settle(shared: &Shared, lease: &Lease, outcome: Outcome) {
    let settlement = Settlement { id: lease.id, fence: lease.fence, outcome };
    // The receiver goes when the session is dropped; that is a crash, and the lease covers it.
    let _ = shared.settlements.send(settlement);
}

fn panic_text(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => {
            let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
            format!("panic: {text}")
        }
        Err(_) => "the handler was aborted".to_owned(),
    }
}

/// A spawned handler that is stopped at its next await when nobody waits for it any more.
struct AbortOnDrop(JoinHandle<Result<(), BoxDynError>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
