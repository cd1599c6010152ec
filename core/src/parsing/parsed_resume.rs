use serde::{Deserialize, Serialize};

use super::warning::Warning;
use crate::skill::Skill;

/// A resume as read from one document.
///
/// No text in it holds a NUL. Optional texts are never blank and have no white space around them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ParsedResume {
    /// The id that the source gave the document, as it was stored with it. Not serialized: it is a column.
    #[serde(skip)]
    pub external_id: String,
    /// The full name of the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the person is, in one line, such as "Staff engineer".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// What the person says of themselves; may have several lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The e-mail address, as given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The home page; always `http://` or `https://`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where the person lives, such as "Berlin, DE"; made of city, region and country where the document
    /// tells them apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The skills in the order of the document, each key once, at most [`MAX_SKILLS`](super::MAX_SKILLS).
    pub skills: Vec<Skill>,
    /// The jobs in the order of the document, at most [`MAX_ENTRIES`](super::MAX_ENTRIES).
    pub work_experiences: Vec<WorkExperience>,
    /// The educations in the order of the document, at most [`MAX_ENTRIES`](super::MAX_ENTRIES).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub educations: Vec<Education>,
    /// The pages of the person, the home page among them: `http://` or `https://`, each once, at most
    /// [`MAX_LINKS`](super::MAX_LINKS).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// What was odd, at most [`MAX_WARNINGS`](super::MAX_WARNINGS) and a closing one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// One job of a resume.
///
/// Dates are `YYYY`, `YYYY-MM` or `YYYY-MM-DD` with as much as the document says, or the text as given where
/// it was not understood ([`WarningCode::UnclearDate`](super::WarningCode::UnclearDate) names those).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkExperience {
    /// The employer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// The position held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where the job was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The page of the employer; always `http://` or `https://`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When the job began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
    /// When the job ended; none when it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date: Option<String>,
    /// What was done; may have several lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Single achievements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub highlights: Vec<String>,
}

/// One education of a resume; dates as in [`WorkExperience`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Education {
    /// The school or university.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub institution: Option<String>,
    /// The subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
    /// The degree or kind of study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degree: Option<String>,
    /// The grade, as given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
    /// When it ended; none when it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date: Option<String>,
}
