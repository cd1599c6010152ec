//! The id that a source gave a document. Fetching, importing and parsing all read it here, so that they
//! agree.

use serde_json::value::RawValue;

use super::document::without_byte_order_mark;
use super::json_pointer;

/// The longest id: real ones are numbers, UUIDs or short URLs, and it must fit an entry of a Postgres index.
pub const MAX_ID_BYTES: usize = 512;

/// Returns the id at a place in a document, without parsing the rest.
///
/// A string is trimmed. A number is kept as it is written, digit by digit: integers have any size, and `1.0`
/// and `1e3` stay what they are. Of two equal keys the last one counts. Returns `None` for anything else, and
/// for an id that is blank, longer than [`MAX_ID_BYTES`] or holds a NUL. A document that is too large or too
/// deep to be parsed still has an id, so that its failure can be listed under it. Reads the bytes once.
pub fn id_at(body: &[u8], pointer: &str) -> Option<String> {
    text_of(json_pointer::at(without_byte_order_mark(body), pointer)?).filter(|id| is_external_id(id))
}

/// Whether a text can be the id of a document: not blank, at most [`MAX_ID_BYTES`] long and without NUL.
/// Taking the NUL out, as elsewhere, could make two ids one.
pub fn is_external_id(id: &str) -> bool {
    !id.trim().is_empty() && id.len() <= MAX_ID_BYTES && !id.contains('\0')
}

/// Returns a JSON value as the text of an id. `None` for half of a surrogate pair too: U+FFFD could make two
/// ids one.
fn text_of(value: &RawValue) -> Option<String> {
    let raw = value.get();
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(raw).ok().map(|id| id.trim().to_owned()),
        b'-' | b'0'..=b'9' => Some(raw.to_owned()),
        _ => None,
    }
}
