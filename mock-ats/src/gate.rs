use std::time::Duration;

use tokio::time::Instant;

use crate::{
    Face, Fault, FaultKind, Stats,
    faults::FaultPlan,
    limiter::{Limiter, Quota, SlidingWindow},
};

/// Where every call passes on arrival: it is counted, measured against the limit and given its fault in one
/// step, so that the numbers agree with each other at every moment.
pub(crate) struct Gate {
    limiter: Limiter,
    faults: FaultPlan,
    arrivals: SlidingWindow,
    stats: Stats,
}

/// What becomes of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Over the limit; a call after `retry_after` would not be.
    Refuse { calls_per_second: u32, retry_after: Duration },
    /// Accepted, and this goes wrong.
    Fail(FaultKind),
    /// Accepted.
    Serve,
}

impl Gate {
    pub(crate) fn new(calls_per_second: u32) -> Self {
        Self {
            limiter: Limiter::new(calls_per_second),
            faults: FaultPlan::default(),
            arrivals: SlidingWindow::default(),
            stats: Stats::default(),
        }
    }

    /// Stamps a call with `now`, which must not go backwards, and returns its number, from 1, and what
    /// becomes of it.
    pub(crate) fn pass(&mut self, now: Instant, face: Face, page: u32) -> (u64, Verdict) {
        let verdict = match self.limiter.accept(now) {
            Err(retry_after) => {
                Verdict::Refuse { calls_per_second: self.limiter.calls_per_second(), retry_after }
            }
            Ok(()) => self.faults.next(face.path(), page).map_or(Verdict::Serve, Verdict::Fail),
        };
        let in_this_second = self.arrivals.add(now);
        let stats = &mut self.stats;
        stats.calls += 1;
        stats.max_calls_in_one_second = stats.max_calls_in_one_second.max(in_this_second);
        match verdict {
            Verdict::Serve => stats.served += 1,
            Verdict::Refuse { .. }
            | Verdict::Fail(FaultKind::RateLimited { .. } | FaultKind::RateLimitedUntil { .. }) => {
                stats.rate_limited += 1;
            }
            Verdict::Fail(_) => stats.faulted += 1,
        }
        (stats.calls, verdict)
    }

    /// How the limit stands. `now` must not go backwards.
    pub(crate) fn quota(&mut self, now: Instant) -> Quota {
        self.limiter.quota(now)
    }

    pub(crate) fn set_calls_per_second(&mut self, calls_per_second: u32) {
        self.limiter.set_calls_per_second(calls_per_second);
    }

    pub(crate) fn set_faults(&mut self, faults: Vec<Fault>) {
        self.faults = FaultPlan::new(faults);
    }

    pub(crate) fn stats(&self) -> Stats {
        self.stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pages, Times};

    #[test]
    fn every_call_is_in_the_numbers_once() {
        let now = Instant::now();
        let mut gate = Gate::new(3);
        gate.set_faults(vec![
            Fault::new(FaultKind::Hang, Pages::One(1), Times::First(1)),
            Fault::new(FaultKind::RateLimited { retry_after_seconds: 9 }, Pages::One(1), Times::First(1)),
        ]);
        let verdicts: Vec<_> = (1..=4).map(|_| gate.pass(now, Face::TestData, 1).1).collect();
        assert_eq!(verdicts[0], Verdict::Fail(FaultKind::Hang));
        assert_eq!(verdicts[2], Verdict::Serve);
        assert_eq!(
            verdicts[3],
            Verdict::Refuse { calls_per_second: 3, retry_after: Duration::from_secs(1) },
            "a fault uses up the limit as a served call does"
        );
        let expected = Stats { calls: 4, served: 1, rate_limited: 2, faulted: 1, max_calls_in_one_second: 4 };
        assert_eq!(gate.stats(), expected);
    }

    #[test]
    fn the_busiest_second_counts_refused_calls_and_stays() {
        let start = Instant::now();
        let mut gate = Gate::new(1);
        for ms in [0, 500, 999, 1_000, 1_400, 1_499, 5_000] {
            gate.pass(start + Duration::from_millis(ms), Face::JsonResumes, 1);
        }
        // 500, 999, 1,000, 1,400 and 1,499; the window of the last of them begins after 499.
        assert_eq!(gate.stats().max_calls_in_one_second, 5);
    }
}
