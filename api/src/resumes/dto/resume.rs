use chrono::{DateTime, Utc};
use poem_openapi::{Object, types::Example};
use resume_core::{parsing, resume, skill};

use super::{
    example_time,
    person::{Education, WorkExperience},
};

/// A resume.
#[derive(Debug, Object)]
#[oai(rename = "Resume", example, skip_serializing_if_is_none)]
pub(in crate::resumes) struct ResumeReply {
    /// Its id, which stays when the resume is collected again.
    id: i64,
    /// The id that the source gave it.
    external_id: String,
    /// The name of its source.
    source: String,
    /// The full name of the person.
    name: Option<String>,
    /// What the person is, in one line.
    headline: Option<String>,
    /// What the person says of themselves.
    summary: Option<String>,
    /// The e-mail address, as given.
    email: Option<String>,
    /// The home page.
    url: Option<String>,
    /// Where the person lives.
    location: Option<String>,
    /// The skills in the order of the document.
    skills: Vec<Skill>,
    /// The jobs in the order of the document.
    work_experiences: Vec<WorkExperience>,
    /// The educations in the order of the document.
    educations: Vec<Education>,
    /// The pages of the person, the home page among them.
    links: Vec<String>,
    /// What was odd in the document.
    warnings: Vec<Warning>,
    /// The version of the parser that made this.
    parser_version: i32,
    /// The number of the raw document that this was made from.
    raw_document_id: i64,
    /// Where to get that document.
    raw_document_url: String,
    /// When it was first stored.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
    /// When it was noticed that its source no longer lists the person, or has deleted them; searches do not
    /// find it then.
    hidden_at: Option<DateTime<Utc>>,
}

/// A skill of a resume.
#[derive(Debug, Object)]
#[oai(rename = "ResumeSkill")]
struct Skill {
    /// The name, as the resume has it.
    name: String,
    /// The form in which skills are compared: two names mean the same skill when their keys are equal.
    key: String,
}

/// Something odd in a document that could be parsed all the same.
#[derive(Debug, Object)]
#[oai(rename = "ResumeWarning")]
struct Warning {
    /// Its stable code.
    code: String,
    /// Where it is, as a JSON pointer (RFC 6901).
    pointer: String,
    /// What was made of it, in words.
    message: String,
}

impl From<resume::Resume> for ResumeReply {
    fn from(resume: resume::Resume) -> Self {
        let document = resume.document;
        Self {
            id: resume.id,
            external_id: resume.external_id,
            source: resume.source,
            name: document.name,
            headline: document.headline,
            summary: document.summary,
            email: document.email,
            url: document.url,
            location: document.location,
            skills: document.skills.into_iter().map(Into::into).collect(),
            work_experiences: document.work_experiences.into_iter().map(Into::into).collect(),
            educations: document.educations.into_iter().map(Into::into).collect(),
            links: document.links,
            warnings: document.warnings.into_iter().map(Into::into).collect(),
            parser_version: resume.parser_version,
            raw_document_id: resume.document_id,
            raw_document_url: format!("/api/v1/resumes/{}/raw", resume.id),
            created_at: resume.created_at,
            updated_at: resume.updated_at,
            hidden_at: resume.hidden_at,
        }
    }
}

impl From<skill::Skill> for Skill {
    fn from(skill::Skill { name, key }: skill::Skill) -> Self {
        Self { name, key }
    }
}

impl From<parsing::Warning> for Warning {
    fn from(warning: parsing::Warning) -> Self {
        Self { code: warning.code.as_str().to_owned(), pointer: warning.pointer, message: warning.message }
    }
}

impl Example for ResumeReply {
    fn example() -> Self {
        Self {
            id: 4711,
            external_id: "1284018293-17".to_owned(),
            source: "test-data".to_owned(),
            name: Some("Ada Lovelace".to_owned()),
            headline: None,
            summary: None,
            email: Some("ada@example.org".to_owned()),
            url: None,
            location: Some("London, GB".to_owned()),
            skills: vec![Skill { name: "ReactJS".to_owned(), key: "react".to_owned() }],
            work_experiences: vec![WorkExperience::example()],
            educations: Vec::new(),
            links: Vec::new(),
            warnings: Vec::new(),
            parser_version: parsing::PARSER_VERSION,
            raw_document_id: 5230,
            raw_document_url: "/api/v1/resumes/4711/raw".to_owned(),
            created_at: example_time(),
            updated_at: example_time(),
            hidden_at: None,
        }
    }
}
