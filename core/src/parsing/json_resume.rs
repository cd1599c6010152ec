//! JSON Resume, schema v1.0.0 (<https://jsonresume.org/schema>), as it is found: a third of the real files break the
//! schema, with names of the versions before 1.0, dates in words, and sections of the wrong type.
//!
//! The skills are the `name` of every group and its `keywords`, in order. What is not read (`level`, `volunteer`,
//! `languages`, profiles, the phone number, ..) stays in `extra` under its own keys, old names of it made new.

use serde_json::{Map, Value};

use super::education::{self, EducationNames};
use super::entry::{self, Entry, first_entries, is_blank_text};
use super::error::{ErrorCode, ParseError, type_name};
use super::pointer::Pointer;
use super::skill_list::SkillList;
use super::warning::{WarningCode, Warnings};
use super::work::{self, WorkNames};
use super::{ParsedResume, WorkExperience};
use crate::skill::Skill;

const WORK: WorkNames = WorkNames {
    company: &["name", "company"],
    title: &["position", "title"],
    url: &["url", "website"],
    start_date: &["startDate", "start_date"],
    end_date: &["endDate", "end_date"],
    // `description` describes the company, so it stays in `extra`.
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

/// The sections that are lists and are not read, each with what their fields were called before 1.0.
const UNREAD: [(&str, &[(&str, &str)]); 8] = [
    ("volunteer", &[("website", "url")]),
    ("awards", &[]),
    ("certificates", &[]),
    ("publications", &[("website", "url")]),
    ("languages", &[("name", "language"), ("level", "fluency")]),
    ("interests", &[]),
    ("references", &[]),
    ("projects", &[("website", "url"), ("summary", "description")]),
];

/// Reads a JSON Resume, all but its id.
///
/// # Errors
/// `invalid_skills` and `invalid_work_experiences`.
pub(super) fn parse(
    mut fields: Map<String, Value>,
    warnings: &mut Warnings,
) -> Result<ParsedResume, ParseError> {
    let at = Pointer::Root;
    fields.remove("id");
    let mut resume = ParsedResume::default();
    basics(&mut fields, &mut resume, warnings);
    (resume.skills, resume.work_experiences) = (
        skills(&mut fields, &at.key("skills"), warnings)?,
        work_experiences(fields.remove("work"), &at.key("work"), warnings)?,
    );
    resume.educations = education::read(&mut fields, "education", &EDUCATION, warnings);
    for (section, old_names) in UNREAD {
        tidy_list(&mut fields, section, old_names, warnings);
    }
    resume.extra = fields;
    Ok(resume)
}

/// Reads who the person is; what is not read of it stays where it was.
fn basics(fields: &mut Map<String, Value>, resume: &mut ParsedResume, warnings: &mut Warnings) {
    let at = Pointer::Root.key("basics");
    let mut basics = match fields.remove("basics") {
        None | Some(Value::Null) => return,
        Some(Value::Object(basics)) => basics,
        Some(other) => return entry::keep_wrong_section(fields, "basics", other, "an object", warnings),
    };
    rename(&mut basics, "picture", "image", &at, warnings);
    let mut person = Entry::new(basics, &at, warnings);
    resume.name = person.line(&["name"]);
    resume.headline = person.line(&["label", "headline", "title"]);
    resume.summary = person.prose(&["summary", "bio"]);
    resume.email = person.line(&["email"]);
    resume.url = person.url(&["url", "website"]);
    resume.location = person.place("location");
    let rest = person.into_extra();
    if !rest.is_empty() {
        fields.insert("basics".to_owned(), Value::Object(rest));
    }
}

/// Takes the skills out of the groups. A group that says more than its name and keywords stays without its keywords.
fn skills(
    fields: &mut Map<String, Value>,
    at: &Pointer<'_>,
    warnings: &mut Warnings,
) -> Result<Vec<Skill>, ParseError> {
    let list = match fields.remove("skills") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(ParseError::wrong_type(ErrorCode::InvalidSkills, at, "an array", &other)),
    };
    let (mut skills, mut rest) = (SkillList::default(), Vec::new());
    for (index, value) in first_entries(list, at, warnings) {
        let at = at.index(index);
        match value {
            Value::Object(group) => rest.extend(skills_of_group(group, &at, &mut skills, warnings)),
            Value::String(name) => {
                warnings.push(WarningCode::PlainTextEntry, &at, format_args!("a text, read as the name"));
                skills.add(&name, &at, warnings);
            }
            Value::Null => {
                warnings.push(WarningCode::EmptyEntry, &at, format_args!("nothing in it, left out"))
            }
            other => return Err(ParseError::wrong_type(ErrorCode::InvalidSkills, &at, "an object", &other)),
        }
    }
    if !rest.is_empty() {
        fields.insert("skills".to_owned(), Value::Array(rest));
    }
    Ok(skills.finish())
}

fn skills_of_group(
    group: Map<String, Value>,
    at: &Pointer<'_>,
    skills: &mut SkillList,
    warnings: &mut Warnings,
) -> Option<Value> {
    let mut entry = Entry::new(group, at, warnings);
    let name = entry.take(&["name"]);
    let keywords = entry.take(&["keywords"]);
    let name = match name {
        Some((_, Value::String(name))) => Some(name),
        Some((key, other)) => {
            entry.put_back(key, other, "a text");
            None
        }
        None => None,
    };
    let keywords = match keywords {
        Some((_, list @ (Value::Array(_) | Value::String(_)))) => list,
        Some((key, other)) => {
            entry.put_back(key, other, "a list of texts");
            Value::Null
        }
        None => Value::Null,
    };
    let mut rest = entry.into_extra();
    if let Some(name) = &name {
        skills.add(name, &at.key("name"), warnings);
    }
    add_keywords(&keywords, &at.key("keywords"), skills, warnings);
    if rest.is_empty() {
        return None;
    }
    if let Some(name) = name {
        rest.insert("name".to_owned(), Value::String(name));
    }
    Some(Value::Object(rest))
}

fn add_keywords(keywords: &Value, at: &Pointer<'_>, skills: &mut SkillList, warnings: &mut Warnings) {
    match keywords {
        Value::String(keyword) => {
            warnings.push(WarningCode::WrongType, at, format_args!("a text, read as one keyword"));
            skills.add(keyword, at, warnings);
        }
        Value::Array(list) => {
            for (index, keyword) in list.iter().enumerate() {
                let at = at.index(index);
                match keyword {
                    Value::String(keyword) => skills.add(keyword, &at, warnings),
                    other => {
                        let message = format_args!("expected a text, found {}: left out", type_name(other));
                        warnings.push(WarningCode::WrongType, &at, message);
                    }
                }
            }
        }
        _ => {}
    }
}

fn work_experiences(
    value: Option<Value>,
    at: &Pointer<'_>,
    warnings: &mut Warnings,
) -> Result<Vec<WorkExperience>, ParseError> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => work::read(value, &WORK, at, warnings),
    }
}

/// Gives the fields of a section that is not read their present names.
fn tidy_list(
    fields: &mut Map<String, Value>,
    section: &str,
    old_names: &[(&str, &str)],
    warnings: &mut Warnings,
) {
    let at = Pointer::Root.key(section);
    match fields.get_mut(section) {
        None | Some(Value::Null) => {}
        Some(Value::Array(list)) => {
            for (index, value) in list.iter_mut().enumerate() {
                let Value::Object(entry) = value else { continue };
                let at = at.index(index);
                for (old, new) in old_names {
                    rename(entry, old, new, &at, warnings);
                }
            }
        }
        Some(other) => {
            let message = format_args!("expected an array, found {}: kept in `extra`", type_name(other));
            warnings.push(WarningCode::WrongType, &at, message);
        }
    }
}

/// Moves a field to its present name, unless something stands there.
fn rename(fields: &mut Map<String, Value>, old: &str, new: &str, at: &Pointer<'_>, warnings: &mut Warnings) {
    let is_free = fields.get(new).is_none_or(|value| value.is_null() || is_blank_text(value));
    if is_free && let Some(value) = fields.remove(old) {
        warnings.push(WarningCode::RenamedField, &at.key(old), format_args!("read as `{new}`"));
        fields.insert(new.to_owned(), value);
    }
}
