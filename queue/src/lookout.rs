//! How a claimer learns of new jobs.
//!
//! A quiet one sleeps until it is notified. Notifying is dear under load, since PostgreSQL lets transactions
//! that notify commit one after the other, each with its flush to disk (`PreCommit_Notify` takes a lock on
//! the whole server). So a claimer that finds jobs again and again looks every few milliseconds by itself,
//! and says that it wants no notifications.

use std::time::{Duration, Instant};

/// The pause between two looks under load: what a job waits longer on average is half of it.
const GAP: Duration = Duration::from_millis(1);

/// So many looks that found jobs, within [`WINDOW`], are load.
const BUSY_LOOKS: u32 = 10;
const WINDOW: Duration = Duration::from_millis(50);

/// For how long no look must find a job before the claimer sleeps again.
const QUIET: Duration = Duration::from_millis(200);

/// A transaction that did not know of the sleeper may commit its jobs a while later, without a notification.
/// So a claimer falls asleep slowly: for this long it looks now and then, each time after twice as long, and
/// a transaction that took some time is found within as much again.
const DOZE: Duration = Duration::from_secs(10);
const DOZE_GAP_MIN: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(crate) struct Lookout {
    mode: Mode,
    /// The looks that found jobs since the beginning of the window.
    busy: (Instant, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Is notified, since.
    Sleeps(Instant),
    /// Looks by itself; the last look that found jobs.
    Looks(Instant),
}

impl Lookout {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { mode: Mode::Sleeps(now), busy: (now, 0) }
    }

    /// Whether notifications should be switched on (`Some(true)`) or off after a look.
    pub(crate) fn wants_change(&mut self, found: bool, now: Instant) -> Option<bool> {
        if now.duration_since(self.busy.0) > WINDOW {
            self.busy = (now, 0);
        }
        self.busy.1 += u32::from(found);
        match &mut self.mode {
            Mode::Looks(last) if found => *last = now,
            Mode::Looks(last) if now.duration_since(*last) >= QUIET => return Some(true),
            Mode::Sleeps(_) if self.busy.1 >= BUSY_LOOKS => return Some(false),
            _ => {}
        }
        None
    }

    /// Notes that notifications were switched on or off. Look again at once: nobody notified until now.
    pub(crate) fn changed(&mut self, notified: bool, now: Instant) {
        self.mode = if notified { Mode::Sleeps(now) } else { Mode::Looks(now) };
        self.busy = (now, 0);
    }

    /// The pause until the next look under load; `None` when the claimer may sleep.
    pub(crate) fn gap(&self) -> Option<Duration> {
        matches!(self.mode, Mode::Looks(_)).then_some(GAP)
    }

    /// The longest sleep.
    pub(crate) fn sleep_max(&self, now: Instant) -> Duration {
        match self.mode {
            Mode::Looks(_) => GAP,
            Mode::Sleeps(since) => {
                let slept = now.duration_since(since);
                if slept > DOZE { Duration::MAX } else { slept.max(DOZE_GAP_MIN) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn load_switches_notifications_off_and_quiet_on_again() {
        let mut lookout = Lookout::new();
        let start = Instant::now();
        let mut now = start;
        for _ in 1..BUSY_LOOKS {
            now += MS;
            assert_eq!(lookout.wants_change(true, now), None);
        }
        assert_eq!(lookout.wants_change(true, now), Some(false));
        lookout.changed(false, now);
        assert_eq!(lookout.gap(), Some(GAP));
        assert_eq!(lookout.wants_change(false, now + QUIET / 2), None);
        assert_eq!(lookout.wants_change(true, now + QUIET / 2), None);
        assert_eq!(lookout.wants_change(false, now + QUIET), None, "half of it since the last job");
        assert_eq!(lookout.wants_change(false, now + QUIET * 3 / 2), Some(true));
        lookout.changed(true, now);
        assert_eq!(lookout.gap(), None);
    }

    #[test]
    fn a_few_jobs_are_no_load() {
        let mut lookout = Lookout::new();
        let start = Instant::now();
        for n in 0..200 {
            assert_eq!(lookout.wants_change(true, start + MS * 10 * n), None);
        }
    }

    #[test]
    fn sleep_comes_slowly() {
        let mut lookout = Lookout::new();
        let start = Instant::now();
        lookout.changed(true, start);
        assert_eq!(lookout.sleep_max(start), DOZE_GAP_MIN);
        assert_eq!(lookout.sleep_max(start + MS * 400), MS * 400);
        assert_eq!(lookout.sleep_max(start + DOZE), DOZE);
        assert_eq!(lookout.sleep_max(start + DOZE + MS), Duration::MAX);
    }
}
