//! How long a collection still takes. Pure.

use std::time::Duration;

use super::Progress;
use crate::progress::CollectionState;

impl Progress {
    /// The time that is left: for what waits to be parsed now; and then the longer one of what the calls that
    /// are left need, at the speed of late and within the rate limit, and what the parsers need for the
    /// documents that they bring.
    ///
    /// `None` while there is nothing to judge by: the number of calls is not known, nothing has been parsed
    /// yet or for half a minute, or it depends on somebody else, as when the collection is paused or its
    /// source is not called because its calls fail. Zero when the collection is over.
    pub fn eta(&self) -> Option<Duration> {
        if self.collection.state.is_over() {
            return Some(Duration::ZERO);
        }
        let calls = self.pages_left()?;
        if calls > 0 && self.collection.state == CollectionState::Paused || self.counts.done == 0 {
            return None;
        }
        let (backlog, to_come) = (self.counts.waiting() as f64, self.documents_to_come(calls));
        let fetching = self.fetching(calls)?;
        if backlog + to_come <= 0.0 {
            return Duration::try_from_secs_f64(fetching).ok();
        }
        let speed = Some(self.speeds.settled_per_second).filter(|&speed| speed > 0.0)?;
        Duration::try_from_secs_f64(backlog / speed + fetching.max(to_come / speed)).ok()
    }

    /// How many seconds so many calls take.
    fn fetching(&self, calls: i64) -> Option<f64> {
        if calls == 0 {
            return Some(0.0);
        }
        if self.recent_calls.is_stopped {
            return None;
        }
        let limit = self.recent_calls.limit_per_second.unwrap_or(self.calls_per_second);
        // Of calls that wait for the parsers nobody knows how fast they would come.
        let seen = Some(self.speeds.done_per_second).filter(|&seen| seen > 0.0 && !self.is_lagging);
        let speed = seen.map_or(limit, |seen| seen.min(limit)).max(0.001);
        let silence = self.recent_calls.silent_for.map_or(0.0, |silence| silence.as_secs_f64());
        Some(silence + calls as f64 / speed)
    }
}
