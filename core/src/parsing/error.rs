//! Why a document cannot be parsed.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{IntoStaticStr, VariantArray};

use super::pointer::Pointer;

/// The most characters of a [`ParseError::detail`]: a reader needs the fact, the document itself is stored
/// elsewhere.
pub const MAX_DETAIL_CHARS: usize = 200;

/// One fault that makes a whole document unusable. Its neighbours are not concerned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} at \"{pointer}\": {detail}")]
pub struct ParseError {
    /// What kind of fault it is.
    pub code: ErrorCode,
    /// Where it is, as a JSON pointer (RFC 6901); empty for the whole document.
    pub pointer: String,
    /// What was expected and what was found: one line of at most [`MAX_DETAIL_CHARS`] characters, without
    /// NUL.
    pub detail: String,
}

impl ParseError {
    /// A fault at a place; the detail is cut and cleaned.
    pub(super) fn new(code: ErrorCode, at: &Pointer<'_>, detail: impl fmt::Display) -> Self {
        let detail = detail.to_string().chars().filter(|c| !c.is_control()).take(MAX_DETAIL_CHARS).collect();
        Self { code, pointer: at.render(), detail }
    }

    /// The fault that the value at a place is of the wrong type.
    pub(super) fn wrong_type(code: ErrorCode, at: &Pointer<'_>, expected: &str, found: &Value) -> Self {
        Self::new(code, at, format_args!("expected {expected}, found {}", type_name(found)))
    }
}

/// The kinds of faults, a closed list. The text of a code is a promise to whoever counts or filters by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(strum::Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ErrorCode {
    /// The document has more than [`super::MAX_DOCUMENT_BYTES`] bytes or [`super::MAX_VALUES`] values.
    TooLarge,
    /// Arrays and objects are nested deeper than [`super::MAX_DEPTH`].
    TooDeep,
    /// The bytes are not JSON in UTF-8.
    InvalidJson,
    /// The document is JSON, but not an object; one that is mapped may be a list, too.
    NotAnObject,
    /// The document is an object without any member that its format knows, such as `{"error": "not found"}`;
    /// or one in which the map finds what it finds in an empty object.
    NotAResume,
    /// The source gave no id, or none that can be kept.
    MissingId,
    /// The document is one of [`Format::Mapped`](super::Format::Mapped), and its source has no mapping any
    /// more.
    MissingMapping,
}

impl ErrorCode {
    /// The stable text of the code.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How a message calls the type of a JSON value.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
