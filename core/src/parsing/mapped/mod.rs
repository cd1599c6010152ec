//! Items of any shape: the definition of their source says, by a `JMESPath` expression for each, where the
//! fields of a resume are.
//!
//! The expressions make an object under our own names of an item, and that is read as leniently as an item of
//! the original shape. So errors and warnings name places in that object. Nothing of an item that no
//! expression finds goes into the resume. It is in the raw document.

mod expression;
mod growth;
mod mapping;

use jmespath::Rcvar;
use serde_json::{Map, Value};

use self::expression::{Expression, Failure, Room, variable};
use super::education::{self, EducationNames};
use super::entry::Entry;
use super::error::{ErrorCode, ParseError};
use super::parsed_resume::ParsedResume;
use super::pointer::Pointer;
use super::profile::WORK;
use super::skill_list;
use super::warning::{WarningCode, Warnings};
use super::{document, work};

pub use self::expression::{MAX_EXPRESSION_BYTES, MAX_OPERATORS};
pub use self::growth::MAX_GROWTH;
pub use self::mapping::Mapping;

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
    /// What the expressions find in an empty object: `join(' ', [first || '', last || ''])` always finds
    /// something.
    nothing: Map<String, Value>,
}

/// One expression, ready for use on many items, where no field of a resume is looked for.
#[derive(Clone, Debug)]
pub(crate) struct Query(Expression);

impl Query {
    /// Compiles an expression, with the limits of [`CompiledMapping::new`]; the error says what is wrong with
    /// it.
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
    /// All expressions that are no `JMESPath`, are longer than [`MAX_EXPRESSION_BYTES`], have more than
    /// [`MAX_OPERATORS`] or could make more than [`MAX_GROWTH`] times an item of it.
    pub fn new(mapping: &Mapping) -> Result<Self, Vec<BadExpression>> {
        let (mut fields, mut bad) = (Vec::new(), Vec::new());
        for (field, text) in mapping.expressions() {
            match Expression::new(text) {
                Ok(expression) => fields.push((field, expression)),
                Err(detail) => bad.push(BadExpression { field, detail }),
            }
        }
        if !bad.is_empty() {
            return Err(bad);
        }
        let mapping = Self { fields, nothing: Map::new() };
        let nothing = mapping.find(Value::Object(Map::new()), &mut Warnings::default());
        Ok(Self { nothing: nothing.unwrap_or_default(), ..mapping })
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
                Err(Failure::TooLarge(detail)) => {
                    return Err(ParseError::new(ErrorCode::TooLarge, &at, detail));
                }
                Err(Failure::TooDeep(detail)) => {
                    return Err(ParseError::new(ErrorCode::TooDeep, &at, detail));
                }
                Err(Failure::Expression(reason)) => {
                    let message = format_args!("the expression fails on this item, left empty: {reason}");
                    warnings.push(WarningCode::WrongType, &at, message);
                }
            }
        }
        Ok(found)
    }
}

/// Reads an item, all but its id.
///
/// # Errors
/// `not_a_resume` when the expressions find no more than in an empty object, `too_large` and `too_deep` when
/// they make more of the item than a document may be.
pub(super) fn parse(
    mapping: &CompiledMapping,
    item: Value,
    warnings: &mut Warnings,
) -> Result<ParsedResume, ParseError> {
    let at = Pointer::Root;
    // An empty list may be all that somebody has made.
    let may_be_none = item.is_object();
    let mut fields = mapping.find(item, warnings)?;
    if may_be_none && fields == mapping.nothing {
        let detail = "the map finds nothing in the item: is it an error, or has its shape changed?";
        return Err(ParseError::new(ErrorCode::NotAResume, &at, detail));
    }
    document::remove_nul_in_object(&mut fields, &at, warnings);
    if let Some(Value::Object(place)) = fields.get_mut("location")
        && let Some(country) = place.remove("country")
    {
        // The name that the reader of places does not warn of.
        place.entry("countryCode").or_insert(country);
    }
    let mut section = |name| fields.remove(name);
    // A cell of a table holds them as a text.
    let skills = skill_list::read(section("skills"), false, &at.key("skills"), warnings);
    let work_experiences =
        work::read(section("work_experiences"), &WORK, &at.key("work_experiences"), warnings);
    let educations = education::read(section("educations"), &EDUCATION, &at.key("educations"), warnings);
    let mut person = Entry::new(fields, &at, warnings);
    Ok(ParsedResume {
        name: person.line(&["name"]),
        headline: person.line(&["headline"]),
        summary: person.prose(&["summary"]),
        email: person.line(&["email"]),
        url: person.url(&["url"]),
        location: person.place("location"),
        skills,
        work_experiences,
        educations,
        ..ParsedResume::default()
    })
}
