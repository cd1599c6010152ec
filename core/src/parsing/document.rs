//! What holds for every format: from bytes to a clean JSON object within limits.

use serde_json::{Map, Value};

use super::error::{ErrorCode, ParseError};
use super::limits::{MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_VALUES};
use super::mend::{Mended, mend};
use super::pointer::Pointer;
use super::warning::{WarningCode, Warnings};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads the members of a document; no key and no text in them holds a NUL.
///
/// # Errors
/// `too_large`, `too_deep`, `invalid_json` or `not_an_object`.
pub(super) fn read(body: &[u8], warnings: &mut Warnings) -> Result<Map<String, Value>, ParseError> {
    let value = read_with_nul(body, warnings)?;
    let Value::Object(mut fields) = value else {
        return Err(ParseError::wrong_type(ErrorCode::NotAnObject, &Pointer::Root, "an object", &value));
    };
    remove_nul_in_object(&mut fields, &Pointer::Root, warnings);
    Ok(fields)
}

/// Reads a document as it is, an object or a list, whose texts may hold NULs.
///
/// # Errors
/// As [`read`].
pub(super) fn read_with_nul(body: &[u8], warnings: &mut Warnings) -> Result<Value, ParseError> {
    let at = Pointer::Root;
    if body.len() > MAX_DOCUMENT_BYTES {
        let detail = format_args!("{} bytes, the most is {MAX_DOCUMENT_BYTES}", body.len());
        return Err(ParseError::new(ErrorCode::TooLarge, &at, detail));
    }
    let json = without_byte_order_mark(body);
    if json.len() < body.len() {
        warnings.push(WarningCode::ByteOrderMark, &at, format_args!("skipped"));
    }
    let Mended { json, depth, values } = mend(json, warnings);
    if depth > MAX_DEPTH {
        let detail = format_args!("nested {depth} deep, the most is {MAX_DEPTH}");
        return Err(ParseError::new(ErrorCode::TooDeep, &at, detail));
    }
    if values > MAX_VALUES {
        let detail = format_args!("about {values} values, the most is {MAX_VALUES}");
        return Err(ParseError::new(ErrorCode::TooLarge, &at, detail));
    }
    let value: Value =
        serde_json::from_slice(&json).map_err(|error| ParseError::new(ErrorCode::InvalidJson, &at, error))?;
    match value {
        Value::Object(_) | Value::Array(_) => Ok(value),
        other => Err(ParseError::wrong_type(ErrorCode::NotAnObject, &at, "an object", &other)),
    }
}

/// The document behind its byte order mark. RFC 8259 lets a parser skip one, and Windows tools write it.
pub(super) fn without_byte_order_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)
}

fn remove_nul(value: &mut Value, at: &Pointer<'_>, warnings: &mut Warnings) {
    match value {
        Value::String(text) if text.contains('\0') => {
            text.retain(|c| c != '\0');
            warnings.push(WarningCode::NulRemoved, at, format_args!("NUL removed from the text"));
        }
        Value::Array(values) => {
            for (index, value) in values.iter_mut().enumerate() {
                remove_nul(value, &at.index(index), warnings);
            }
        }
        Value::Object(fields) => remove_nul_in_object(fields, at, warnings),
        _ => {}
    }
}

/// Takes NUL out of keys and values. Where a cleaned key meets one that is there already, the one that was
/// there stays.
pub(super) fn remove_nul_in_object(
    fields: &mut Map<String, Value>,
    at: &Pointer<'_>,
    warnings: &mut Warnings,
) {
    let keys: Vec<String> = fields.keys().filter(|key| key.contains('\0')).cloned().collect();
    for key in keys {
        let clean = key.replace('\0', "");
        warnings.push(WarningCode::NulRemoved, &at.key(&clean), format_args!("NUL removed from the key"));
        if let Some(value) = fields.remove(&key) {
            fields.entry(clean).or_insert(value);
        }
    }
    for (key, value) in fields.iter_mut() {
        remove_nul(value, &at.key(key), warnings);
    }
}
