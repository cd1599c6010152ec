use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// The longest answer that is reckoned with. One that takes longer comes too late for its permits.
const LEAD_MAX: Duration = Duration::from_millis(250);
/// What is left of the longest answer with each one after it.
const FORGETTING: f64 = 0.8;

/// The database's clock by this process's: when is what it calls then?
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// A moment by both. It is not known exactly, but within what has been seen.
    same: Option<(Instant, DateTime<Utc>)>,
    /// How long the last answers took at most, the older ones counting less.
    lead: Duration,
}

impl Clock {
    /// Learns from an answer that the database gave at `at`, between the sending of the question and the
    /// answer's coming. What is known already stands if it may still be true, so that an answer which was
    /// long on its way changes nothing.
    pub(super) fn learn(&mut self, sent: Instant, at: DateTime<Utc>, came: Instant) {
        // The first answer: as late as it can be, so that no call leaves too early.
        let known = self.here(at).unwrap_or(came);
        self.same = Some((known.clamp(sent, came.max(sent)), at));
        let took = came.saturating_duration_since(sent);
        self.lead = took.max(self.lead.mul_f64(FORGETTING)).min(LEAD_MAX);
    }

    /// How long the next answer will take, going by the last ones.
    pub(super) fn lead(&self) -> Duration {
        self.lead
    }

    /// When this moment is here. `None` before anything was learned.
    pub(super) fn here(&self, at: DateTime<Utc>) -> Option<Instant> {
        let (here, there) = self.same?;
        let distance = at - there;
        if distance < TimeDelta::zero() {
            let before = (-distance).to_std().unwrap_or(Duration::ZERO);
            // Before this machine was started there is no time here.
            Some(here.checked_sub(before).unwrap_or(here))
        } else {
            Some(here + distance.to_std().unwrap_or(Duration::ZERO))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn there(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000 + ms).unwrap()
    }

    #[test]
    fn answers_narrow_down_what_the_time_is() {
        let start = Instant::now() + Duration::from_secs(60);
        let mut clock = Clock::default();
        assert_eq!(clock.here(there(0)), None);
        clock.learn(start, there(0), start + 10 * MS);
        assert_eq!(clock.here(there(100)), Some(start + 110 * MS), "the latest that it can be");
        clock.learn(start + 50 * MS, there(50), start + 53 * MS);
        assert_eq!(clock.here(there(100)), Some(start + 103 * MS), "a quick answer tells more");
        clock.learn(start + 60 * MS, there(70), start + 160 * MS);
        assert_eq!(clock.here(there(100)), Some(start + 103 * MS), "a slow one nothing");
        assert_eq!(clock.here(there(0)), Some(start + 3 * MS));
    }

    #[test]
    fn the_next_answer_takes_as_long_as_the_last_ones() {
        let start = Instant::now();
        let mut clock = Clock::default();
        assert_eq!(clock.lead(), Duration::ZERO);
        for (took, lead) in [(10, 10), (1, 8), (20, 20), (20, 20), (9000, 250)] {
            clock.learn(start, there(0), start + took * MS);
            assert_eq!(clock.lead(), lead * MS, "after {took} ms");
        }
    }

    #[test]
    fn a_clock_that_was_set_is_believed() {
        let start = Instant::now() + Duration::from_secs(60);
        let mut clock = Clock::default();
        clock.learn(start, there(0), start + MS);
        clock.learn(start + 10 * MS, there(5_000), start + 11 * MS);
        assert_eq!(clock.here(there(5_000)), Some(start + 11 * MS));
        clock.learn(start + 20 * MS, there(-5_000), start + 21 * MS);
        assert_eq!(clock.here(there(-5_000)), Some(start + 20 * MS));
    }
}
