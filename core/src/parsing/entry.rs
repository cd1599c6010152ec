//! Reading the fields of one object, leniently.

use serde_json::{Map, Value};

use super::dates::{self, Reading};
use super::error::type_name;
use super::limits::{MAX_ENTRIES, MAX_LINE_CHARS};
use super::pointer::Pointer;
use super::warning::{WarningCode, Warnings};

/// The names of a field: first the right one, then old and foreign ones, which are read with a warning.
pub(super) type Names = [&'static str];

/// An object while it is read.
///
/// Every method takes the first of the names that holds something. Null and blank texts are the same as a
/// missing field. A value that cannot be read is left out, with a warning.
pub(super) struct Entry<'a> {
    fields: Map<String, Value>,
    at: &'a Pointer<'a>,
    warnings: &'a mut Warnings,
}

impl<'a> Entry<'a> {
    pub(super) fn new(fields: Map<String, Value>, at: &'a Pointer<'a>, warnings: &'a mut Warnings) -> Self {
        Self { fields, at, warnings }
    }

    /// A text for one line, cut to [`MAX_LINE_CHARS`]. A number is read as its text.
    pub(super) fn line(&mut self, names: &Names) -> Option<String> {
        let (name, text) = self.text(names)?;
        Some(cut_line(text, &self.at.key(name), self.warnings))
    }

    /// A text of any length. A number is read as its text.
    pub(super) fn prose(&mut self, names: &Names) -> Option<String> {
        self.text(names).map(|(_, text)| text)
    }

    /// A list of texts; a single text is a list of one. Blank texts go, and others than texts with a warning.
    pub(super) fn lines(&mut self, names: &Names) -> Vec<String> {
        let Some((name, value)) = self.take(names) else { return Vec::new() };
        let list = match value {
            Value::Array(list) => list,
            Value::String(_) => {
                self.warn(WarningCode::WrongType, name, format_args!("read as a list of one text"));
                vec![value]
            }
            other => {
                self.wrong_type(name, &other, "a list of texts");
                return Vec::new();
            }
        };
        let mut lines = Vec::with_capacity(list.len());
        let at = self.at.key(name);
        for (index, value) in list.into_iter().enumerate() {
            match value {
                Value::String(text) => lines.push(trimmed(text)),
                Value::Number(number) => lines.push(number.to_string()),
                Value::Null => {}
                other => wrong_type(&other, "a text", &at.index(index), self.warnings),
            }
        }
        lines.retain(|line| !line.is_empty());
        lines
    }

    /// An address of a page. Only `http` and `https`: nobody should be led to click `javascript:`.
    pub(super) fn url(&mut self, names: &Names) -> Option<String> {
        let (name, text) = self.text(names)?;
        if is_web_address(&text) {
            return Some(text);
        }
        self.warn(WarningCode::OddUrl, name, format_args!("no http or https address: left out"));
        None
    }

    /// A place: a text, or an object whose city, region and country are joined by commas.
    pub(super) fn place(&mut self, name: &'static str) -> Option<String> {
        if !matches!(self.fields.get(name), Some(Value::Object(_))) {
            return self.line(&[name]);
        }
        let at = self.at.key(name);
        let Some(Value::Object(fields)) = self.fields.remove(name) else { return None };
        let mut place = Entry::new(fields, &at, self.warnings);
        let parts =
            [&["city"][..], &["region", "state"], &["countryCode", "country"]].map(|names| place.line(names));
        let mut parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.dedup(); // Berlin is a city and a region
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// The dates on which something began and ended; without an end when it goes on.
    pub(super) fn period(&mut self, start: &Names, end: &Names) -> (Option<String>, Option<String>) {
        let blank = end.iter().find(|name| self.fields.get(**name).is_some_and(is_blank_text));
        let (start, end) = (self.date(start), self.date(end));
        if let (Some((.., begun)), Some((name, _, ended))) = (&start, &end)
            && let (Some(begun), Some(ended)) = (begun.date(), ended.date())
            && ended.is_before(begun)
        {
            self.warn(
                WarningCode::EndBeforeStart,
                name,
                format_args!("{ended} is before the start, {begun}"),
            );
        }
        let start = start.and_then(|(name, text, reading)| self.settle(name, text, reading));
        let Some((name, text, reading)) = end else {
            if let Some(name) = blank {
                self.warn(WarningCode::OpenEnd, name, format_args!("blank, read as no end yet"));
            }
            return (start, None);
        };
        if matches!(reading, Reading::Open | Reading::Far) {
            self.warn(WarningCode::OpenEnd, name, format_args!("read as no end yet"));
            return (start, None);
        }
        (start, self.settle(name, text, reading))
    }

    fn settle(&mut self, name: &str, text: String, reading: Reading) -> Option<String> {
        match reading {
            Reading::Standard(date) | Reading::Odd(date) => {
                if !date.is_plausible() {
                    let message = format_args!("{date} is no time of which a resume tells, kept");
                    self.warn(WarningCode::ImplausibleDate, name, message);
                } else if matches!(reading, Reading::Odd(_)) {
                    self.warn(WarningCode::OddDate, name, format_args!("read as {date}"));
                }
                Some(date.to_string())
            }
            Reading::Far | Reading::Zero => {
                self.warn(WarningCode::PlaceholderDate, name, format_args!("stands for no date: left out"));
                None
            }
            Reading::Open | Reading::Unclear => {
                let message = format_args!("not understood as a date, kept as given");
                self.warn(WarningCode::UnclearDate, name, message);
                Some(cut_line(text, &self.at.key(name), self.warnings))
            }
        }
    }

    /// A date as written and as read.
    fn date(&mut self, names: &Names) -> Option<(&'static str, String, Reading)> {
        let (name, value) = self.take(names)?;
        match value {
            Value::String(text) => {
                let reading = dates::read(&text);
                return Some((name, trimmed(text), reading));
            }
            Value::Number(number) => return Some((name, number.to_string(), dates::of_number(&number))),
            Value::Object(parts) if let Some(reading) = dates::of_object(&parts) => {
                return Some((name, String::new(), reading?));
            }
            other => self.wrong_type(name, &other, "a date"),
        }
        None
    }

    fn text(&mut self, names: &Names) -> Option<(&'static str, String)> {
        let (name, value) = self.take(names)?;
        match value {
            Value::String(text) => Some((name, trimmed(text))),
            Value::Number(number) => {
                self.warn(WarningCode::WrongType, name, format_args!("a number, read as text"));
                Some((name, number.to_string()))
            }
            other => {
                self.wrong_type(name, &other, "a text");
                None
            }
        }
    }

    /// Takes the first of the names that holds something, and says which it was.
    pub(super) fn take(&mut self, names: &Names) -> Option<(&'static str, Value)> {
        for (index, name) in names.iter().enumerate() {
            let Some(value) = self.fields.remove(*name) else { continue };
            if value.is_null() || is_blank_text(&value) {
                continue;
            }
            if index > 0 {
                self.warn(WarningCode::RenamedField, name, format_args!("read as `{}`", names[0]));
            }
            return Some((name, value));
        }
        None
    }

    fn wrong_type(&mut self, name: &str, found: &Value, expected: &str) {
        wrong_type(found, expected, &self.at.key(name), self.warnings);
    }

    fn warn(&mut self, code: WarningCode, name: &str, message: std::fmt::Arguments<'_>) {
        self.warnings.push(code, &self.at.key(name), message);
    }
}

/// Warns of a value that is left out because it is of the wrong type.
pub(super) fn wrong_type(found: &Value, expected: &str, at: &Pointer<'_>, warnings: &mut Warnings) {
    let message = format_args!("expected {expected}, found {}: left out", type_name(found));
    warnings.push(WarningCode::WrongType, at, message);
}

/// A text cut to [`MAX_LINE_CHARS`].
pub(super) fn cut_line(mut text: String, at: &Pointer<'_>, warnings: &mut Warnings) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_LINE_CHARS) {
        text.truncate(end);
        warnings.push(WarningCode::TextCut, at, format_args!("cut to {MAX_LINE_CHARS} characters"));
    }
    text
}

/// Reads a section that should be a list of objects, at most [`MAX_ENTRIES`] of them; a text is left to
/// `of_text`.
///
/// An object is read as a list of its values where all of them are objects, else as a list of one. An entry
/// in which nothing is known is left out, and so is what is no list at all, each with a warning: a section
/// costs nobody the others.
pub(super) fn entries<T: Default + PartialEq>(
    section: Option<Value>,
    at: &Pointer<'_>,
    warnings: &mut Warnings,
    of_object: impl Fn(Entry<'_>) -> T,
    of_text: impl Fn(String) -> T,
) -> Vec<T> {
    let mut entries = Vec::new();
    let mut read = |value: Value, at: &Pointer<'_>, warnings: &mut Warnings| {
        let entry = match value {
            Value::Object(fields) => of_object(Entry::new(fields, at, warnings)),
            Value::String(text) if !text.trim().is_empty() => {
                warnings.push(
                    WarningCode::PlainTextEntry,
                    at,
                    format_args!("a text, read as a line of its own"),
                );
                of_text(cut_line(trimmed(text), at, warnings))
            }
            Value::Null | Value::String(_) => T::default(),
            other => return wrong_type(&other, "an object", at, warnings),
        };
        if entry == T::default() {
            warnings.push(WarningCode::EmptyEntry, at, format_args!("nothing known in it, left out"));
        } else {
            entries.push(entry);
        }
    };
    match section {
        None | Some(Value::Null) => {}
        Some(text) if is_blank_text(&text) => {}
        Some(Value::Array(list)) => {
            if list.len() > MAX_ENTRIES {
                let message = format_args!("{} entries, only the first {MAX_ENTRIES} are read", list.len());
                warnings.push(WarningCode::TooManyEntries, at, message);
            }
            for (index, value) in list.into_iter().take(MAX_ENTRIES).enumerate() {
                read(value, &at.index(index), warnings);
            }
        }
        Some(Value::Object(fields)) => {
            warnings.push(WarningCode::WrongType, at, format_args!("an object, read as a list"));
            if fields.values().all(Value::is_object) {
                for (key, value) in fields.into_iter().take(MAX_ENTRIES) {
                    read(value, &at.key(&key), warnings);
                }
            } else {
                read(Value::Object(fields), at, warnings);
            }
        }
        Some(other) => wrong_type(&other, "a list", at, warnings),
    }
    entries
}

/// Whether a text is an address that a browser may be led to.
pub(super) fn is_web_address(text: &str) -> bool {
    let starts_with = |scheme: &str| text.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    starts_with("http://") || starts_with("https://")
}

pub(super) fn is_blank_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// Takes white space off both ends; copies only when there is some.
fn trimmed(text: String) -> String {
    let inner = text.trim();
    if inner.len() == text.len() { text } else { inner.to_owned() }
}
