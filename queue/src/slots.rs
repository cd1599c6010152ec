//! The slots of one queue in this process: how many there are, and which are free.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::QueueConfig;

/// The most jobs claimed by one statement: some ten milliseconds of work, beside which the wait for its
/// commit is small.
const CLAIM_MAX: usize = 2000;

/// While there is a backlog, how long to wait for more slots to become free, so that a claim is worth its
/// statement.
const GATHER: Duration = Duration::from_millis(2);

/// Jobs that waited longer than this want more slots.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// For how long half of the slots must have been free before there are fewer.
const CALM: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Slots {
    semaphore: Arc<Semaphore>,
    config: QueueConfig,
    count: usize,
    has_backlog: bool,
    /// The most busy slots seen since.
    peak: (usize, Instant),
}

impl Slots {
    pub(crate) fn new(config: QueueConfig) -> Self {
        let count = config.min_concurrency;
        Self {
            semaphore: Arc::new(Semaphore::new(count)),
            config,
            count,
            has_backlog: false,
            peak: (0, Instant::now()),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn busy(&self) -> usize {
        self.count - self.semaphore.available_permits().min(self.count)
    }

    /// Waits for a free slot, then takes all that are free, as many as one claim may fill.
    pub(crate) async fn free(&self) -> Vec<OwnedSemaphorePermit> {
        if self.has_backlog {
            let enough = (self.count / 4).clamp(1, CLAIM_MAX);
            let gathered = self.semaphore.acquire_many(enough as u32);
            // Gives them back at once: they are taken one by one below.
            let _ = tokio::time::timeout(GATHER, gathered).await;
        }
        let Ok(first) = self.semaphore.clone().acquire_owned().await else { return Vec::new() };
        let mut slots = vec![first];
        while slots.len() < CLAIM_MAX
            && let Ok(slot) = self.semaphore.clone().try_acquire_owned()
        {
            slots.push(slot);
        }
        slots
    }

    /// Learns from a claim that wanted `wanted` jobs and got `got`, of which one waited for `waited`.
    pub(crate) fn adapt(&mut self, wanted: usize, got: usize, waited: Duration) {
        self.has_backlog = got == wanted;
        let busy = self.busy().max(got);
        self.peak.0 = self.peak.0.max(busy);
        let next = self.wanted(busy, waited);
        if next > self.count {
            self.semaphore.add_permits(next - self.count);
            self.count = next;
        } else if next < self.count {
            self.count -= self.semaphore.forget_permits(self.count - next);
        }
    }

    fn wanted(&mut self, busy: usize, waited: Duration) -> usize {
        if self.has_backlog && busy == self.count && waited > WAIT_MAX {
            self.peak = (busy, Instant::now());
            return (self.count * 2).min(self.config.max_concurrency);
        }
        let (peak, since) = self.peak;
        if since.elapsed() < CALM {
            return self.count;
        }
        self.peak = (busy, Instant::now());
        if peak <= self.count / 2 { (self.count / 2).max(self.config.min_concurrency) } else { self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Duration = Duration::from_secs(1);

    fn calm(slots: &mut Slots) {
        slots.peak.1 -= CALM;
    }

    #[test]
    fn slots_grow_with_a_backlog_that_waits_and_shrink_when_calm() {
        let mut slots = Slots::new(QueueConfig::between(2, 12));
        slots.adapt(2, 2, Duration::ZERO);
        assert_eq!(slots.count(), 2, "nobody waited");
        for more in [4, 8, 12, 12] {
            let wanted = slots.count();
            slots.adapt(wanted, wanted, LATE);
            assert_eq!(slots.count(), more);
        }
        slots.adapt(12, 1, LATE);
        assert_eq!(slots.count(), 12, "a moment ago all were busy");
        calm(&mut slots);
        slots.adapt(12, 1, LATE);
        assert_eq!(slots.count(), 12, "most were busy since");
        for fewer in [6, 3, 2, 2] {
            calm(&mut slots);
            slots.adapt(12, 1, LATE);
            assert_eq!(slots.count(), fewer);
        }
    }

    #[tokio::test]
    async fn slots_in_use_are_never_taken_away() {
        let mut slots = Slots::new(QueueConfig::between(1, 4));
        slots.adapt(1, 1, LATE);
        slots.adapt(2, 2, LATE);
        let taken = slots.free().await;
        assert_eq!((taken.len(), slots.busy()), (4, 4));
        for _ in 0..3 {
            calm(&mut slots);
            slots.peak.0 = 0;
            slots.adapt(4, 0, Duration::ZERO);
        }
        assert_eq!((slots.count(), slots.busy()), (4, 4));
        drop(taken);
        calm(&mut slots);
        slots.peak.0 = 0;
        slots.adapt(4, 0, Duration::ZERO);
        assert_eq!((slots.count(), slots.busy()), (2, 0));
    }

    #[test]
    fn a_fixed_number_stays() {
        let mut slots = Slots::new(QueueConfig::fixed(3));
        slots.adapt(3, 3, LATE);
        calm(&mut slots);
        slots.adapt(3, 0, Duration::ZERO);
        assert_eq!(slots.count(), 3);
    }
}
