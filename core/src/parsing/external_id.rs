//! The id that a source gave a document.

use std::{borrow::Cow, fmt};

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Format;
use super::document::without_byte_order_mark;
use super::error::{ErrorCode, ParseError, type_name};
use super::pointer::Pointer;

/// The longest id: real ones are numbers, UUIDs or short URLs, and it must fit an entry of a Postgres index.
pub const MAX_ID_BYTES: usize = 512;

/// The id that the source gave a document, without parsing the rest.
///
/// A string stays as it is, an integer of any size becomes its decimal text; of two equal keys the last one counts.
/// `None` when [`parse`](super::parse) would answer `missing_id` or `invalid_id`, or when the bytes are no JSON object.
/// Whenever `parse` succeeds, this is the id it gives. A document that is too large or too deep to be parsed still has
/// an id, so that its failure can be listed under it. Reads the bytes once and allocates only the id.
///
/// `None` for a [`Format::Mapped`] document: where its id is, only its source says.
pub fn external_id(format: Format, body: &[u8]) -> Option<String> {
    read(format, body).ok()
}

/// The id of a document, or why it has none.
///
/// # Errors
/// `missing_id`, `invalid_id`, and `invalid_json` when the bytes are no JSON object.
pub(super) fn read(format: Format, body: &[u8]) -> Result<String, ParseError> {
    let Some(key) = format.id_key() else { return Err(missing_beside()) };
    let at = Pointer::Root.key(key);
    let id = last_member(without_byte_order_mark(body), key)
        .map_err(|error| ParseError::new(ErrorCode::InvalidJson, &Pointer::Root, error))?;
    let missing = || ParseError::new(ErrorCode::MissingId, &at, "the document has no id");
    let invalid = |detail: &str| ParseError::new(ErrorCode::InvalidId, &at, detail);

    let raw = id.ok_or_else(missing)?.get();
    let id = if is_integer(raw) {
        raw.to_owned()
    } else {
        match serde_json::from_str(raw) {
            Ok(serde_json::Value::String(text)) => text,
            Ok(serde_json::Value::Null) => return Err(missing()),
            Ok(other) => {
                return Err(invalid(&format!(
                    "expected a string or an integer, found {}",
                    type_name(&other)
                )));
            }
            Err(_) => return Err(invalid("expected a string or an integer")),
        }
    };
    match fault(&id) {
        Some(detail) => Err(invalid(&detail)),
        None => Ok(id),
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

/// Whether a JSON value is a number without fraction and exponent.
fn is_integer(raw: &str) -> bool {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The text of the last member of that key in an object; the other members are skipped, not parsed.
fn last_member<'a>(json: &'a [u8], key: &'static str) -> Result<Option<&'a RawValue>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let member = deserializer.deserialize_map(LastMember { key })?;
    deserializer.end()?;
    Ok(member)
}

struct LastMember {
    key: &'static str,
}

impl<'de> Visitor<'de> for LastMember {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut member = None;
        while let Some(is_it) = map.next_key_seed(KeyIs(self.key))? {
            if is_it {
                member = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(member)
    }
}

/// Compares a key without keeping it.
struct KeyIs(&'static str);

impl<'de> DeserializeSeed<'de> for KeyIs {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIs {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}
