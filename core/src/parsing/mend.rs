//! Makes a document readable of which JSON allows every byte, but no text or number can hold one of its
//! values.
//!
//! `"\ud83d"` is what `slice` makes of an emoji in JavaScript, and `1e400` overflows a float. One of them in
//! a note must not cost the person, so they are replaced in a copy before the document is parsed. The stored
//! bytes stay as they are.

use std::borrow::Cow;

use super::pointer::Pointer;
use super::warning::{WarningCode, Warnings};

const REPLACEMENT: &[u8] = b"\\ufffd";

/// Returns the document with U+FFFD for each half of a surrogate pair, and with a text for each number that
/// would overflow, or lose digits because it is an integer of more than 64 bits. One warning for each sort
/// tells how many there were.
pub(super) fn mend<'a>(json: &'a [u8], warnings: &mut Warnings) -> Cow<'a, [u8]> {
    let mut mended = Mended { json, copied: 0, copy: Vec::new() };
    let (mut halves, mut numbers, mut index) = (0_usize, 0_usize, 0);
    let mut in_string = false;
    while let Some(&byte) = json.get(index) {
        index += match byte {
            b'"' => {
                in_string = !in_string;
                1
            }
            b'\\' if in_string => match escape_at(&json[index..]) {
                Escape::Half => {
                    halves += 1;
                    mended.replace(index, REPLACEMENT.len(), REPLACEMENT);
                    REPLACEMENT.len()
                }
                Escape::Whole(length) => length,
            },
            b'-' | b'0'..=b'9' if !in_string => {
                let number = number_at(&json[index..]);
                if is_beyond_range(number) {
                    numbers += 1;
                    mended.replace(index, number.len(), format!("\"{number}\"").as_bytes());
                }
                number.len().max(1)
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
    mended.finish()
}

/// A document of which a copy is made at the first thing that is replaced.
struct Mended<'a> {
    json: &'a [u8],
    copied: usize,
    copy: Vec<u8>,
}

impl<'a> Mended<'a> {
    fn replace(&mut self, begin: usize, length: usize, by: &[u8]) {
        self.copy.extend_from_slice(&self.json[self.copied..begin]);
        self.copy.extend_from_slice(by);
        self.copied = begin + length;
    }

    fn finish(mut self) -> Cow<'a, [u8]> {
        if self.copied == 0 {
            return self.json.into();
        }
        self.copy.extend_from_slice(&self.json[self.copied..]);
        self.copy.into()
    }
}

enum Escape {
    /// Half of a surrogate pair without the other one.
    Half,
    /// Anything else, of this many bytes.
    Whole(usize),
}

fn escape_at(json: &[u8]) -> Escape {
    match (unit_at(json), json.get(REPLACEMENT.len()..).and_then(unit_at)) {
        (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => Escape::Whole(2 * REPLACEMENT.len()),
        (Some(0xD800..=0xDFFF), _) => Escape::Half,
        // The backslash and the byte that it escapes.
        _ => Escape::Whole(2),
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
