mod contract;
mod dates;
mod external_id;
mod hostile;
mod json_resume;
mod leniency;
mod mapped;
mod profile;

use serde_json::{Value, json};

use super::*;

/// The formats whose documents say where everything is.
const FIXED: [Format; 2] = [Format::Profile, Format::JsonResume];

/// Parses a document under the id that stands in it.
fn parse_with_id(format: Format, body: &[u8]) -> Result<ParsedResume, ParseError> {
    parse(format, id_at(body, "/id").as_deref(), body)
}

/// Parses a document that must be good.
#[track_caller]
fn good(format: Format, body: &str) -> ParsedResume {
    parse_with_id(format, body.as_bytes()).unwrap_or_else(|error| panic!("{error} in {body:.200}"))
}

/// Parses a document that must fail, and gives what the failure says.
#[track_caller]
fn failure(format: Format, body: &[u8]) -> String {
    let error = parse_with_id(format, body).expect_err("a document that cannot be parsed");
    assert!(error.detail.chars().count() <= MAX_DETAIL_CHARS && error.pointer.len() <= 512);
    assert!(!error.to_string().contains('\0'));
    error.to_string()
}

/// The codes and pointers of a resume's warnings, one a line.
fn warnings(resume: &ParsedResume) -> Vec<String> {
    resume.warnings.iter().map(|warning| format!("{} {}", warning.code, warning.pointer)).collect()
}

/// The keys of a resume's skills.
fn keys(resume: &ParsedResume) -> Vec<&str> {
    resume.skills.iter().map(|skill| skill.key.as_str()).collect()
}

/// A JSON document as text.
fn text(value: &Value) -> String {
    value.to_string()
}
