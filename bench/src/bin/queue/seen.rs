//! What the handlers of this process have seen. A static, because each system hands state to handlers in its
//! own way.

use std::{
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::Notify;

use crate::peers::NoOp;

static STARTED: AtomicU64 = AtomicU64::new(0);
static AWAITED: AtomicU64 = AtomicU64::new(u64::MAX);
static ENOUGH: LazyLock<Notify> = LazyLock::new(Notify::new);
/// Off while jobs are only counted: a lock a job would be felt.
static TIMED: AtomicBool = AtomicBool::new(false);
static LATENCIES_MS: Mutex<Vec<f64>> = Mutex::new(Vec::new());

/// Microseconds since 1970. All processes of a measurement are on one machine.
pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or_default()
}

/// A handler has started.
pub(crate) fn note(job: &NoOp) {
    if TIMED.load(Ordering::Relaxed) {
        let latency_ms = now_us().saturating_sub(job.made_at_us) as f64 / 1e3;
        LATENCIES_MS.lock().unwrap_or_else(PoisonError::into_inner).push(latency_ms);
    }
    if STARTED.fetch_add(1, Ordering::Relaxed) + 1 == AWAITED.load(Ordering::Relaxed) {
        ENOUGH.notify_one();
    }
}

/// Has latencies noted from now on.
pub(crate) fn time() {
    TIMED.store(true, Ordering::Relaxed);
}

/// Waits until so many handlers have started; false when none has for `patience`.
pub(crate) async fn until(count: u64, patience: Duration) -> bool {
    AWAITED.store(count, Ordering::Relaxed);
    let mut before = u64::MAX;
    loop {
        let started = STARTED.load(Ordering::Relaxed);
        if started >= count {
            return true;
        }
        let woken = tokio::time::timeout(patience, ENOUGH.notified()).await.is_ok();
        if !woken && started == before {
            return false;
        }
        before = started;
    }
}

/// The latencies noted so far.
pub(crate) fn latencies_ms() -> Vec<f64> {
    LATENCIES_MS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// How many handlers have started.
pub(crate) fn started() -> u64 {
    STARTED.load(Ordering::Relaxed)
}
