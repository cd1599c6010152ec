use serde::Serialize;

use crate::QueryError;

/// The media type of problem bodies.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// An error body after RFC 9457. The type is always `about:blank`, by which the RFC says that the status
/// tells all.
#[derive(Serialize)]
pub(crate) struct Problem {
    r#type: &'static str,
    title: String,
    status: u16,
    detail: String,
    /// The query parameter at fault; an extension member.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(status: poem::http::StatusCode, detail: impl Into<String>) -> Self {
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
        }
    }

    /// The JSON text.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and a number always serialize")
    }
}

impl From<&QueryError> for Problem {
    fn from(error: &QueryError) -> Self {
        Self { field: Some(error.field), ..Self::new(poem::http::StatusCode::BAD_REQUEST, error.to_string()) }
    }
}
