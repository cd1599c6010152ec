use chrono::{DateTime, SubsecRound, Utc};
use chrono_tz::Tz;
use croner::{
    Cron, Direction,
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};

use super::{Missed, ScheduleError};

/// The most missed ticks that are made up for, and the most that a preview shows.
pub const TICKS_MAX: usize = 1000;

/// The longest cron expression.
const MAX_CRON_BYTES: usize = 200;

/// How late a tick may be fired and is not missed: a change of the leader takes some seconds.
const GRACE_S: i64 = 60;

/// The fields of a cron expression, in their order.
const FIELDS: [&str; 5] = ["minute", "hour", "day of month", "month", "day of week"];

/// When a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timing {
    /// At every minute that a cron expression matches.
    ///
    /// Where the clock is put forward, a time of day that is left out comes at the first moment after the gap; where it is
    /// put back, one that comes twice is fired the first time. An expression with a `*` or a step in its hour or minute
    /// asks for an interval instead, and goes by what the clock shows: nothing in the gap, both times in the overlap.
    Cron {
        /// Five fields: minute, hour, day of month, month, day of week (0 and 7 are Sunday); or `@hourly`, `@daily`,
        /// `@weekly`, `@monthly`, `@yearly`. Days of month and of week that are both given mean either.
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
                let cron = read_cron(expression)?;
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

fn find(cron: &Cron, zone: Tz, from: DateTime<Utc>, direction: Direction) -> Option<DateTime<Utc>> {
    let from = from.trunc_subsecs(0).with_timezone(&zone);
    let found = match direction {
        Direction::Forward => cron.find_next_occurrence(&from, false),
        Direction::Backward => cron.find_previous_occurrence(&from, false),
    };
    // The only error is that no such time was found within thousands of years.
    found.ok().map(|tick| tick.with_timezone(&Utc))
}

fn read_cron(expression: &str) -> Result<Cron, ScheduleError> {
    let error = |field, position, why: String| ScheduleError::Cron {
        expression: expression.chars().take(MAX_CRON_BYTES).collect(),
        field,
        position,
        why,
    };
    if expression.len() > MAX_CRON_BYTES {
        return Err(error(
            "the whole",
            1,
            format!("it has {} bytes, the most is {MAX_CRON_BYTES}", expression.len()),
        ));
    }
    let cron = match read(expression) {
        Ok(cron) => cron,
        Err(whole) => {
            let (field, position, why) = first_wrong_field(expression).unwrap_or(("the whole", 1, whole));
            return Err(error(field, position, why));
        }
    };
    // As the 30th of February.
    if find(&cron, Tz::UTC, DateTime::UNIX_EPOCH, Direction::Forward).is_none() {
        let position = fields(expression).get(2).map_or(1, |(position, _)| *position);
        return Err(error(FIELDS[2], position, "no month has such a day, so it never comes".to_owned()));
    }
    Ok(cron)
}

fn read(expression: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(expression).map_err(|error| {
        // Its texts are sentences.
        let text = match error {
            CronError::ComponentError(text)
            | CronError::InvalidPattern(text)
            | CronError::IllegalCharacters(text) => text,
            error => error.to_string(),
        };
        let mut chars = text.trim_end_matches('.').chars();
        chars.next().into_iter().flat_map(char::to_lowercase).chain(chars).collect()
    })
}

/// The words of an expression, and where each begins, in characters from 1.
fn fields(expression: &str) -> Vec<(usize, &str)> {
    expression
        .split_whitespace()
        .map(|word| {
            let at = word.as_ptr() as usize - expression.as_ptr() as usize;
            (expression[..at].chars().count() + 1, word)
        })
        .collect()
}

/// Which field is wrong, found by reading each one alone; none when it is the whole.
fn first_wrong_field(expression: &str) -> Option<(&'static str, usize, String)> {
    let fields = fields(expression);
    if fields.len() != FIELDS.len() {
        let many = format!("it has {} fields, and must have five: {}", fields.len(), FIELDS.join(", "));
        return Some(("the whole", 1, many));
    }
    FIELDS.into_iter().zip(fields).enumerate().find_map(|(n, (name, (position, word)))| {
        let mut alone = ["*"; FIELDS.len()];
        alone[n] = word;
        Some((name, position, read(&alone.join(" ")).err()?))
    })
}
