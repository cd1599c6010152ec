//! The original shape: an item `{"id", "skills": ["React", ..], "work_experiences": [{..}, ..]}`.
//!
//! The original says nothing about the fields of a work experience, so the usual names are accepted, and a
//! plain text too. A person's `name`, `headline`, `summary`, `email`, `url` and `location` are read when they
//! are there.

use serde_json::{Map, Value};

use super::entry::Entry;
use super::parsed_resume::ParsedResume;
use super::pointer::Pointer;
use super::skill_list;
use super::warning::{WarningCode, Warnings};
use super::work::{self, WorkNames};

/// An object with none of these is no resume.
pub(super) const MEMBERS: [&str; 10] = [
    "skills",
    "work_experiences",
    "name",
    "full_name",
    "headline",
    "summary",
    "email",
    "url",
    "website",
    "location",
];

pub(super) const WORK: WorkNames = WorkNames {
    company: &["company", "company_name", "employer", "organization", "name"],
    title: &["title", "job_title", "position", "role"],
    url: &["url", "website"],
    start_date: &["start_date", "startDate", "start"],
    end_date: &["end_date", "endDate", "end"],
    description: &["description", "summary"],
};

/// Reads an item of the original shape, all but its id.
pub(super) fn parse(mut fields: Map<String, Value>, warnings: &mut Warnings) -> ParsedResume {
    let at = Pointer::Root;
    let mut section = |name: &str, code: WarningCode| {
        let section = fields.remove(name).filter(|section| !section.is_null());
        if section.is_none() {
            warnings.push(code, &at.key(name), format_args!("missing, read as none"));
        }
        section
    };
    let skills = section("skills", WarningCode::MissingSkills);
    let work_experiences = section("work_experiences", WarningCode::MissingWorkExperiences);
    let skills = skill_list::read(skills, true, &at.key("skills"), warnings);
    let work_experiences = work::read(work_experiences, &WORK, &at.key("work_experiences"), warnings);
    let mut person = Entry::new(fields, &at, warnings);
    ParsedResume {
        name: person.line(&["name", "full_name"]),
        headline: person.line(&["headline"]),
        summary: person.prose(&["summary"]),
        email: person.line(&["email"]),
        url: person.url(&["url", "website"]),
        location: person.place("location"),
        skills,
        work_experiences,
        ..ParsedResume::default()
    }
}
