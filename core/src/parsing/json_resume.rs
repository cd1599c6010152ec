//! JSON Resume, schema v1.0.0 (<https://jsonresume.org/schema>), as it is found: a third of the real files
//! break the schema, with names of the versions before 1.0, dates in words, and sections of the wrong type.
//!
//! The skills are the `name` of every group and its `keywords`, in order. What is not read (`level`,
//! `volunteer`, `languages`, the phone number, ..) stays in the raw document alone.

use serde_json::{Map, Value};

use super::education::{self, EducationNames};
use super::entry::{Entry, wrong_type};
use super::parsed_resume::ParsedResume;
use super::pointer::Pointer;
use super::skill_list;
use super::warning::Warnings;
use super::work::{self, WorkNames};

/// An object with none of these is no resume. `meta` and `$schema` say nothing of anybody.
pub(super) const MEMBERS: [&str; 12] = [
    "basics",
    "work",
    "volunteer",
    "education",
    "awards",
    "certificates",
    "publications",
    "skills",
    "languages",
    "interests",
    "references",
    "projects",
];

const WORK: WorkNames = WorkNames {
    company: &["name", "company"],
    title: &["position", "title"],
    url: &["url", "website"],
    start_date: &["startDate", "start_date"],
    end_date: &["endDate", "end_date"],
    // `description` describes the company.
    description: &["summary"],
};

const EDUCATION: EducationNames = EducationNames {
    institution: &["institution"],
    area: &["area"],
    degree: &["studyType"],
    score: &["score", "gpa"],
    start_date: &["startDate", "start_date"],
    end_date: &["endDate", "end_date"],
};

/// Reads a JSON Resume, all but its id.
pub(super) fn parse(mut fields: Map<String, Value>, warnings: &mut Warnings) -> ParsedResume {
    let at = Pointer::Root;
    let mut resume = ParsedResume::default();
    match fields.remove("basics") {
        None | Some(Value::Null) => {}
        Some(Value::Object(basics)) => read_basics(basics, &mut resume, warnings),
        Some(other) => wrong_type(&other, "an object", &at.key("basics"), warnings),
    }
    let mut section = |name| fields.remove(name);
    resume.skills = skill_list::read(section("skills"), true, &at.key("skills"), warnings);
    resume.work_experiences = work::read(section("work"), &WORK, &at.key("work"), warnings);
    resume.educations = education::read(section("education"), &EDUCATION, &at.key("education"), warnings);
    resume
}

/// Reads who the person is.
fn read_basics(basics: Map<String, Value>, resume: &mut ParsedResume, warnings: &mut Warnings) {
    let at = Pointer::Root.key("basics");
    if let Some(Value::Array(profiles)) = basics.get("profiles") {
        let urls = profiles.iter().filter_map(|profile| profile.get("url")?.as_str());
        resume.links = urls.map(str::to_owned).collect();
    }
    let mut person = Entry::new(basics, &at, warnings);
    resume.name = person.line(&["name"]);
    resume.headline = person.line(&["label", "headline", "title"]);
    resume.summary = person.prose(&["summary", "bio"]);
    resume.email = person.line(&["email"]);
    resume.url = person.url(&["url", "website"]);
    resume.location = person.place("location");
}
