//! The jobs that this process holds, and the claimers that wait for more.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, watch};

use crate::{GroupId, JobId, claim::Claimed, session::Shared, settle::Outcome};

/// What one job counts in the mean of run times: after some 20 jobs the older ones are forgotten.
const MEAN_WEIGHT: f64 = 0.1;

/// Why a running handler must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The job is no longer this worker's.
    LeaseLost,
    /// The worker shuts down and its grace time is over.
    Interrupted,
    /// Somebody asked for the end of the job.
    Asked,
    /// The attempt has used up its time.
    TimedOut,
}

#[derive(Debug)]
struct HeldJob {
    fence: i32,
    stop: watch::Sender<Option<Stop>>,
    completed: Arc<AtomicBool>,
    queue: &'static str,
    since: Instant,
    /// Where the queue's slots are shared.
    key: Option<String>,
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
    /// The queues whose running jobs are limited across the fleet, as the last look of a claimer found them.
    limited: Mutex<HashSet<&'static str>>,
    /// By queue and concurrency key, until when no job is claimed; where the queue's slots are shared.
    resting: Mutex<HashMap<(&'static str, String), Instant>>,
    /// By queue, how long a job is held, in seconds; newer ones count more.
    mean_run_s: Mutex<HashMap<&'static str, f64>>,
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

/// One attempt's hold on its job. If it is dropped before the attempt was settled, for example because the
/// worker's future was dropped with the job in its hands, the job goes back.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) id: JobId,
    pub(crate) fence: i32,
    pub(crate) queue: &'static str,
    group: Option<GroupId>,
    /// Set once the handler has completed the job in a transaction of its own, which may or may not be
    /// committed.
    completed: Arc<AtomicBool>,
    settled: AtomicBool,
    pub(crate) shared: Arc<Shared>,
}

impl Hold {
    /// Ends the attempt. Only the first call counts.
    pub(crate) fn settle(&self, outcome: Outcome) {
        self.end(Some(outcome));
    }

    /// Forgets the job, since there is nothing to settle.
    pub(crate) fn release(&self) {
        self.end(None);
    }

    fn end(&self, outcome: Option<Outcome>) {
        if !self.settled.swap(true, Ordering::SeqCst) {
            let (id, fence, queue, group) = (self.id, self.fence, self.queue, self.group);
            // The receiver goes when the session is dropped; that is a crash, and the lease covers it.
            let _ = self.shared.ended.send(Ended { id, fence, queue, group, outcome });
        }
    }

    /// Notes that the handler completes the job in a transaction of its own.
    pub(crate) fn complete(&self) {
        self.completed.store(true, Ordering::SeqCst);
    }

    /// Whether the handler has completed the job, in a transaction that may or may not be committed.
    pub(crate) fn is_completed(&self) -> bool {
        self.completed.load(Ordering::SeqCst)
    }

    /// Tells the handler to stop.
    pub(crate) fn stop(&self, why: Stop) {
        self.shared.held.stop(self.id, self.fence, why);
    }
}

/// An attempt that is over in this process.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) id: JobId,
    pub(crate) fence: i32,
    pub(crate) queue: &'static str,
    pub(crate) group: Option<GroupId>,
    /// `None`: there is nothing to settle, since the job was completed by its handler or is not held any
    /// more.
    pub(crate) outcome: Option<Outcome>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.settle(Outcome::HandedBack);
    }
}

/// Notes a claimed job as held; the receiver tells its handler to stop. An older attempt at the same job that
/// still runs here, its lease lost, is stopped.
pub(crate) fn hold(
    shared: &Arc<Shared>,
    job: &Claimed,
    queue: &'static str,
    slot: OwnedSemaphorePermit,
) -> (Hold, watch::Receiver<Option<Stop>>) {
    let (stop, receiver) = watch::channel(None);
    let completed = Arc::new(AtomicBool::new(false));
    let held = HeldJob {
        fence: job.fence,
        stop,
        completed: completed.clone(),
        queue,
        since: Instant::now(),
        key: job.concurrency_key.clone(),
        _slot: slot,
    };
    if let Some(older) = lock(&shared.held.jobs).insert(job.id, held) {
        older.stop.send_replace(Some(Stop::LeaseLost));
    }
    let settled = AtomicBool::new(false);
    let shared = shared.clone();
    (Hold { id: job.id, fence: job.fence, queue, group: job.group_id, completed, settled, shared }, receiver)
}

impl Held {
    /// Announces a claim, so that a shutdown waits for what it brings.
    pub(crate) fn begin_claim(self: &Arc<Self>) -> ClaimUnderWay {
        self.claims_under_way.fetch_add(1, Ordering::SeqCst);
        ClaimUnderWay(self.clone())
    }

    /// Forgets a job, if it is still held under this fence: its end is durable, or it is somebody else's by
    /// now.
    ///
    /// Gives the time since the claim, if it was still held.
    pub(crate) fn release(&self, id: JobId, fence: i32) -> Option<Duration> {
        let mut jobs = lock(&self.jobs);
        let released =
            if jobs.get(&id).is_some_and(|job| job.fence == fence) { jobs.remove(&id) } else { None };
        drop(jobs);
        let ran = released.map(|job| {
            let ran = job.since.elapsed();
            let seconds = ran.as_secs_f64();
            let mut means = lock(&self.mean_run_s);
            let mean = means.entry(job.queue).or_insert(seconds);
            *mean += (seconds - *mean) * MEAN_WEIGHT;
            drop(means);
            if job.key.is_some() {
                // Its share has room, though there may have been free slots all the time.
                self.wake_claimers_of(job.queue);
            }
            ran
        });
        self.changed.notify_waiters();
        ran
    }

    /// How long a job of this queue is held by this process on average, in seconds; `None` before the first
    /// has ended.
    pub(crate) fn mean_run_s(&self, queue: &str) -> Option<f64> {
        lock(&self.mean_run_s).get(queue).copied()
    }

    /// Lets this process claim no job with the concurrency key of this one for so long, where the queue's
    /// slots are shared.
    pub(crate) fn rest_key(&self, id: JobId, time: Duration) {
        let job = lock(&self.jobs).get(&id).and_then(|job| Some((job.queue, job.key.clone()?)));
        if let Some(of) = job {
            let until = Instant::now() + time;
            let mut resting = lock(&self.resting);
            let known = resting.entry(of).or_insert(until);
            *known = (*known).max(until);
        }
    }

    /// How many jobs of each concurrency key are held, of a queue whose slots are shared; more than there can
    /// be of a key that rests.
    pub(crate) fn by_key(&self, queue: &str) -> HashMap<String, i32> {
        let mut resting = lock(&self.resting);
        resting.retain(|_, until| Instant::now() < *until);
        let mut by_key: HashMap<String, i32> = resting
            .keys()
            .filter(|(of, _)| *of == queue)
            .map(|(_, key)| (key.clone(), i32::MAX / 2))
            .collect();
        drop(resting);
        for key in
            lock(&self.jobs).values().filter(|job| job.queue == queue).filter_map(|job| job.key.as_ref())
        {
            *by_key.entry(key.clone()).or_default() += 1;
        }
        by_key
    }

    /// The ids and fences of all jobs held.
    pub(crate) fn ids_and_fences(&self) -> (Vec<i64>, Vec<i32>) {
        lock(&self.jobs).iter().map(|(id, job)| (*id, job.fence)).unzip()
    }

    /// Tells the handler of one job to stop, if it still runs under this fence. One that has completed the
    /// job in its own transaction is left alone: the job is gone because it is done.
    pub(crate) fn stop(&self, id: JobId, fence: i32, why: Stop) {
        if let Some(job) = lock(&self.jobs).get(&id).filter(|job| job.fence == fence)
            && !job.completed.load(Ordering::SeqCst)
        {
            job.stop.send_replace(Some(why));
        }
    }

    /// Notes whether the running jobs of a queue are limited across the fleet.
    pub(crate) fn note_limited(&self, queue: &'static str, is_limited: bool) {
        let mut limited = lock(&self.limited);
        if is_limited {
            limited.insert(queue);
        } else {
            limited.remove(queue);
        }
    }

    pub(crate) fn is_limited(&self, queue: &str) -> bool {
        lock(&self.limited).contains(queue)
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
