//! Makes a document readable of which JSON allows every byte, but no text or number can hold one of its
//! values.
//!
//! `"\ud83d"` is what `slice` makes of an emoji in JavaScript, and `1e400` overflows a float. One of them in
//! a note must not cost the person, so they are replaced in a copy before the document is parsed. The stored
//! bytes stay as they are.

use std::borrow::Cow;

use super::pointer::Pointer;
use super::warning::{WarningCode, Warnings};

const REPLACEMENT: &str = "\\ufffd";

/// A document that can be read, and what one pass over its bytes tells before it is. On bytes that are no
/// JSON that means nothing, but there is an answer.
pub(super) struct Mended<'a> {
    /// The document, a copy only where something was replaced.
    pub(super) json: Cow<'a, [u8]>,
    /// The deepest nesting of brackets outside strings.
    pub(super) depth: usize,
    /// How many values there are, counted by what separates them: commas and opening brackets outside
    /// strings.
    pub(super) values: usize,
}

/// Returns the document with U+FFFD for each half of a surrogate pair, and with a text for each number that
/// would overflow, or lose digits because it is an integer of more than 64 bits. One warning for each sort
/// tells how many there were.
pub(super) fn mend<'a>(json: &'a [u8], warnings: &mut Warnings) -> Mended<'a> {
    let (mut halves, mut numbers, mut replaced) = (0_usize, 0_usize, Vec::new());
    let (mut depth, mut deepest, mut values) = (0_usize, 0, 0);
    let (mut in_string, mut index) = (false, 0);
    while let Some(&byte) = json.get(index) {
        index += match byte {
            b'"' => {
                in_string = !in_string;
                1
            }
            b'\\' if in_string => {
                let (length, is_half) = escape_at(&json[index..]);
                if is_half {
                    halves += 1;
                    replaced.push((index, length, REPLACEMENT.into()));
                }
                length
            }
            _ if in_string => 1,
            b'-' | b'0'..=b'9' => {
                let number = number_at(&json[index..]);
                if is_beyond_range(number) {
                    numbers += 1;
                    replaced.push((index, number.len(), format!("\"{number}\"").into()));
                }
                number.len().max(1)
            }
            b'[' | b'{' => {
                values += 1;
                depth += 1;
                deepest = deepest.max(depth);
                1
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                1
            }
            b',' => {
                values += 1;
                1
            }
            _ => 1,
        };
    }
    let at = Pointer::Root;
    if halves > 0 {
        let message = format_args!("{halves} halves of surrogate pairs, read as U+FFFD");
        warnings.push(WarningCode::LoneSurrogate, &at, message);
    }
    if numbers > 0 {
        let message = format_args!("{numbers} numbers beyond what a 64-bit number holds, read as texts");
        warnings.push(WarningCode::NumberOutOfRange, &at, message);
    }
    Mended { json: replace(json, &replaced), depth: deepest, values }
}

/// The document with other texts at these places, each with its length, in order.
fn replace<'a>(json: &'a [u8], by: &[(usize, usize, Cow<'_, str>)]) -> Cow<'a, [u8]> {
    if by.is_empty() {
        return json.into();
    }
    let (mut copy, mut copied) = (Vec::with_capacity(json.len()), 0);
    for (begin, length, text) in by {
        copy.extend_from_slice(&json[copied..*begin]);
        copy.extend_from_slice(text.as_bytes());
        copied = begin + length;
    }
    copy.extend_from_slice(&json[copied..]);
    copy.into()
}

/// The length of an escape, and whether it is half of a surrogate pair without the other one.
fn escape_at(json: &[u8]) -> (usize, bool) {
    match (unit_at(json), json.get(REPLACEMENT.len()..).and_then(unit_at)) {
        (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (2 * REPLACEMENT.len(), false),
        (Some(0xD800..=0xDFFF), _) => (REPLACEMENT.len(), true),
        // The backslash and the byte that it escapes.
        _ => (2, false),
    }
}

/// The UTF-16 code unit that is escaped here: `\u0041`.
fn unit_at(json: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(json.strip_prefix(b"\\u")?.get(..4)?).ok()?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}

fn number_at(json: &[u8]) -> &str {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let end = json.iter().position(|byte| !is_part(byte)).unwrap_or(json.len());
    std::str::from_utf8(&json[..end]).unwrap_or_default()
}

/// Whether a number of JSON overflows a float, or is an integer of more than 64 bits.
fn is_beyond_range(number: &str) -> bool {
    // Most are short, and nothing has to be parsed.
    let may_be = number.len() > 18 || number.contains(['e', 'E']);
    let digits = number.strip_prefix('-').unwrap_or(number);
    // What JSON has no number for is left for its parser to refuse.
    if !may_be || (digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.")) {
        return false;
    }
    let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_integer {
        return number.parse::<i64>().is_err() && number.parse::<u64>().is_err();
    }
    number.parse::<f64>().is_ok_and(f64::is_infinite)
}
