//! Lists of work experiences. The formats differ only in the names of the fields.

use serde_json::Value;

use super::WorkExperience;
use super::entry::{Entry, Names, cut_line, first_entries};
use super::error::{ErrorCode, ParseError};
use super::pointer::Pointer;
use super::warning::{WarningCode, Warnings};

/// What a format calls the fields of a work experience.
pub(super) struct WorkNames {
    pub(super) company: &'static Names,
    pub(super) title: &'static Names,
    pub(super) url: &'static Names,
    pub(super) start_date: &'static Names,
    pub(super) end_date: &'static Names,
    pub(super) description: &'static Names,
}

/// Reads a list of work experiences, given as objects or as plain titles.
///
/// # Errors
/// `invalid_work_experiences` when the value is no array, or one of its entries is neither an object nor a text nor null.
pub(super) fn read(
    value: Value,
    names: &WorkNames,
    at: &Pointer<'_>,
    warnings: &mut Warnings,
) -> Result<Vec<WorkExperience>, ParseError> {
    let Value::Array(list) = value else {
        return Err(ParseError::wrong_type(ErrorCode::InvalidWorkExperiences, at, "an array", &value));
    };
    let mut experiences = Vec::with_capacity(list.len().min(super::MAX_ENTRIES));
    for (index, value) in first_entries(list, at, warnings) {
        let at = at.index(index);
        match value {
            Value::Object(fields) => experiences.push(read_one(Entry::new(fields, &at, warnings), names)),
            Value::String(text) if !text.trim().is_empty() => {
                warnings.push(WarningCode::PlainTextEntry, &at, format_args!("a text, read as the title"));
                let title = Some(cut_line(text.trim().to_owned(), &at, warnings));
                experiences.push(WorkExperience { title, ..WorkExperience::default() });
            }
            Value::Null | Value::String(_) => {
                warnings.push(WarningCode::EmptyEntry, &at, format_args!("nothing in it, left out"))
            }
            other => {
                return Err(ParseError::wrong_type(
                    ErrorCode::InvalidWorkExperiences,
                    &at,
                    "an object",
                    &other,
                ));
            }
        }
    }
    Ok(experiences)
}

fn read_one(mut entry: Entry<'_>, names: &WorkNames) -> WorkExperience {
    WorkExperience {
        company: entry.line(names.company),
        title: entry.line(names.title),
        location: entry.place("location"),
        url: entry.url(names.url),
        start_date: entry.start_date(names.start_date),
        end_date: entry.end_date(names.end_date),
        description: entry.prose(names.description),
        highlights: entry.lines(&["highlights"]),
        extra: entry.into_extra(),
    }
}
