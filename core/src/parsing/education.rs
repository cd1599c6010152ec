//! Lists of educations. The formats differ only in the names of the fields.

use serde_json::{Map, Value};

use super::Education;
use super::entry::{Entry, Names, first_entries, keep_wrong_section};
use super::error::type_name;
use super::pointer::Pointer;
use super::warning::{WarningCode, Warnings};

/// What a format calls the fields of an education.
pub(super) struct EducationNames {
    pub(super) institution: &'static Names,
    pub(super) area: &'static Names,
    pub(super) degree: &'static Names,
    pub(super) score: &'static Names,
    pub(super) start_date: &'static Names,
    pub(super) end_date: &'static Names,
}

/// Takes the educations out of the section; entries that are none stay in it, for no search depends on them.
pub(super) fn read(
    fields: &mut Map<String, Value>,
    section: &str,
    names: &EducationNames,
    warnings: &mut Warnings,
) -> Vec<Education> {
    let list = match fields.remove(section) {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(list)) => list,
        Some(other) => {
            keep_wrong_section(fields, section, other, "an array", warnings);
            return Vec::new();
        }
    };
    let at = Pointer::Root.key(section);
    let (mut educations, mut rest) = (Vec::new(), Vec::new());
    for (index, value) in first_entries(list, &at, warnings) {
        let at = at.index(index);
        match value {
            Value::Object(entry) => educations.push(read_one(Entry::new(entry, &at, warnings), names)),
            other => {
                let message =
                    format_args!("expected an object, found {}: kept in `extra`", type_name(&other));
                warnings.push(WarningCode::WrongType, &at, message);
                rest.push(other);
            }
        }
    }
    if !rest.is_empty() {
        fields.insert(section.to_owned(), Value::Array(rest));
    }
    educations
}

fn read_one(mut entry: Entry<'_>, names: &EducationNames) -> Education {
    Education {
        institution: entry.line(names.institution),
        area: entry.line(names.area),
        degree: entry.line(names.degree),
        score: entry.line(names.score),
        start_date: entry.start_date(names.start_date),
        end_date: entry.end_date(names.end_date),
        extra: entry.into_extra(),
    }
}
