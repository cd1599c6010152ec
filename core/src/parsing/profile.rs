//! The original shape: an item `{"id", "skills": ["React", ..], "work_experiences": [{..}, ..]}`.
//!
//! The original says nothing about the fields of a work experience, so the usual names are accepted, and a plain text
//! too. A person's `name`, `headline`, `summary`, `email`, `url` and `location` are read when they are there.

use serde_json::{Map, Value};

use super::entry::Entry;
use super::error::{ErrorCode, ParseError};
use super::pointer::Pointer;
use super::skill_list::SkillList;
use super::warning::{WarningCode, Warnings};
use super::work::{self, WorkNames};
use super::{ParsedResume, WorkExperience};
use crate::skill::Skill;

pub(super) const WORK: WorkNames = WorkNames {
    company: &["company", "company_name", "employer", "organization", "name"],
    title: &["title", "job_title", "position", "role"],
    url: &["url", "website"],
    start_date: &["start_date", "startDate", "start"],
    end_date: &["end_date", "endDate", "end"],
    description: &["description", "summary"],
};

/// Reads an item of the original shape, all but its id.
///
/// # Errors
/// `missing_skills`, `invalid_skills` and `invalid_work_experiences`.
pub(super) fn parse(
    mut fields: Map<String, Value>,
    warnings: &mut Warnings,
) -> Result<ParsedResume, ParseError> {
    let at = Pointer::Root;
    fields.remove("id");
    let skills = skills(fields.remove("skills"), &at.key("skills"), warnings)?;
    let work_experiences =
        work_experiences(fields.remove("work_experiences"), &at.key("work_experiences"), warnings)?;
    let mut person = Entry::new(fields, &at, warnings);
    Ok(ParsedResume {
        name: person.line(&["name", "full_name"]),
        headline: person.line(&["headline"]),
        summary: person.prose(&["summary"]),
        email: person.line(&["email"]),
        url: person.url(&["url", "website"]),
        location: person.place("location"),
        skills,
        work_experiences,
        extra: person.into_extra(),
        ..ParsedResume::default()
    })
}

fn skills(value: Option<Value>, at: &Pointer<'_>, warnings: &mut Warnings) -> Result<Vec<Skill>, ParseError> {
    let list = match value {
        Some(Value::Array(list)) => list,
        Some(other) => return Err(ParseError::wrong_type(ErrorCode::InvalidSkills, at, "an array", &other)),
        None => return Err(ParseError::new(ErrorCode::MissingSkills, at, "the document has no skills")),
    };
    let mut skills = SkillList::default();
    for (index, value) in list.iter().enumerate() {
        let at = at.index(index);
        match value {
            Value::String(name) => skills.add(name, &at, warnings),
            other => return Err(ParseError::wrong_type(ErrorCode::InvalidSkills, &at, "a string", other)),
        }
    }
    Ok(skills.finish())
}

fn work_experiences(
    value: Option<Value>,
    at: &Pointer<'_>,
    warnings: &mut Warnings,
) -> Result<Vec<WorkExperience>, ParseError> {
    match value {
        Some(value) => work::read(value, &WORK, at, warnings),
        None => {
            warnings.push(WarningCode::MissingWorkExperiences, at, format_args!("missing, read as none"));
            Ok(Vec::new())
        }
    }
}
