use chrono::{DateTime, SubsecRound, Utc};
use chrono_tz::Tz;
use croner::{Cron, Direction};

use super::{Missed, ScheduleError, expression, search::find};

/// The most missed ticks that are made up for, and the most that a preview shows.
pub const TICKS_MAX: usize = 1000;

/// How late a tick may be fired and is not missed: a change of the leader takes some seconds.
pub(crate) const GRACE_S: i64 = 60;

/// When a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timing {
    /// At every minute that a cron expression matches.
    ///
    /// Where the clock is put forward, a time of day that is left out comes at the first moment after the
    /// gap; where it is put back, one that comes twice is fired the first time. An expression with a `*` or a
    /// step in its hour or minute asks for an interval instead, and goes by what the clock shows: nothing in
    /// the gap, both times in the overlap.
    Cron {
        /// Five fields: minute, hour, day of month, month, day of week (0 and 7 are Sunday); or `@hourly`,
        /// `@daily`, `@weekly`, `@monthly`, `@yearly` or `@annually`. Days of month and of week that are both
        /// given mean either.
        expression: String,
        /// A name of the IANA database, such as `Europe/Berlin`, in which the expression is read.
        time_zone: String,
    },
    /// Once, at this moment.
    Once(DateTime<Utc>),
}

impl Timing {
    /// The first `n` ticks after a moment, at most [`TICKS_MAX`]: a preview.
    ///
    /// # Errors
    /// [`ScheduleError::Cron`], [`ScheduleError::Field`] for the time zone.
    pub fn ticks_after(&self, after: DateTime<Utc>, n: usize) -> Result<Vec<DateTime<Utc>>, ScheduleError> {
        let timetable = Timetable::read(self)?;
        let ticks = std::iter::successors(timetable.next_after(after), |tick| timetable.next_after(*tick));
        Ok(ticks.take(n.min(TICKS_MAX)).collect())
    }
}

/// A timing that was read and understood.
#[derive(Debug)]
pub(super) enum Timetable {
    Cron(Box<Cron>, Tz),
    Once(DateTime<Utc>),
}

impl Timetable {
    pub(super) fn read(timing: &Timing) -> Result<Self, ScheduleError> {
        match timing {
            Timing::Once(at) => Ok(Self::Once(*at)),
            Timing::Cron { expression, time_zone } => {
                let cron = expression::read(expression)?;
                let time_zone: Tz = time_zone.parse().map_err(|_| ScheduleError::Field {
                    field: "time_zone",
                    value: time_zone.chars().take(50).collect(),
                    why: "is no name of the IANA database, such as Europe/Berlin or UTC".to_owned(),
                })?;
                Ok(Self::Cron(Box::new(cron), time_zone))
            }
        }
    }

    /// The first tick after a moment.
    pub(super) fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Once(at) => Some(*at).filter(|at| *at > after),
            Self::Cron(cron, zone) => find(cron, *zone, after, Direction::Forward),
        }
    }

    /// The ticks from `first` to `now` that are to be fired, the oldest first.
    pub(super) fn due(&self, first: DateTime<Utc>, now: DateTime<Utc>, missed: Missed) -> Vec<DateTime<Utc>> {
        let most = if missed == Missed::All { TICKS_MAX } else { 1 };
        let mut ticks = match self {
            Self::Once(at) => vec![*at],
            // From the latest one back, so that a long absence costs no more than a short one.
            Self::Cron(cron, zone) => {
                // A search leaves out the second that it starts from.
                let end = now.trunc_subsecs(0) + chrono::TimeDelta::seconds(1);
                let back = |from: DateTime<Utc>| find(cron, *zone, from, Direction::Backward);
                std::iter::successors(back(end), |tick| back(*tick))
                    .take_while(|tick| *tick >= first)
                    .take(most)
                    .collect()
            }
        };
        if missed == Missed::Skip {
            ticks.retain(|tick| (now - tick).num_seconds() < GRACE_S);
        }
        ticks.reverse();
        ticks
    }
}
