use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The window of the limit and of the measurement.
pub(crate) const WINDOW: Duration = Duration::from_secs(1);

/// A sliding-window limit: of the calls that arrive, it accepts at most so many in any one window, wherever
/// that window begins. (A counter that starts anew each window would let twice as many through around its
/// reset.) It remembers the accepted calls of the last window.
pub(crate) struct Limiter {
    calls: u32,
    accepted: SlidingWindow,
}

/// How a limit stands after a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    /// The most calls in a window.
    pub(crate) limit: u32,
    /// How many more would be accepted now.
    pub(crate) remaining: u32,
    /// When the oldest accepted call leaves the window; a whole window when there is none.
    pub(crate) reset_after: Duration,
}

impl Limiter {
    pub(crate) fn new(calls_per_second: u32) -> Self {
        Self::within(calls_per_second, WINDOW)
    }

    /// A limit of `calls` in any `window`.
    pub(crate) fn within(calls: u32, window: Duration) -> Self {
        Self { calls, accepted: SlidingWindow { window, calls: VecDeque::new() } }
    }

    /// How the limit stands. `now` must not go backwards.
    pub(crate) fn quota(&mut self, now: Instant) -> Quota {
        self.accepted.forget_before(now);
        let accepted = u32::try_from(self.accepted.calls.len()).unwrap_or(u32::MAX);
        let window = self.accepted.window;
        let reset_after = self.accepted.calls.front().map_or(window, |&stamp| window - (now - stamp));
        Quota { limit: self.calls, remaining: self.calls.saturating_sub(accepted), reset_after }
    }

    pub(crate) fn calls_per_second(&self) -> u32 {
        self.calls
    }

    /// Changes the limit. Calls accepted within the last window count towards the new one.
    pub(crate) fn set_calls_per_second(&mut self, calls_per_second: u32) {
        self.calls = calls_per_second;
    }

    /// Accepts the call, or says how long to wait until one would be. Refused calls do not count towards the
    /// limit. `now` must not go backwards.
    pub(crate) fn accept(&mut self, now: Instant) -> Result<(), Duration> {
        self.accepted.forget_before(now);
        let accepted = self.accepted.calls.len();
        let limit = self.calls as usize;
        if accepted < limit {
            self.accepted.calls.push_back(now);
            return Ok(());
        }
        // When this one leaves the window, there is room. With a limit of 0 there never is: say one window.
        let leaves_last = self.accepted.calls.get(accepted - limit);
        Err(leaves_last.map_or(self.accepted.window, |&stamp| self.accepted.window - (now - stamp)))
    }
}

/// The calls of the last window, oldest first. A call leaves exactly one window after it came.
pub(crate) struct SlidingWindow {
    window: Duration,
    calls: VecDeque<Instant>,
}

impl Default for SlidingWindow {
    /// A window of one second.
    fn default() -> Self {
        Self { window: WINDOW, calls: VecDeque::new() }
    }
}

impl SlidingWindow {
    /// Adds a call and returns how many the window that ends with it holds.
    pub(crate) fn add(&mut self, now: Instant) -> u32 {
        self.forget_before(now);
        self.calls.push_back(now);
        u32::try_from(self.calls.len()).unwrap_or(u32::MAX)
    }

    fn forget_before(&mut self, now: Instant) {
        while self.calls.front().is_some_and(|&stamp| now - stamp >= self.window) {
            self.calls.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_31st_call_of_a_second_is_refused_until_the_first_is_a_second_old() {
        let start = Instant::now();
        let mut limiter = Limiter::new(30);
        for i in 0..30 {
            assert_eq!(limiter.accept(start + i * 10 * MS), Ok(()));
        }
        assert_eq!(limiter.accept(start + 400 * MS), Err(600 * MS));
        assert_eq!(limiter.accept(start + 999 * MS), Err(MS));
        assert_eq!(limiter.accept(start + 1_000 * MS), Ok(()));
        assert_eq!(limiter.accept(start + 1_000 * MS), Err(10 * MS));
    }

    #[test]
    fn no_window_holds_more_than_the_limit_whatever_the_arrivals() {
        let start = Instant::now();
        let mut limiter = Limiter::new(30);
        let mut now = start;
        let accepted: Vec<_> = (0..2_000_u32)
            .map(|i| {
                now += MS * (i * 7919 % 23);
                now
            })
            .filter(|&now| limiter.accept(now).is_ok())
            .collect();
        assert!(accepted.windows(31).all(|calls| calls[30] - calls[0] >= WINDOW));
        assert!(accepted.len() as u128 >= 30 * (now - start).as_secs() as u128, "as many as possible");
    }

    #[test]
    fn the_limit_can_change() {
        let now = Instant::now();
        let mut limiter = Limiter::new(3);
        (0..3).for_each(|i| limiter.accept(now + i * 100 * MS).unwrap());
        limiter.set_calls_per_second(1);
        assert_eq!(limiter.accept(now + 500 * MS), Err(700 * MS), "all three have to leave first");
        limiter.set_calls_per_second(0);
        assert_eq!(limiter.accept(now + 5_000 * MS), Err(WINDOW));
        limiter.set_calls_per_second(5);
        assert_eq!(limiter.accept(now + 5_000 * MS), Ok(()));
    }
}
