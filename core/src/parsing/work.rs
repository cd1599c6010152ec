//! Lists of work experiences. The formats differ only in the names of the fields.

use serde_json::Value;

use super::entry::{self, Entry, Names};
use super::parsed_resume::WorkExperience;
use super::pointer::Pointer;
use super::warning::Warnings;

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
pub(super) fn read(
    section: Option<Value>,
    names: &WorkNames,
    at: &Pointer<'_>,
    warnings: &mut Warnings,
) -> Vec<WorkExperience> {
    let of_title = |title| WorkExperience { title: Some(title), ..WorkExperience::default() };
    entry::entries(section, at, warnings, |entry| read_one(entry, names), of_title)
}

fn read_one(mut entry: Entry<'_>, names: &WorkNames) -> WorkExperience {
    let (start_date, end_date) = entry.period(names.start_date, names.end_date);
    WorkExperience {
        company: entry.line(names.company),
        title: entry.line(names.title),
        location: entry.place("location"),
        url: entry.url(names.url),
        start_date,
        end_date,
        description: entry.prose(names.description),
        highlights: entry.lines(&["highlights"]),
    }
}
