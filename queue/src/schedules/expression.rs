//! Reads cron expressions, and says in our own words what is wrong with one.
//!
//! Croner takes more than makes sense: of a list without a value it makes a field that nothing matches, and
//! then searches thousands of years, minute by minute. So each field is checked here before croner sees it.

use chrono::{DateTime, Datelike, NaiveDate};
use croner::{
    Cron, Weekday,
    parser::{CronParser, Seconds, Year},
};

use super::ScheduleError;

/// The longest cron expression.
const MAX_BYTES: usize = 200;

/// What stands for a whole expression.
const NICKNAMES: [(&str, &str); 6] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// A field of an expression.
struct Field {
    name: &'static str,
    lowest: u16,
    highest: u16,
    /// Other words for its values, the lowest first.
    words: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const DAY_OF_MONTH: &str = "day of month";
const DAY_OF_WEEK: &str = "day of week";

/// In their order.
const FIELDS: [Field; 5] = [
    Field { name: "minute", lowest: 0, highest: 59, words: &[] },
    Field { name: "hour", lowest: 0, highest: 23, words: &[] },
    Field { name: DAY_OF_MONTH, lowest: 1, highest: 31, words: &[] },
    Field { name: "month", lowest: 1, highest: 12, words: &MONTHS },
    Field { name: DAY_OF_WEEK, lowest: 0, highest: 7, words: &WEEKDAYS },
];

/// Reads an expression that has ticks: each field matches something, and some year has a day that it matches.
///
/// # Errors
/// [`ScheduleError::Cron`], which names the field.
pub(super) fn read(expression: &str) -> Result<Cron, ScheduleError> {
    let error = |(field, position, why)| ScheduleError::Cron {
        expression: expression.chars().take(MAX_BYTES).collect(),
        field,
        position,
        why,
    };
    if expression.len() > MAX_BYTES {
        let why = format!("it has {} bytes, the most is {MAX_BYTES}", expression.len());
        return Err(error(whole(why)));
    }
    let words = words(expression);
    let plain = match words.as_slice() {
        [(_, nickname)] if nickname.starts_with('@') => spelled_out(nickname).map_err(error)?.to_owned(),
        words => {
            check(words).map_err(error)?;
            expression.to_owned()
        }
    };
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let cron = parser.parse(&plain).map_err(|_| error(whole("it cannot be read".to_owned())))?;
    if comes(&cron) {
        return Ok(cron);
    }
    // As the 30th of February.
    let position = words.get(2).map_or(1, |(position, _)| *position);
    Err(error((DAY_OF_MONTH, position, "no month has such a day, so it never comes".to_owned())))
}

/// What is wrong: with which field, where that begins, and why.
type Wrong = (&'static str, usize, String);

fn whole(why: String) -> Wrong {
    ("the whole", 1, why)
}

/// The words of an expression, and where each begins, in characters from 1.
fn words(expression: &str) -> Vec<(usize, &str)> {
    expression
        .split_whitespace()
        .map(|word| {
            let at = word.as_ptr() as usize - expression.as_ptr() as usize;
            (expression[..at].chars().count() + 1, word)
        })
        .collect()
}

fn spelled_out(nickname: &str) -> Result<&'static str, Wrong> {
    let found = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(nickname));
    found.map(|(_, plain)| *plain).ok_or_else(|| whole(nicknames(nickname)))
}

fn nicknames(given: &str) -> String {
    let names = NICKNAMES.map(|(name, _)| name).join(", ");
    format!("{} is none of the nicknames: {names}", quoted(given))
}

fn check(words: &[(usize, &str)]) -> Result<(), Wrong> {
    // As `@every 5m`.
    if let Some((_, nickname)) = words.first().filter(|(_, word)| word.starts_with('@')) {
        return Err(whole(nicknames(nickname)));
    }
    if words.len() != FIELDS.len() {
        let names = FIELDS.map(|field| field.name).join(", ");
        return Err(whole(format!("it has {} fields, and must have five: {names}", words.len())));
    }
    for (field, (position, word)) in FIELDS.iter().zip(words) {
        field.check(&word.to_ascii_uppercase()).map_err(|why| (field.name, *position, why))?;
    }
    Ok(())
}

impl Field {
    /// Checks its text, in upper case: `*`, or a list of parts.
    fn check(&self, text: &str) -> Result<(), String> {
        if self.is_any(text) {
            return Ok(());
        }
        text.split(',').try_for_each(|part| self.check_part(part))
    }

    /// A part of a list: a value, a range, steps over a range, or a day that depends on the month.
    fn check_part(&self, part: &str) -> Result<(), String> {
        if part.is_empty() {
            return Err("a value is missing beside a comma".to_owned());
        }
        if self.is_any(part) {
            return Err(format!("{part} stands for every value, and cannot be in a list"));
        }
        if let Some((range, step)) = part.split_once('/') {
            return self.check_steps(range, step);
        }
        match self.name {
            DAY_OF_MONTH => self.check_day_of_month(part),
            DAY_OF_WEEK => self.check_day_of_week(part),
            _ => self.check_range(part),
        }
    }

    fn check_steps(&self, range: &str, step: &str) -> Result<(), String> {
        if number(step).is_none_or(|step| !(1..=self.highest).contains(&step)) {
            return Err(format!("{} is no step: there are 1 to {}", quoted(step), self.highest));
        }
        if self.is_any(range) {
            return Ok(());
        }
        if !range.contains('-') {
            return Err(format!("{} has steps: only * and a range can, as */{step}", quoted(range)));
        }
        self.check_range(range)
    }

    /// `L` is the last day, `LW` the last one from Monday to Friday, and `15W` the one that is nearest to the
    /// 15th.
    fn check_day_of_month(&self, part: &str) -> Result<(), String> {
        match part.strip_suffix('W') {
            Some("L") => Ok(()),
            Some(day) => self.value(day).map(|_| ()),
            None if part == "L" => Ok(()),
            None => self.check_range(part),
        }
    }

    /// `5#2` is the second Friday of the month, `5L` (or `5#L`) the last one.
    fn check_day_of_week(&self, part: &str) -> Result<(), String> {
        match part.split_once('#') {
            Some((days, "1" | "2" | "3" | "4" | "5" | "L")) => self.check_range(days),
            Some((_, nth)) => Err(format!("{} must be 1 to 5 or L after #", quoted(nth))),
            None => match part.strip_suffix('L') {
                Some("") => Err("L goes with a day, as 5L for the last Friday of the month".to_owned()),
                Some(day) => self.value(day).map(|_| ()),
                None => self.check_range(part),
            },
        }
    }

    /// A value, or a range of them.
    fn check_range(&self, text: &str) -> Result<(), String> {
        let Some((from, to)) = text.split_once('-') else { return self.value(text).map(|_| ()) };
        // A week that ends with Sunday.
        let to = if self.name == DAY_OF_WEEK && to == "SUN" { "7" } else { to };
        if self.value(from)? > self.value(to)? {
            return Err(format!("the range {} begins after its end", quoted(text)));
        }
        Ok(())
    }

    fn value(&self, text: &str) -> Result<u16, String> {
        let word =
            || (self.lowest..).zip(self.words).find(|(_, word)| **word == text).map(|(value, _)| value);
        let value = number(text).filter(|value| (self.lowest..=self.highest).contains(value)).or_else(word);
        value.ok_or_else(|| {
            let words = match self.words {
                [first, .., last] => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            format!("{} is none of {} to {}{words}", quoted(text), self.lowest, self.highest)
        })
    }

    /// Whether a text is `*`, or `?`, which is the same for a day.
    fn is_any(&self, text: &str) -> bool {
        text == "*" || (text == "?" && matches!(self.name, DAY_OF_MONTH | DAY_OF_WEEK))
    }
}

/// Digits and nothing else; `parse` alone would take a sign.
fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A piece of an expression in a message, not more than tells which one is meant.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(20).collect::<String>())
}

/// Those of seven leap years, and of 21 others.
const DAYS_OF_28_YEARS: usize = 28 * 365 + 7;

/// Whether some day matches. Looks at 28 years without a century between them: they hold every kind of year,
/// leap or not and beginning on each day of the week, so what is not in them is never.
fn comes(cron: &Cron) -> bool {
    let mut days = DateTime::UNIX_EPOCH.date_naive().iter_days().take(DAYS_OF_28_YEARS);
    days.any(|day| matches(cron, day))
}

/// Whether an expression matches a day, whatever its time.
fn matches(cron: &Cron, day: NaiveDate) -> bool {
    let weekday = Weekday::from_days_from_sunday(day.weekday().num_days_from_sunday());
    let pattern = &cron.pattern;
    pattern.month_match(day.month()).unwrap_or(false)
        && pattern.day_match(day.year(), day.month(), day.day(), weekday).unwrap_or(false)
}
