//! How long a collection still takes. Pure.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{CollectionState, Progress};

/// How long ago the latest of something may have come for its speed to say anything of now. No call takes longer.
const STEADY: TimeDelta = TimeDelta::seconds(30);

/// How long ago what is called recent may be.
pub(super) const RECENT: TimeDelta = TimeDelta::seconds(10);

/// How much of something had come at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The moment at which the latest of it came.
    pub at: DateTime<Utc>,
    /// How much.
    pub count: i64,
}

/// How something has come so far: what its speed is known by. Measured from one arrival to another, for what comes in bursts
/// (the batches of a slow parser end together) has another speed wherever one cuts between them. Where a cut goes through a burst,
/// another one a second before does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Course {
    /// The beginning.
    pub first: Option<Mark>,
    /// The latest one that is a second older than what is recent. `None` too for what does not come in bursts.
    pub earliest: Option<Mark>,
    /// The latest one that is not recent: more than ten seconds old or, where pages come for less than twenty, of the first half.
    pub earlier: Option<Mark>,
    /// The latest one that is more than a second old. `None` too for what does not come in bursts.
    pub before: Option<Mark>,
    /// The latest.
    pub last: Option<Mark>,
}

impl Course {
    /// How many came in a second lately, or since the beginning where there is nothing earlier, or nothing came lately. `None`
    /// where nothing has come for half a minute, or too little to tell.
    pub fn per_second(&self, now: DateTime<Utc>) -> Option<f64> {
        self.last.filter(|last| now - last.at < STEADY)?;
        // In the middle of a burst most of it is yet to come, though its time has.
        [self.before, self.last].into_iter().flatten().filter_map(|to| self.until(to, now)).reduce(f64::max)
    }

    fn until(&self, to: Mark, now: DateTime<Utc>) -> Option<f64> {
        // What came before a longer gap, as when the collection was paused, says nothing.
        let near = |mark: Mark| Mark { at: mark.at.max(now - STEADY), ..mark };
        let lately = [self.earliest, self.earlier].into_iter().flatten();
        let speeds: Vec<f64> = lately.filter_map(|from| speed(near(from), to)).collect();
        if speeds.is_empty() {
            return speed(self.first?, to);
        }
        Some(speeds.iter().sum::<f64>() / speeds.len() as f64)
    }

    /// As [`Course::per_second`], and zero where nothing has come in the last ten seconds: for people.
    pub fn recent_per_second(&self, now: DateTime<Utc>) -> f64 {
        let is_recent = self.last.is_some_and(|last| now - last.at < RECENT);
        self.per_second(now).filter(|_| is_recent).unwrap_or(0.0)
    }

    /// How many are due by now, at this speed, and have not come.
    fn due(&self, per_second: f64, now: DateTime<Utc>) -> f64 {
        let come = self.last.map_or(0, |last| last.count);
        let due_since = |mark: Mark| {
            let due = (now - mark.at).as_seconds_f64() * per_second - (come - mark.count) as f64;
            due.max(0.0)
        };
        [self.before, self.last].into_iter().flatten().map(due_since).fold(0.0, f64::max)
    }
}

/// How many came in a second between two moments, if it was more than one.
fn speed(from: Mark, to: Mark) -> Option<f64> {
    let (count, seconds) = (to.count - from.count, (to.at - from.at).as_seconds_f64());
    (count > 1 && seconds > 0.0).then(|| count as f64 / seconds)
}

impl Progress {
    /// The time that is left: for what waits to be parsed now; and then the longer one of what the pages that are left need, at
    /// the speed of late and within the rate limit, and what the parsers need for the documents on them.
    ///
    /// `None` while there is nothing to judge by: the number of pages is not known, nothing has been parsed yet or for half a minute,
    /// or it depends on somebody else, as when the collection is paused or its source is not called because its calls fail. Zero when
    /// the collection is over.
    pub fn eta(&self) -> Option<Duration> {
        if self.collection.state.is_over() {
            return Some(Duration::ZERO);
        }
        let pages = self.pages_left()?;
        if pages > 0 && self.collection.state == CollectionState::Paused || self.pages_fetched == 0 {
            return None;
        }
        let (backlog, to_come) = (self.backlog as f64, self.documents_to_come(pages));
        let fetching = self.fetching(pages)?;
        if backlog + to_come <= 0.0 {
            return Duration::try_from_secs_f64(fetching).ok();
        }
        let speed = self.parsing.per_second(self.seen_at)?;
        // Of what is being parsed nobody knows how far it is: at most half of it.
        let due = self.parsing.due(speed, self.seen_at).min(backlog / 2.0);
        Duration::try_from_secs_f64((backlog - due) / speed + fetching.max(to_come / speed)).ok()
    }

    /// How many seconds the fetching of so many pages takes.
    fn fetching(&self, pages: i64) -> Option<f64> {
        if pages == 0 {
            return Some(0.0);
        }
        if self.recent_calls.is_stopped {
            return None;
        }
        let limit = self.recent_calls.limit_per_second.unwrap_or(self.calls_per_second);
        // Of pages that wait for the parsers nobody knows how fast they would come.
        let seen = self.pages.per_second(self.seen_at).filter(|_| !self.is_lagging);
        let speed = seen.map_or(limit, |seen| seen.min(limit)).max(0.001);
        match self.recent_calls.silent_for {
            Some(silence) => Some(silence.as_secs_f64() + pages as f64 / speed),
            // One at most: the next one may be late, but it has not come.
            None => Some((pages as f64 - self.pages.due(speed, self.seen_at).min(1.0)) / speed),
        }
    }

    /// How many documents the pages that are left will bring to be parsed, if they are like those before.
    fn documents_to_come(&self, pages: i64) -> f64 {
        let items = self.stored + self.unchanged;
        if items == 0 {
            return 0.0;
        }
        let left = (i64::from(self.collection.count) - items).max(0) as f64;
        let (fetched, pages) = self.with_items(pages);
        let on_page = items as f64 / fetched.max(1) as f64;
        (pages as f64 * on_page).min(left) * self.stored as f64 / items as f64
    }
}
