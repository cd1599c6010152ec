//! The jobs that this process holds, and the claimers that wait for more.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::sync::{Notify, OwnedSemaphorePermit, watch};

use crate::{
    JobId,
    session::Shared,
    settle::{Outcome, Settlement},
};

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
    completed: Arc<AtomicBool>,
    /// One of the queue's slots in this process, free again when the job is released.
    _slot: OwnedSemaphorePermit,
}

/// The jobs that this process holds, from the claim until their end is durable, and the claimers to wake.
#[derive(Debug, Default)]
pub(crate) struct Held {
    jobs: Mutex<HashMap<JobId, HeldJob>>,
    claims_under_way: AtomicUsize,
    changed: Notify,
    /// By queue; a process may run several workers on one queue.
    claimers: Mutex<HashMap<String, Vec<Weak<Notify>>>>,
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

/// One attempt's hold on its job. If it is dropped before the attempt was settled, for example because the worker's
/// future was dropped with the job in its hands, the job goes back.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) id: JobId,
    pub(crate) fence: i32,
    /// Set once the handler has completed the job in a transaction of its own, which may or may not be committed.
    pub(crate) completed: Arc<AtomicBool>,
    settled: AtomicBool,
    shared: Arc<Shared>,
}

impl Hold {
    /// Ends the attempt. Only the first call counts.
    pub(crate) fn settle(&self, outcome: Outcome) {
        if !self.settled.swap(true, Ordering::SeqCst) {
            let settlement = Settlement { id: self.id, fence: self.fence, outcome };
            // The receiver goes when the session is dropped; that is a crash, and the lease covers it.
            let _ = self.shared.settlements.send(settlement);
        }
    }

    /// Forgets the job, since there is nothing to settle.
    pub(crate) fn release(&self) {
        if !self.settled.swap(true, Ordering::SeqCst) {
            self.shared.held.release(self.id, self.fence);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.settle(Outcome::HandedBack);
    }
}

/// Notes a claimed job as held; the receiver tells its handler to stop. An older attempt at the same job that still runs
/// here, its lease lost, is stopped.
pub(crate) fn hold(
    shared: &Arc<Shared>,
    id: JobId,
    fence: i32,
    slot: OwnedSemaphorePermit,
) -> (Hold, watch::Receiver<Option<Stop>>) {
    let (stop, receiver) = watch::channel(None);
    let completed = Arc::new(AtomicBool::new(false));
    let job = HeldJob { fence, stop, completed: completed.clone(), _slot: slot };
    if let Some(older) = lock(&shared.held.jobs).insert(id, job) {
        older.stop.send_replace(Some(Stop::LeaseLost));
    }
    (Hold { id, fence, completed, settled: AtomicBool::new(false), shared: shared.clone() }, receiver)
}

impl Held {
    /// Announces a claim, so that a shutdown waits for what it brings.
    pub(crate) fn begin_claim(self: &Arc<Self>) -> ClaimUnderWay {
        self.claims_under_way.fetch_add(1, Ordering::SeqCst);
        ClaimUnderWay(self.clone())
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

    /// Tells the handler of one job that its lease is lost, if it still runs under this fence. One that has completed
    /// the job in its own transaction is left alone: the job is gone because it is done.
    pub(crate) fn lose(&self, id: JobId, fence: i32) {
        if let Some(job) = lock(&self.jobs).get(&id).filter(|job| job.fence == fence)
            && !job.completed.load(Ordering::SeqCst)
        {
            job.stop.send_replace(Some(Stop::LeaseLost));
        }
    }

    pub(crate) fn stop_all(&self, why: Stop) {
        for job in lock(&self.jobs).values() {
            job.stop.send_replace(Some(why));
        }
    }

    /// Waits until no job is held and no claim is under way.
    pub(crate) async fn until_empty(&self) {
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

    /// A new claimer's signal to look at `queue` again. It lives as long as the claimer keeps it.
    pub(crate) fn claimer(&self, queue: &str) -> Arc<Notify> {
        let wake = Arc::new(Notify::new());
        let mut claimers = lock(&self.claimers);
        let of_queue = claimers.entry(queue.to_owned()).or_default();
        of_queue.retain(|claimer| claimer.strong_count() > 0);
        of_queue.push(Arc::downgrade(&wake));
        wake
    }

    /// Makes all claimers of a queue look again.
    pub(crate) fn wake_claimers_of(&self, queue: &str) {
        for claimer in lock(&self.claimers).get(queue).into_iter().flatten() {
            wake(claimer);
        }
    }

    pub(crate) fn wake_all_claimers(&self) {
        for claimer in lock(&self.claimers).values().flatten() {
            wake(claimer);
        }
    }
}

fn wake(claimer: &Weak<Notify>) {
    if let Some(claimer) = claimer.upgrade() {
        claimer.notify_one();
    }
}

/// A poisoned lock guards nothing worse than a map entry too many: go on.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
