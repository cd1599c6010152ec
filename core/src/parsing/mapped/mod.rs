//! Items of any shape: the definition of their source says, by a `JMESPath` expression for each, where the fields of a
//! resume are.
//!
//! The expressions make an object under our own names of an item, and that is read as leniently as an item of the
//! original shape. So errors and warnings name places in that object. Nothing of an item that no expression finds goes
//! into the resume. It is in the raw document.

mod dates;
mod expression;
mod growth;

use jmespath::Rcvar;
use serde_json::{Map, Value};

use self::expression::{Expression, Failure, Room, variable};
use super::education::{self, EducationNames};
use super::entry::{Entry, is_blank_text};
use super::error::{ErrorCode, ParseError};
use super::pointer::Pointer;
use super::profile::WORK;
use super::skill_list::SkillList;
use super::warning::{WarningCode, Warnings};
use super::{ParsedResume, WorkExperience, document, work};
use crate::{skill::Skill, source::definition::Mapping};

pub use self::expression::{MAX_EXPRESSION_BYTES, MAX_OPERATORS};
pub use self::growth::MAX_GROWTH;

const EDUCATION: EducationNames = EducationNames {
    institution: &["institution", "school", "school_name"],
    area: &["area", "field_of_study", "discipline"],
    degree: &["degree", "study_type"],
    score: &["score", "grade", "gpa"],
    start_date: &["start_date", "startDate", "start"],
    end_date: &["end_date", "endDate", "end"],
};

/// A mapping ready for use: made once for many documents, and used by several threads at the same time.
#[derive(Clone, Debug)]
pub struct CompiledMapping {
    fields: Vec<(&'static str, Expression)>,
}

/// One expression, ready for use on many items, where no field of a resume is looked for.
#[derive(Clone, Debug)]
pub(crate) struct Query(Expression);

impl Query {
    /// Compiles an expression, with the limits of [`CompiledMapping::new`]; the error says what is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        Expression::new(text).map(Self)
    }

    /// What it finds in a document; null when it finds nothing. The error says why it has no value.
    pub(crate) fn find(&self, body: &[u8]) -> Result<Value, String> {
        let item = document::read(body, &mut Warnings::default()).map_err(|error| error.detail)?;
        let item = Rcvar::new(variable(Value::Object(item)));
        self.0.find(&item, &mut Room::default()).map_err(|failure| match failure {
            Failure::Expression(reason) | Failure::TooLarge(reason) | Failure::TooDeep(reason) => reason,
        })
    }
}

/// An expression that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadExpression {
    /// The field of the [`Mapping`].
    pub field: &'static str,
    /// What is wrong with it.
    pub detail: String,
}

impl CompiledMapping {
    /// Compiles all expressions of a mapping.
    ///
    /// Takes time in proportion to their length, whatever they are, and never panics.
    ///
    /// # Errors
    /// All expressions that are no `JMESPath`, are longer than [`MAX_EXPRESSION_BYTES`], have more than [`MAX_OPERATORS`]
    /// or could make more than [`MAX_GROWTH`] times an item of it.
    pub fn new(mapping: &Mapping) -> Result<Self, Vec<BadExpression>> {
        let (mut fields, mut bad) = (Vec::new(), Vec::new());
        for (field, text) in mapping.expressions() {
            match Expression::new(text) {
                Ok(expression) => fields.push((field, expression)),
                Err(detail) => bad.push(BadExpression { field, detail }),
            }
        }
        if bad.is_empty() { Ok(Self { fields }) } else { Err(bad) }
    }

    /// What the expressions find in an item, without the fields for which they find nothing.
    fn find(&self, item: Value, warnings: &mut Warnings) -> Result<Map<String, Value>, ParseError> {
        let item = Rcvar::new(variable(item));
        let (mut found, mut room) = (Map::new(), Room::default());
        for (field, expression) in &self.fields {
            let at = Pointer::Root.key(field);
            match expression.find(&item, &mut room) {
                Ok(Value::Null) => {}
                Ok(value) => {
                    found.insert((*field).to_owned(), value);
                }
                Err(failure) => fail_or_warn(failure, field, &at, warnings)?,
            }
        }
        Ok(found)
    }
}

/// An expression that fails on an item makes the document fail where a value of the wrong type would.
fn fail_or_warn(
    failure: Failure,
    field: &str,
    at: &Pointer<'_>,
    warnings: &mut Warnings,
) -> Result<(), ParseError> {
    let reason = match failure {
        Failure::TooLarge(detail) => return Err(ParseError::new(ErrorCode::TooLarge, at, detail)),
        Failure::TooDeep(detail) => return Err(ParseError::new(ErrorCode::TooDeep, at, detail)),
        Failure::Expression(reason) => reason,
    };
    match field {
        "skills" => Err(ParseError::new(ErrorCode::InvalidSkills, at, reason)),
        "work_experiences" => Err(ParseError::new(ErrorCode::InvalidWorkExperiences, at, reason)),
        _ => {
            let message = format_args!("the expression fails on this item, left empty: {reason}");
            warnings.push(WarningCode::WrongType, at, message);
            Ok(())
        }
    }
}

/// Reads an item, all but its id.
///
/// # Errors
/// `invalid_skills` and `invalid_work_experiences`, and `too_large` and `too_deep` when the expressions make more of the
/// item than a document may be.
pub(super) fn parse(
    mapping: &CompiledMapping,
    item: Value,
    warnings: &mut Warnings,
) -> Result<ParsedResume, ParseError> {
    let at = Pointer::Root;
    let mut fields = mapping.find(item, warnings)?;
    document::remove_nul_in_object(&mut fields, &at, warnings);
    let skills = skills(fields.remove("skills"), &at.key("skills"), warnings)?;
    let work_experiences =
        work_experiences(fields.remove("work_experiences"), &at.key("work_experiences"), warnings)?;
    if let Some(list) = fields.get_mut("educations") {
        dates::parts_to_texts(list, [EDUCATION.start_date, EDUCATION.end_date]);
    }
    if let Some(Value::Object(place)) = fields.get_mut("location")
        && let Some(country) = place.remove("country")
    {
        // The name that the reader of places does not warn of.
        place.entry("countryCode").or_insert(country);
    }
    let educations = education::read(&mut fields, "educations", &EDUCATION, warnings);
    let mut person = Entry::new(fields, &at, warnings);
    let mut resume = ParsedResume {
        name: person.line(&["name"]),
        headline: person.line(&["headline"]),
        summary: person.prose(&["summary"]),
        email: person.line(&["email"]),
        url: person.url(&["url"]),
        location: person.place("location"),
        skills,
        work_experiences,
        educations,
        extra: person.into_extra(),
        ..ParsedResume::default()
    };
    if resume.location.is_some() {
        // The object that the place was read from.
        resume.extra.remove("location");
    }
    Ok(resume)
}

/// Missing skills are none: of many systems the resume's file is the data.
fn skills(value: Option<Value>, at: &Pointer<'_>, warnings: &mut Warnings) -> Result<Vec<Skill>, ParseError> {
    let list = match value {
        None => return Ok(Vec::new()),
        Some(text) if is_blank_text(&text) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(Value::String(text)) => return Ok(skills_of_text(&text, at, warnings)),
        Some(other) => return Err(ParseError::wrong_type(ErrorCode::InvalidSkills, at, "an array", &other)),
    };
    let mut skills = SkillList::default();
    for (index, value) in list.iter().enumerate() {
        let at = at.index(index);
        match value {
            Value::String(name) => skills.add(name, &at, warnings),
            Value::Null => {
                warnings.push(WarningCode::EmptyEntry, &at, format_args!("nothing in it, left out"))
            }
            other => return Err(ParseError::wrong_type(ErrorCode::InvalidSkills, &at, "a string", other)),
        }
    }
    Ok(skills.finish())
}

/// Takes a text apart that lists skills, as a cell of a table does: `React; SQL, Go`.
fn skills_of_text(text: &str, at: &Pointer<'_>, warnings: &mut Warnings) -> Vec<Skill> {
    let mut skills = SkillList::default();
    let names = text.split([',', ';', '|', '\n', '\r', '\u{2022}']).map(str::trim);
    names.filter(|name| !name.is_empty()).for_each(|name| skills.add(name, at, warnings));
    skills.finish()
}

fn work_experiences(
    value: Option<Value>,
    at: &Pointer<'_>,
    warnings: &mut Warnings,
) -> Result<Vec<WorkExperience>, ParseError> {
    match value {
        None => Ok(Vec::new()),
        Some(text) if is_blank_text(&text) => Ok(Vec::new()),
        Some(mut list) => {
            dates::parts_to_texts(&mut list, [WORK.start_date, WORK.end_date]);
            work::read(list, &WORK, at, warnings)
        }
    }
}
