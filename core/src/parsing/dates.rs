//! Partial dates, as people write them.
//!
//! A date says as much as the document does: no month and no day is ever made up, and of two ways to read a
//! date neither is chosen.

use std::{fmt, ops::RangeInclusive};

use chrono::{DateTime, Datelike, NaiveDate};
use serde_json::{Map, Number, Value};

use self::Part::{Month, Small, Year};

/// The longest text that is looked at: `2018-01-15T23:30:00.123456789+02:00` has 35 bytes, a sentence is no
/// date.
const MAX_DATE_BYTES: usize = 64;

/// What people write for an end that has not come, in lower case. JSON Resume says it by leaving the date
/// out.
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

/// The years in which something on a resume can begin or end. A constant, for the parser has no clock.
const PLAUSIBLE_YEARS: RangeInclusive<u32> = 1930..=2040;

/// The first year that is written for an end that is not known: 2099-12-31, 2999-01-01, 4712-12-31,
/// 9999-12-31.
const FAR_YEAR: u32 = 2099;

/// The same time in the Buddhist calendar, which is 543 years ahead: years that mean what they say.
const BUDDHIST_YEARS: RangeInclusive<u32> = 2400..=2600;

/// The first days of calendars and clocks, which programs write for a date that nobody gave.
const ZERO_DAYS: [(u32, u32, u32); 5] =
    [(1601, 1, 1), (1753, 1, 1), (1899, 12, 30), (1900, 1, 1), (1970, 1, 1)];

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
    /// A day that is too far away to be meant, such as 9999-12-31.
    Far,
    /// A day that stands for no date, such as 0000-00-00.
    Zero,
    /// Anything else.
    Unclear,
}

impl Reading {
    /// The date, if there is one.
    pub(super) fn date(self) -> Option<PartialDate> {
        match self {
            Self::Standard(date) | Self::Odd(date) => Some(date),
            Self::Open | Self::Far | Self::Zero | Self::Unclear => None,
        }
    }
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
    fn new(year: u32, month: Option<u32>, day: Option<u32>) -> Option<Self> {
        // A day without a month is none.
        if !(1000..3000).contains(&year) || (month.is_none() && day.is_some()) {
            return None;
        }
        NaiveDate::from_ymd_opt(year.cast_signed(), month.unwrap_or(1), day.unwrap_or(1))?;
        Some(Self { year, month, day })
    }

    /// Whether something on a resume can have begun or ended then.
    pub(super) fn is_plausible(self) -> bool {
        PLAUSIBLE_YEARS.contains(&self.year)
    }

    /// Whether this is earlier, as far as both say.
    pub(super) fn is_before(self, other: Self) -> bool {
        let (one, other) = (self.to_string(), other.to_string());
        let both = one.len().min(other.len());
        one[..both] < other[..both]
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
    if let Some(moment) = moment_in(text) {
        return of_moment(moment);
    }
    match without_time(text).and_then(parts) {
        Some(date) => match of_date(date) {
            Reading::Odd(date) if date.to_string() == text => Reading::Standard(date),
            reading => reading,
        },
        None => Reading::Unclear,
    }
}

/// Reads a number as a date: a year, or a moment.
pub(super) fn of_number(number: &Number) -> Reading {
    let whole = |number: f64| (number.abs() < 1e18).then_some(number as i64);
    match number.as_i64().or_else(|| number.as_f64().and_then(whole)) {
        None => Reading::Unclear,
        Some(year @ 1..=9999) if !number.is_f64() => {
            of_date(Parts { year: year as u32, month: None, day: None })
        }
        Some(moment) => of_moment(moment),
    }
}

/// Reads a date in parts, `{"year": 2019, "month": 3, "day": 1}`, as some systems write it. `None` when the
/// object is no date; `Some(None)` when it is one and says nothing.
pub(super) fn of_object(object: &Map<String, Value>) -> Option<Option<Reading>> {
    let part = |name| match object.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::Number(number)) => u32::try_from(number.as_u64()?).ok().map(Some),
        Some(Value::String(digits)) => digits.trim().parse().ok().map(Some),
        Some(_) => None,
    };
    match (part("year")?, part("month")?, part("day")?) {
        (Some(year), month, day) => match of_date(Parts { year, month, day }) {
            Reading::Odd(date) => Some(Some(Reading::Standard(date))),
            Reading::Unclear => None,
            reading => Some(Some(reading)),
        },
        (None, None, None) if object.contains_key("year") => Some(None),
        (None, ..) => None,
    }
}

/// What was written for a date, which need not exist.
struct Parts {
    year: u32,
    month: Option<u32>,
    day: Option<u32>,
}

fn of_date(Parts { year, month, day }: Parts) -> Reading {
    let is_zero_day = ZERO_DAYS.iter().any(|zero| Some((zero.1, zero.2)) == month.zip(day) && zero.0 == year);
    if year <= 1 || is_zero_day {
        return Reading::Zero;
    }
    if (FAR_YEAR..=9999).contains(&year) && !BUDDHIST_YEARS.contains(&year) {
        return Reading::Far;
    }
    PartialDate::new(year, month, day).map_or(Reading::Unclear, Reading::Odd)
}

/// The number in a text that gives a moment: `1546300800000`, or `/Date(1546300800000)/` as .NET writes it.
fn moment_in(text: &str) -> Option<i64> {
    let inner = text.strip_prefix("/Date(").and_then(|text| text.strip_suffix(")/"));
    if let Some(inner) = inner {
        // An offset may follow. The day is that of UTC all the same.
        let end = inner.rfind(['+', '-']).filter(|&index| index > 0).unwrap_or(inner.len());
        return inner[..end].parse().ok();
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    (digits.len() >= 9 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Reads the seconds, milliseconds, micro- or nanoseconds since 1970, told apart by their size.
fn of_moment(number: i64) -> Reading {
    // The largest and the smallest second that programs know are shorter than the milliseconds of our time.
    let is_extreme = |time: &DateTime<_>| matches!(time.year(), 1 | 9999);
    let by_seconds = DateTime::from_timestamp(number, 0);
    let size = number.unsigned_abs();
    let time = if size == 0 {
        return Reading::Zero;
    } else if size < 100_000_000 {
        // Before March 1973, or something else.
        return Reading::Unclear;
    } else if size < 10_000_000_000 {
        by_seconds
    } else if size < 260_000_000_000_000 {
        by_seconds.filter(is_extreme).or_else(|| DateTime::from_timestamp_millis(number))
    } else if size < 260_000_000_000_000_000 {
        DateTime::from_timestamp_micros(number)
    } else {
        Some(DateTime::from_timestamp_nanos(number))
    };
    let Some(time) = time else { return Reading::Unclear };
    match u32::try_from(time.year()) {
        Ok(year) => of_date(Parts { year, month: Some(time.month()), day: Some(time.day()) }),
        Err(_) => Reading::Unclear,
    }
}

/// Cuts the time of day off a time stamp such as `2018-01-15T00:00:00Z`. The day is taken as written: in
/// which time zone a job began is nothing anyone meant to say.
fn without_time(text: &str) -> Option<&str> {
    match text.split_once(['T', ' ']) {
        Some((date, time)) if time.contains(':') => {
            let is_time = time.chars().all(|c| c.is_ascii_digit() || ":.+-Z ".contains(c));
            (is_time && date.len() == "2018-01-15".len()).then_some(date)
        }
        _ => Some(text),
    }
}

/// Takes a text apart into up to three parts between `-`, `/`, `.`, `,` and spaces.
fn parts(text: &str) -> Option<Parts> {
    let mut parts = text.split(['-', '/', '.', ',', ' ']).filter(|part| !part.is_empty()).map(Part::of);
    let (first, second, third) = (parts.next()??, parts.next(), parts.next());
    if parts.next().is_some() {
        return None;
    }
    let (year, month, day) = match (first, second, third) {
        (Year(year), None, None) => (year, None, None),
        (Year(year), Some(Some(Small(month) | Month(month))), None)
        | (Small(month) | Month(month), Some(Some(Year(year))), None) => (year, Some(month), None),
        (Year(year), Some(Some(Small(month) | Month(month))), Some(Some(Small(day))))
        | (Small(day), Some(Some(Month(month))), Some(Some(Year(year))))
        | (Month(month), Some(Some(Small(day))), Some(Some(Year(year)))) => (year, Some(month), Some(day)),
        (Small(one), Some(Some(Small(other))), Some(Some(Year(year)))) => {
            let (month, day) = month_and_day(text, one, other, year)?;
            (year, Some(month), Some(day))
        }
        _ => return None,
    };
    Some(Parts { year, month, day })
}

/// Reads a day and a month in unknown order. With points the day comes first; otherwise Europe and America
/// disagree, and the answer is known only where one order is no date or both are the same.
fn month_and_day(text: &str, one: u32, other: u32, year: u32) -> Option<(u32, u32)> {
    let exists = |month, day| PartialDate::new(year, Some(month), Some(day)).is_some();
    // No date of a year that stands for none exists, and its order means nothing.
    if text.contains('.') || one == other || !exists(one, other) {
        Some((other, one))
    } else if !exists(other, one) {
        Some((one, other))
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
