//! Partial dates, as people write them.
//!
//! A date says as much as the document does: no month and no day is ever made up, and of two ways to read a date
//! neither is chosen.

use std::fmt;

use self::Part::{Month, Small, Year};

/// The longest text that is looked at: `2018-01-15T23:30:00.123456789+02:00` has 35 bytes, a sentence is no date.
const MAX_DATE_BYTES: usize = 64;

/// What people write for an end that has not come, in lower case. JSON Resume says it by leaving the date out.
const OPEN_ENDS: [&str; 14] = [
    "present",
    "current",
    "currently",
    "now",
    "today",
    "ongoing",
    "to date",
    "to present",
    "till date",
    "till now",
    "heute",
    "actualidad",
    "presente",
    "至今",
];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// What a text says when it is read as a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// A date written as JSON Resume wants it: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    Standard(PartialDate),
    /// A date written in another way that can mean only one thing.
    Odd(PartialDate),
    /// "Present" and the like.
    Open,
    /// Anything else.
    Unclear,
}

/// A day, a month or a year of the calendar; shown as `YYYY-MM-DD`, `YYYY-MM` or `YYYY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartialDate {
    year: u32,
    month: Option<u32>,
    day: Option<u32>,
}

impl PartialDate {
    /// A date that exists, with a year from 1000 to 2999: what JSON Resume's schema allows.
    pub(super) fn new(year: u32, month: Option<u32>, day: Option<u32>) -> Option<Self> {
        let days = match month {
            None => 0,
            Some(2) if is_leap(year) => 29,
            Some(2) => 28,
            Some(4 | 6 | 9 | 11) => 30,
            Some(1..=12) => 31,
            Some(_) => return None,
        };
        let exists = (1000..3000).contains(&year) && day.is_none_or(|day| (1..=days).contains(&day));
        exists.then_some(Self { year, month, day })
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        if let Some(month) = self.month {
            write!(f, "-{month:02}")?;
        }
        if let Some(day) = self.day {
            write!(f, "-{day:02}")?;
        }
        Ok(())
    }
}

/// Reads a text as a date.
pub(super) fn read(text: &str) -> Reading {
    if text.len() > MAX_DATE_BYTES {
        return Reading::Unclear;
    }
    let text = text.trim();
    if OPEN_ENDS.contains(&text.to_lowercase().as_str()) {
        return Reading::Open;
    }
    match without_time(text).and_then(date) {
        Some(date) if date.to_string() == text => Reading::Standard(date),
        Some(date) => Reading::Odd(date),
        None => Reading::Unclear,
    }
}

/// Cuts the time of day off a time stamp such as `2018-01-15T00:00:00Z`. The day is taken as written: in which time
/// zone a job began is nothing anyone meant to say.
fn without_time(text: &str) -> Option<&str> {
    match text.split_once(['T', ' ']) {
        Some((date, time)) if time.contains(':') => {
            let is_time = time.chars().all(|c| c.is_ascii_digit() || ":.+-Z ".contains(c));
            (is_time && date.len() == "2018-01-15".len()).then_some(date)
        }
        _ => Some(text),
    }
}

/// Reads up to three parts between `-`, `/`, `.`, `,` and spaces.
fn date(text: &str) -> Option<PartialDate> {
    let mut parts = text.split(['-', '/', '.', ',', ' ']).filter(|part| !part.is_empty()).map(Part::of);
    let (first, second, third) = (parts.next()??, parts.next(), parts.next());
    if parts.next().is_some() {
        return None;
    }
    match (first, second, third) {
        (Year(year), None, None) => PartialDate::new(year, None, None),
        (Year(year), Some(Some(Small(month) | Month(month))), None)
        | (Small(month) | Month(month), Some(Some(Year(year))), None) => {
            PartialDate::new(year, Some(month), None)
        }
        (Year(year), Some(Some(Small(month) | Month(month))), Some(Some(Small(day))))
        | (Small(day), Some(Some(Month(month))), Some(Some(Year(year))))
        | (Month(month), Some(Some(Small(day))), Some(Some(Year(year)))) => {
            PartialDate::new(year, Some(month), Some(day))
        }
        (Small(one), Some(Some(Small(other))), Some(Some(Year(year)))) => {
            day_and_month(text, one, other, year)
        }
        _ => None,
    }
}

/// Reads a day and a month in unknown order. With points the day comes first; otherwise Europe and America disagree,
/// and the answer is known only where one order is no date or both are the same.
fn day_and_month(text: &str, one: u32, other: u32, year: u32) -> Option<PartialDate> {
    let day_first = PartialDate::new(year, Some(other), Some(one));
    let month_first = PartialDate::new(year, Some(one), Some(other));
    if text.contains('.') || day_first == month_first || month_first.is_none() {
        day_first
    } else if day_first.is_none() {
        month_first
    } else {
        None
    }
}

/// One part of a written date.
enum Part {
    /// Four digits.
    Year(u32),
    /// One or two digits: a month or a day.
    Small(u32),
    /// The name of a month, or its first letters, in English.
    Month(u32),
}

impl Part {
    fn of(part: &str) -> Option<Self> {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            return match part.len() {
                4 => part.parse().ok().map(Self::Year),
                1 | 2 => part.parse().ok().map(Self::Small),
                _ => None,
            };
        }
        let part = part.to_ascii_lowercase();
        let is_it = |month: &&str| part.len() >= 3 && month.starts_with(&part);
        (1..).zip(MONTHS.iter()).find(|(_, month)| is_it(month)).map(|(number, _)| Self::Month(number))
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}
