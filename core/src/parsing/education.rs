//! Lists of educations. The formats differ only in the names of the fields.

use serde_json::Value;

use super::entry::{self, Entry, Names};
use super::parsed_resume::Education;
use super::pointer::Pointer;
use super::warning::Warnings;

/// What a format calls the fields of an education.
pub(super) struct EducationNames {
    pub(super) institution: &'static Names,
    pub(super) area: &'static Names,
    pub(super) degree: &'static Names,
    pub(super) score: &'static Names,
    pub(super) start_date: &'static Names,
    pub(super) end_date: &'static Names,
}

/// Reads a list of educations, given as objects or as the names of the schools.
pub(super) fn read(
    section: Option<Value>,
    names: &EducationNames,
    at: &Pointer<'_>,
    warnings: &mut Warnings,
) -> Vec<Education> {
    let of_school = |school| Education { institution: Some(school), ..Education::default() };
    entry::entries(section, at, warnings, |entry| read_one(entry, names), of_school)
}

fn read_one(mut entry: Entry<'_>, names: &EducationNames) -> Education {
    let (start_date, end_date) = entry.period(names.start_date, names.end_date);
    Education {
        institution: entry.line(names.institution),
        area: entry.line(names.area),
        degree: entry.line(names.degree),
        score: entry.line(names.score),
        start_date,
        end_date,
    }
}
