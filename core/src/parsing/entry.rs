//! Reading the fields of one object, leniently.

use serde_json::{Map, Value};

use super::dates::{self, PartialDate, Reading};
use super::error::type_name;
use super::pointer::Pointer;
use super::warning::{WarningCode, Warnings};
use super::{MAX_ENTRIES, MAX_LINE_CHARS};

/// The names of a field: first the right one, then old and foreign ones, which are read with a warning.
pub(super) type Names = [&'static str];

/// An object while it is read: what is read is taken out, what is left at the end is `extra`.
///
/// Every method takes the first of the names that holds something. Null and blank texts are the same as a missing
/// field, and go. A value that cannot be read stays, with a warning.
pub(super) struct Entry<'a> {
    fields: Map<String, Value>,
    at: &'a Pointer<'a>,
    warnings: &'a mut Warnings,
}

impl<'a> Entry<'a> {
    pub(super) fn new(fields: Map<String, Value>, at: &'a Pointer<'a>, warnings: &'a mut Warnings) -> Self {
        Self { fields, at, warnings }
    }

    /// The fields that were not taken.
    pub(super) fn into_extra(self) -> Map<String, Value> {
        self.fields
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

    /// A list of texts; a single text is a list of one. Blank entries go, others than texts stay with a warning.
    pub(super) fn lines(&mut self, names: &Names) -> Vec<String> {
        let Some((name, value)) = self.take(names) else { return Vec::new() };
        let all_texts = |list: &[Value]| list.iter().all(Value::is_string);
        match value {
            Value::Array(list) if all_texts(&list) => {
                let texts = list.into_iter().filter_map(|value| match value {
                    Value::String(text) => Some(trimmed(text)).filter(|text| !text.is_empty()),
                    _ => None,
                });
                texts.collect()
            }
            Value::String(text) => {
                self.warn(WarningCode::WrongType, name, format_args!("read as a list of one text"));
                vec![trimmed(text)]
            }
            other => {
                self.put_back(name, other, "a list of texts");
                Vec::new()
            }
        }
    }

    /// An address of a page. Others than `http` and `https` stay: nobody should be led to click `javascript:`.
    pub(super) fn url(&mut self, names: &Names) -> Option<String> {
        let (name, text) = self.text(names)?;
        let starts_with =
            |scheme: &str| text.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
        if starts_with("http://") || starts_with("https://") {
            return Some(text);
        }
        self.warn(WarningCode::OddUrl, name, format_args!("no http or https address, not used as one"));
        self.fields.insert(name.to_owned(), Value::String(text));
        None
    }

    /// A place: a text, or an object whose city, region and country are joined by commas. The object itself stays, for
    /// it may say more, such as the street.
    pub(super) fn place(&mut self, name: &'static str) -> Option<String> {
        if !matches!(self.fields.get(name), Some(Value::Object(_))) {
            return self.line(&[name]);
        }
        let at = self.at.key(name);
        let Some(Value::Object(fields)) = self.fields.get(name).cloned() else { return None };
        let mut place = Entry::new(fields, &at, self.warnings);
        let parts =
            [&["city"][..], &["region", "state"], &["countryCode", "country"]].map(|names| place.line(names));
        let mut parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.dedup(); // Berlin is a city and a region
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// The date on which something began.
    pub(super) fn start_date(&mut self, names: &Names) -> Option<String> {
        let (name, reading, text) = self.date(names)?;
        Some(self.settle(name, reading, text))
    }

    /// The date on which something ended, `None` when it goes on.
    pub(super) fn end_date(&mut self, names: &Names) -> Option<String> {
        let blank = names.iter().find(|name| self.fields.get(**name).is_some_and(is_blank_text));
        let Some((name, reading, text)) = self.date(names) else {
            if let Some(name) = blank {
                self.warn(WarningCode::OpenEnd, name, format_args!("blank, read as no end yet"));
            }
            return None;
        };
        if reading == Reading::Open {
            self.warn(WarningCode::OpenEnd, name, format_args!("read as no end yet"));
            return None;
        }
        Some(self.settle(name, reading, text))
    }

    fn settle(&mut self, name: &str, reading: Reading, text: String) -> String {
        match reading {
            Reading::Standard(date) => date.to_string(),
            Reading::Odd(date) => {
                self.warn(WarningCode::OddDate, name, format_args!("read as {date}"));
                date.to_string()
            }
            Reading::Open | Reading::Unclear => {
                self.warn(
                    WarningCode::UnclearDate,
                    name,
                    format_args!("not understood as a date, kept as given"),
                );
                cut_line(text, &self.at.key(name), self.warnings)
            }
        }
    }

    /// A date as read and as written. A number can be a year.
    fn date(&mut self, names: &Names) -> Option<(&'static str, Reading, String)> {
        let (name, value) = self.take(names)?;
        match value {
            Value::String(text) => {
                let reading = dates::read(&text);
                Some((name, reading, trimmed(text)))
            }
            Value::Number(number) => {
                let year = number.as_u64().and_then(|year| u32::try_from(year).ok());
                let date = year.and_then(|year| PartialDate::new(year, None, None));
                Some((name, date.map_or(Reading::Unclear, Reading::Odd), number.to_string()))
            }
            other => {
                self.put_back(name, other, "a date");
                None
            }
        }
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
                self.put_back(name, other, "a text");
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

    /// Leaves a value of the wrong type where it was.
    pub(super) fn put_back(&mut self, name: &str, value: Value, expected: &str) {
        let found = type_name(&value);
        self.warn(
            WarningCode::WrongType,
            name,
            format_args!("expected {expected}, found {found}: kept in `extra`"),
        );
        self.fields.insert(name.to_owned(), value);
    }

    fn warn(&mut self, code: WarningCode, name: &str, message: std::fmt::Arguments<'_>) {
        self.warnings.push(code, &self.at.key(name), message);
    }
}

/// Leaves a section of the wrong type where it was.
pub(super) fn keep_wrong_section(
    fields: &mut Map<String, Value>,
    section: &str,
    value: Value,
    expected: &str,
    warnings: &mut Warnings,
) {
    let message = format_args!("expected {expected}, found {}: kept in `extra`", type_name(&value));
    warnings.push(WarningCode::WrongType, &Pointer::Root.key(section), message);
    fields.insert(section.to_owned(), value);
}

/// A text cut to [`MAX_LINE_CHARS`].
pub(super) fn cut_line(mut text: String, at: &Pointer<'_>, warnings: &mut Warnings) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_LINE_CHARS) {
        text.truncate(end);
        warnings.push(WarningCode::TextCut, at, format_args!("cut to {MAX_LINE_CHARS} characters"));
    }
    text
}

/// The first [`MAX_ENTRIES`] of a list, with their indexes; a warning when there are more.
pub(super) fn first_entries(
    list: Vec<Value>,
    at: &Pointer<'_>,
    warnings: &mut Warnings,
) -> impl Iterator<Item = (usize, Value)> + use<> {
    if list.len() > MAX_ENTRIES {
        let message = format_args!("{} entries, only the first {MAX_ENTRIES} are read", list.len());
        warnings.push(WarningCode::TooManyEntries, at, message);
    }
    list.into_iter().take(MAX_ENTRIES).enumerate()
}

pub(super) fn is_blank_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// Takes white space off both ends; copies only when there is some.
fn trimmed(text: String) -> String {
    let inner = text.trim();
    if inner.len() == text.len() { text } else { inner.to_owned() }
}
