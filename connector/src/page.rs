use std::fmt;

use resume_core::{
    parsing::{
        Format, id_at,
        json_pointer::{self, Pointer},
    },
    document::NewDocument,
    source::definition::{Definition, Deleted, Expect, ListCall, Paging, Step, Values},
};
use serde::{
    Deserializer as _,
    de::{SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use crate::{CallError, LINK_BYTES_MAX};

/// The most items of a page, whatever was asked for: an item may have two bytes on the wire, and some hundred here.
pub const ITEMS_MAX: usize = 100_000;
/// The most bytes of a value that is compared with what the definition expects.
const EXPECTED_BYTES_MAX: usize = 64 * 1024;
/// The most characters of a source's own error code.
const CODE_CHARS_MAX: usize = 64;

/// A page of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Its items, in order, verbatim.
    pub items: Vec<NewDocument>,
    /// What the next page is asked for with: an absolute address, or a token. At most [`LINK_BYTES_MAX`] bytes, none of
    /// them a control character. `None` on the last page, and for numbered pages.
    pub next: Option<String>,
    /// How many items there are in all, where the source says so and the definition says where.
    pub total: Option<u64>,
}

/// What a definition says of the answer.
pub(crate) struct Shape {
    list: ListCall,
    format: Format,
    /// Whether the definition says where the id of an item is.
    is_mapped: bool,
    /// The id of the one item that is asked for; then the answer is no list.
    one: Option<String>,
    /// Whether that one is a list.
    is_array: bool,
}

impl Shape {
    /// # Errors
    /// [`CallError::InvalidRequest`] for a step that the source has not.
    pub(crate) fn of(definition: &Definition, step: Step, values: &Values) -> Result<Self, CallError> {
        let list = definition.call_of(step).ok_or_else(|| {
            CallError::InvalidRequest(
                "the definition has no call for this page: has it been changed?".to_owned(),
            )
        })?;
        Ok(Self {
            list,
            format: definition.format,
            is_mapped: definition.map.is_some() || matches!(step, Step::Parents | Step::Deleted),
            one: values.id.clone().filter(|_| step == Step::Detail),
            is_array: definition.detail.as_ref().is_some_and(|detail| detail.array),
        })
    }

    /// The call that is answered.
    pub(crate) fn list(&self) -> &ListCall {
        &self.list
    }

    /// How one page leads to the next.
    pub(crate) fn paging(&self) -> &Paging {
        &self.list.paging
    }

    /// Splits a body into its items without changing a byte of them. A next address stays as it stands there.
    pub(crate) fn decode(&self, body: &[u8]) -> Result<Page, CallError> {
        let places = Places::find(&self.list, body)?;
        self.check(&places)?;
        let items = self.items(&places)?;
        let next = match &self.list.paging {
            Paging::NextUrl { at, .. } => next_address(&places, at)?,
            Paging::Cursor { token, has_more, .. } => next_token(&places, token, has_more.as_deref())?,
            Paging::Numbered { .. } | Paging::LinkHeader { .. } | Paging::Single {} => None,
        };
        let total = match self.list.paging.total() {
            Some(at) => total(&places, at)?,
            None => None,
        };
        Ok(Page { items, next, total })
    }

    /// Whether a refusal's status is not all that it says: its body may hold a code that means something.
    pub(crate) fn has_expiry_codes(&self) -> bool {
        matches!(&self.list.paging, Paging::Cursor { expired, .. } if !expired.is_empty())
            && self.list.expect.as_ref().is_some_and(|expect| expect.code.is_some())
    }

    /// The code in the body of a refusal, when it is one of those that mean an expired token.
    pub(crate) fn expiry_code(&self, body: &[u8]) -> Option<String> {
        let places = Places::find(&self.list, body).ok()?;
        let code = self.list.expect.as_ref().and_then(|expect| refusal_code(&places, expect))?;
        self.is_expiry(&code).then_some(code)
    }

    fn check(&self, places: &Places<'_, '_>) -> Result<(), CallError> {
        let Some(expect) = &self.list.expect else { return Ok(()) };
        if places.get(&expect.at).is_some_and(|value| is_equal(value, &expect.equals)) {
            return Ok(());
        }
        Err(match refusal_code(places, expect) {
            Some(code) if self.is_expiry(&code) => CallError::CursorExpired { code },
            code => CallError::Refused { code },
        })
    }

    fn is_expiry(&self, code: &str) -> bool {
        matches!(&self.list.paging, Paging::Cursor { expired, .. }
            if expired.iter().any(|known| cleaned(known).as_deref() == Some(code)))
    }

    fn items(&self, places: &Places<'_, '_>) -> Result<Vec<NewDocument>, CallError> {
        let at = &self.list.items;
        let value = places.get(at);
        if let Some(id) = &self.one {
            let (begin, expected) = if self.is_array { ('[', "the item, a list") } else { ('{', "the item") };
            let item = value.filter(|value| value.get().starts_with(begin));
            let item = item.ok_or_else(|| misshapen(at, expected, value))?;
            let is_deleted = self.flag()?.is_some_and(|flag| is_flagged(item.get(), &flag));
            let item = NewDocument::with_id(Some(id.clone()), item.get().as_bytes());
            return Ok(vec![NewDocument { is_deleted, ..item }]);
        }
        let Some(list) = value.filter(|value| value.get().starts_with('[')) else {
            return Err(misshapen(at, "the list of items", value));
        };
        let mut split = Split { shape: self, flag: self.flag()?, items: Vec::new(), is_over: false };
        serde_json::Deserializer::from_str(list.get())
            .deserialize_seq(&mut split)
            .map_err(CallError::InvalidJson)?;
        if split.is_over {
            return Err(CallError::TooLarge { max: ITEMS_MAX, what: "items" });
        }
        Ok(split.items)
    }

    /// Where an item says that it was deleted, if the source tells so.
    fn flag(&self) -> Result<Option<[Pointer; 1]>, CallError> {
        self.list.deleted_flag().map(|flag| Ok([parse_pointer(flag)?])).transpose()
    }
}

/// Whether an item says that it was deleted.
fn is_flagged(item: &str, flag: &[Pointer; 1]) -> bool {
    let found =
        json_pointer::find(item.as_bytes(), flag).ok().and_then(|found| found.first().copied().flatten());
    // What is nested too deeply to be read is not empty.
    found.is_some_and(|value| {
        serde_json::from_str(value.get()).map_or(true, |value| Deleted::is_told_by(&value))
    })
}

/// Takes a list apart.
struct Split<'s> {
    shape: &'s Shape,
    /// Where an item says that it was deleted.
    flag: Option<[Pointer; 1]>,
    items: Vec<NewDocument>,
    is_over: bool,
}

impl Split<'_> {
    fn document(&self, item: &str) -> NewDocument {
        let is_deleted = self.flag.as_ref().is_some_and(|flag| is_flagged(item, flag));
        NewDocument { is_deleted, ..self.with_id(item) }
    }

    fn with_id(&self, item: &str) -> NewDocument {
        if !self.shape.is_mapped {
            return NewDocument::new(self.shape.format, item.as_bytes());
        }
        NewDocument::with_id(id_at(item.as_bytes(), &self.shape.list.id), item.as_bytes())
    }
}

impl<'j> Visitor<'j> for &mut Split<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(item) = seq.next_element::<&RawValue>()? {
            self.is_over = self.items.len() == ITEMS_MAX;
            if !self.is_over {
                self.items.push(self.document(item.get()));
            }
        }
        Ok(())
    }
}

/// The values at all the places of an answer that the definition names.
struct Places<'s, 'j> {
    at: Vec<&'s str>,
    found: Vec<Option<&'j RawValue>>,
}

impl<'s, 'j> Places<'s, 'j> {
    fn find(list: &'s ListCall, body: &'j [u8]) -> Result<Self, CallError> {
        let mut at = vec![list.items.as_str()];
        match &list.paging {
            Paging::NextUrl { at: next, .. } => at.push(next),
            Paging::Cursor { token, has_more, .. } => {
                at.push(token);
                at.extend(has_more.as_deref());
            }
            Paging::Numbered { .. } | Paging::LinkHeader { .. } | Paging::Single {} => {}
        }
        at.extend(list.paging.total());
        if let Some(expect) = &list.expect {
            at.push(&expect.at);
            at.extend(expect.code.as_deref());
        }
        let pointers: Vec<Pointer> = at.iter().map(|text| parse_pointer(text)).collect::<Result<_, _>>()?;
        // Some systems begin with a byte order mark, which RFC 8259, section 8.1, lets us skip.
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let found = json_pointer::find(body, &pointers).map_err(CallError::InvalidJson)?;
        Ok(Self { at, found })
    }

    /// The value at one of the places.
    fn get(&self, at: &str) -> Option<&'j RawValue> {
        let index = self.at.iter().position(|known| *known == at)?;
        self.found[index]
    }

    /// The value at one of the places, unless it is null or the empty text: there, systems mean nothing by it.
    fn filled(&self, at: &str) -> Option<&'j RawValue> {
        self.get(at).filter(|value| !matches!(value.get(), "null" | "\"\""))
    }
}

fn parse_pointer(text: &str) -> Result<Pointer, CallError> {
    Pointer::parse(text).ok_or_else(|| {
        CallError::InvalidRequest(format!("{text:?} is no JSON Pointer: begin it with a slash"))
    })
}

fn next_address(places: &Places<'_, '_>, at: &str) -> Result<Option<String>, CallError> {
    let Some(value) = places.filled(at) else { return Ok(None) };
    text(value).map(Some).ok_or_else(|| misshapen(at, "the address of the next page", Some(value)))
}

fn next_token(
    places: &Places<'_, '_>,
    at: &str,
    has_more: Option<&str>,
) -> Result<Option<String>, CallError> {
    let mut is_promised = false;
    if let Some(has_more) = has_more
        && let Some(value) = places.filled(has_more)
    {
        match value.get() {
            "true" => is_promised = true,
            "false" => return Ok(None),
            _ => return Err(misshapen(has_more, "true or false", Some(value))),
        }
    }
    let Some(value) = places.filled(at) else {
        return if is_promised { Err(CallError::NextTokenMissing { at: at.to_owned() }) } else { Ok(None) };
    };
    let token = text_or_integer(value).filter(|token| !token.chars().any(char::is_control));
    let token = token.ok_or_else(|| misshapen(at, "the token of the next page", Some(value)))?;
    if token.len() > LINK_BYTES_MAX {
        return Err(CallError::InvalidUrl(format!(
            "the token of the next page has {} bytes, the most is {LINK_BYTES_MAX}",
            token.len()
        )));
    }
    Ok(Some(token))
}

fn total(places: &Places<'_, '_>, at: &str) -> Result<Option<u64>, CallError> {
    let Some(value) = places.filled(at) else { return Ok(None) };
    let total = text_or_integer(value).and_then(|text| text.parse().ok());
    total.map(Some).ok_or_else(|| misshapen(at, "the number of all items", Some(value)))
}

fn refusal_code(places: &Places<'_, '_>, expect: &Expect) -> Option<String> {
    cleaned(&text_or_integer(places.get(expect.code.as_deref()?)?)?)
}

/// A code of a source as it may stand in one of ours.
fn cleaned(code: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' };
    let code: String = code.trim().chars().take(CODE_CHARS_MAX).map(plain).collect();
    (!code.is_empty()).then_some(code)
}

fn is_equal(value: &RawValue, expected: &Value) -> bool {
    value.get().len() <= EXPECTED_BYTES_MAX
        && serde_json::from_str::<Value>(value.get()).is_ok_and(|value| value == *expected)
}

fn text(value: &RawValue) -> Option<String> {
    value.get().starts_with('"').then(|| serde_json::from_str(value.get()).ok()).flatten()
}

/// A text, or an integer of any size as text.
fn text_or_integer(value: &RawValue) -> Option<String> {
    let raw = value.get();
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { Some(raw.to_owned()) } else { text(value) }
}

fn misshapen(at: &str, expected: &'static str, found: Option<&RawValue>) -> CallError {
    let found = match found.and_then(|value| value.get().bytes().next()) {
        None => "nothing",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        Some(_) => "a number",
    };
    CallError::InvalidShape { at: at.to_owned(), expected, found }
}

#[cfg(test)]
mod tests;
