//! The id that a source gave a document. Fetching, importing and parsing all read it here, so that they
//! agree.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::Format;
use super::document::without_byte_order_mark;
use super::error::{ErrorCode, ParseError};
use super::json_pointer;
use super::pointer::Pointer;

/// The longest id: real ones are numbers, UUIDs or short URLs, and it must fit an entry of a Postgres index.
pub const MAX_ID_BYTES: usize = 512;

/// Returns the id at a place in a document, without parsing the rest.
///
/// A string is trimmed. A number is kept as it is written, digit by digit: integers have any size, and `1.0`
/// and `1e3` stay what they are. Of two equal keys the last one counts. Returns `None` for anything else, and
/// for an id that is blank, longer than [`MAX_ID_BYTES`] or holds a NUL. A document that is too large or too
/// deep to be parsed still has an id, so that its failure can be listed under it. Reads the bytes once.
pub fn id_at(body: &[u8], pointer: &str) -> Option<String> {
    let pointer = json_pointer::Pointer::parse(pointer)?;
    text_of(raw_at(body, pointer).ok()??).ok().filter(|id| is_external_id(id))
}

/// Returns the id in a document of a format that has a place for it, as [`id_at`] reads it: `None` for one of
/// [`Format::Mapped`], where only the source's definition knows the place, and whenever
/// [`parse`](super::parse) would answer `missing_id` or `invalid_id`.
pub fn external_id(format: Format, body: &[u8]) -> Option<String> {
    id_at(body, &format!("/{}", format.id_key()?))
}

/// Returns the id of a document that is known to be a JSON object, or why it has none.
///
/// # Errors
/// `missing_id`, `invalid_id`, and `invalid_json` when the bytes are no JSON.
pub(super) fn read(format: Format, body: &[u8]) -> Result<String, ParseError> {
    let Some(key) = format.id_key() else { return Err(missing_beside()) };
    let at = Pointer::Root.key(key);
    let id = raw_at(body, json_pointer::Pointer::of_key(key))
        .map_err(|error| ParseError::new(ErrorCode::InvalidJson, &Pointer::Root, error))?;
    let Some(raw) = id.filter(|id| id.get() != "null") else {
        return Err(ParseError::new(ErrorCode::MissingId, &at, "the document has no id"));
    };
    let invalid = |detail: &str| ParseError::new(ErrorCode::InvalidId, &at, detail);
    let id =
        text_of(raw).map_err(|found| invalid(&format!("expected a string or a number, found {found}")))?;
    match fault(&id) {
        Some(detail) => Err(invalid(&detail)),
        None => Ok(id),
    }
}

fn raw_at(body: &[u8], pointer: json_pointer::Pointer) -> Result<Option<&RawValue>, serde_json::Error> {
    let found = json_pointer::find(without_byte_order_mark(body), &[pointer])?;
    Ok(found.into_iter().next().flatten())
}

/// Returns a JSON value as the text of an id, or the name of its type if it has none.
fn text_of(value: &RawValue) -> Result<String, &'static str> {
    let raw = value.get();
    match raw.as_bytes().first() {
        Some(b'"') => {
            serde_json::from_str::<String>(raw).map(|id| id.trim().to_owned()).map_err(|_| "a broken string")
        }
        Some(b'-' | b'0'..=b'9') => Ok(raw.to_owned()),
        Some(b'n') => Err("null"),
        Some(b'[') => Err("an array"),
        Some(b'{') => Err("an object"),
        _ => Err("a boolean"),
    }
}

/// The fault of a document whose format has no place for an id, and that was stored without one.
pub(super) fn missing_beside() -> ParseError {
    let detail = "the item had no id where its source says, or none that can be kept";
    ParseError::new(ErrorCode::MissingId, &Pointer::Root.key("id"), detail)
}

/// Whether a text can be the id of a document: not blank, at most [`MAX_ID_BYTES`] long and without NUL.
pub(crate) fn is_external_id(id: &str) -> bool {
    fault(id).is_none()
}

/// Why a text cannot be an id.
fn fault(id: &str) -> Option<Cow<'static, str>> {
    if id.trim().is_empty() {
        Some("the id is blank".into())
    } else if id.len() > MAX_ID_BYTES {
        Some(format!("the id has {} bytes, the most is {MAX_ID_BYTES}", id.len()).into())
    } else if id.contains('\0') {
        // Taking it out, as elsewhere, could make two ids one.
        Some("the id holds a NUL".into())
    } else {
        None
    }
}
