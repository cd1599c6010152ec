use serde::Serialize;

use crate::QueryError;

/// The media type of problem bodies.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// An error body after RFC 9457. Without errors the type is `about:blank`, by which the RFC says that the
/// status tells all; with them the body is what Resume Service answers, beside which the mock is served.
#[derive(Serialize)]
pub(crate) struct Problem {
    r#type: &'static str,
    title: String,
    status: u16,
    detail: String,
    /// The query parameters at fault; an extension member.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// What is wrong with one parameter.
#[derive(Serialize)]
struct FieldError {
    field: &'static str,
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: poem::http::StatusCode, detail: impl Into<String>) -> Self {
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// The JSON text.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and a number always serialize")
    }
}

impl From<&QueryError> for Problem {
    fn from(error: &QueryError) -> Self {
        let fault = FieldError { field: error.field, detail: format!("must be {}", error.expected) };
        Self {
            r#type: "urn:resume-service:problem:invalid-request",
            title: String::from("Invalid request"),
            detail: format!("{}: {}", fault.field, fault.detail),
            errors: vec![fault],
            ..Self::new(poem::http::StatusCode::BAD_REQUEST, "")
        }
    }
}
