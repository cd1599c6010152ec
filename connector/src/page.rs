use std::fmt;

use resume_core::{
    document::NewDocument,
    parsing::{
        id_at,
        json_pointer::{self, Pointer},
    },
    source::definition::{Definition, Expect, ListCall, Paging, Step, Values},
};
use serde::{
    Deserializer as _,
    de::{SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use crate::{CallError, LINK_BYTES_MAX};

/// The most items of a page, whatever was asked for: an item may have two bytes on the wire, and some hundred
/// here.
pub const ITEMS_MAX: usize = 100_000;
/// The most bytes of a value that is compared with what the definition expects.
const EXPECTED_BYTES_MAX: usize = 64 * 1024;
/// The most characters of a source's own error code.
const CODE_CHARS_MAX: usize = 64;

/// A page of a source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Its items, in order, verbatim.
    pub items: Vec<NewDocument>,
    /// What the next page is asked for with: an absolute address, or a token. At most [`LINK_BYTES_MAX`]
    /// bytes, none of them a control character. `None` on the last page, and for numbered pages.
    pub next: Option<String>,
    /// How many items there are in all, where the source says so, the definition says where, and it can be
    /// true.
    pub total: Option<u64>,
}

/// What a definition says of the answer.
pub(crate) struct Shape {
    list: ListCall,
    /// The parent whose items are listed, where their ids are unique only within it.
    parent: Option<String>,
    /// How many items should stand on the pages before.
    offset: u64,
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
            parent: values.parent.clone().filter(|_| list.id_within_parent),
            list,
            offset: values.offset,
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
        // Some systems begin with a byte order mark, which RFC 8259, section 8.1, lets us skip.
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        if self.offset > 0 && self.list.expect.is_none() && body.trim_ascii().is_empty() {
            return Ok(Page::default());
        }
        let places = Places::find(&self.list, body)?;
        self.check(&places)?;
        let items = self.items(&places, body)?;
        let next = match &self.list.paging {
            Paging::NextUrl { at, .. } => next_address(&places, at)?,
            Paging::Cursor { token, has_more, .. } => next_token(&places, token, has_more.as_deref())?,
            Paging::Numbered { .. } | Paging::LinkHeader { .. } | Paging::Single {} => None,
        };
        let total = self.list.paging.total().and_then(|at| total(places.get(at)?));
        let total = total.filter(|&total| self.can_be_all(total, items.len() as u64));
        Ok(Page { items, next, total })
    }

    /// Whether there can be so many items in all: some systems tell that on the first page only, and 0 on the
    /// others.
    fn can_be_all(&self, total: u64, found: u64) -> bool {
        let before = if self.list.paging.is_numbered() { self.offset } else { 0 };
        match found {
            0 => total > 0 || self.offset == 0,
            _ => total >= before.saturating_add(found),
        }
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

    fn items(&self, places: &Places<'_, '_>, body: &[u8]) -> Result<Vec<NewDocument>, CallError> {
        let at = &self.list.items;
        let value = places.get(at);
        if let Some(id) = &self.one {
            let (begin, expected) = if self.is_array { ('[', "the item, a list") } else { ('{', "the item") };
            let item = value.filter(|value| value.get().starts_with(begin));
            let item = item.ok_or_else(|| misshapen(at, expected, value))?;
            return Ok(vec![self.document(item.get(), Some(id.clone()))]);
        }
        let Some(list) = value.filter(|value| value.get().starts_with('[')) else {
            return if self.is_empty_page(places, body) {
                Ok(Vec::new())
            } else {
                Err(misshapen(at, "the list of items", value))
            };
        };
        let mut split = Split { shape: self, items: Vec::new(), is_over: false };
        serde_json::Deserializer::from_str(list.get())
            .deserialize_seq(&mut split)
            .map_err(CallError::InvalidJson)?;
        if split.is_over {
            return Err(CallError::TooLarge { max: ITEMS_MAX, what: "items" });
        }
        Ok(split.items)
    }

    /// Whether an answer without a list is a page without items: behind its end, and where there is nobody, a
    /// list may be null, another kind of nothing, or left out.
    fn is_empty_page(&self, places: &Places<'_, '_>, body: &[u8]) -> bool {
        let at = &self.list.items;
        let has = |pointer: &str| json_pointer::at(body, pointer).is_some_and(|value| !is_blank(value));
        if ["/error", "/errors"].into_iter().any(has) {
            return false;
        }
        if let Some(value) =
            places.get(at).or_else(|| json_pointer::at(body, "").filter(|body| is_blank(body)))
        {
            return is_blank(value);
        }
        // On the first page a list that is not there is a mistake in the definition. On others it was found
        // before, so what matters is that this is the same kind of answer, and no message.
        let above = at[1..].find('/').map(|end| &at[..=end]);
        let is_alike =
            places.has_others() || above.is_some_and(|above| json_pointer::at(body, above).is_some());
        let is_silent = self.list.paging.is_numbered() && !has("/message");
        self.offset > 0 && body.trim_ascii_start().starts_with(b"{") && (is_alike || is_silent)
    }

    /// An item as it is kept.
    fn document(&self, item: &str, id: Option<String>) -> NewDocument {
        let document = match &self.parent {
            Some(parent) => NewDocument::with_id_within(parent, id, item.as_bytes()),
            None => NewDocument::with_id(id, item.as_bytes()),
        };
        document.marked_by(&self.list)
    }
}

/// Takes a list apart.
struct Split<'s> {
    shape: &'s Shape,
    items: Vec<NewDocument>,
    is_over: bool,
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
                let id = id_at(item.get().as_bytes(), &self.shape.list.id);
                self.items.push(self.shape.document(item.get(), id));
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
        let found = json_pointer::find(body, &pointers).map_err(CallError::InvalidJson)?;
        Ok(Self { at, found })
    }

    /// The value at one of the places.
    fn get(&self, at: &str) -> Option<&'j RawValue> {
        let index = self.at.iter().position(|known| *known == at)?;
        self.found[index]
    }

    /// The value at one of the places, unless systems mean nothing by it.
    fn filled(&self, at: &str) -> Option<&'j RawValue> {
        self.get(at).filter(|value| !is_blank(value) && value.get() != "false")
    }

    /// Whether there is something at a place other than the first, that of the items.
    fn has_others(&self) -> bool {
        self.found.iter().skip(1).any(Option::is_some)
    }
}

/// Whether a value is nothing in one of its forms: null, or an empty or blank text, list or object.
fn is_blank(value: &RawValue) -> bool {
    let inner = |begin, end| value.get().strip_prefix(begin).and_then(|rest| rest.strip_suffix(end));
    let inner = inner('"', '"').or_else(|| inner('[', ']')).or_else(|| inner('{', '}'));
    value.get() == "null" || inner.is_some_and(|inner| inner.trim().is_empty())
}

fn parse_pointer(text: &str) -> Result<Pointer, CallError> {
    Pointer::parse(text).ok_or_else(|| {
        CallError::InvalidRequest(format!("{text:?} is no JSON Pointer: begin it with a slash"))
    })
}

fn next_address(places: &Places<'_, '_>, at: &str) -> Result<Option<String>, CallError> {
    let Some(value) = places.filled(at).filter(|value| !is_zero_or_below(value)) else { return Ok(None) };
    text(value).map(Some).ok_or_else(|| misshapen(at, "the address of the next page", Some(value)))
}

fn next_token(
    places: &Places<'_, '_>,
    at: &str,
    has_more: Option<&str>,
) -> Result<Option<String>, CallError> {
    let has_more = has_more.and_then(|at| flag(places.get(at)?));
    // Without a flag, 0 and -1 say that there is no more: the list begins there.
    let is_token = |value: &&RawValue| has_more == Some(true) || !is_zero_or_below(value);
    let value = match places.filled(at).filter(is_token) {
        _ if has_more == Some(false) => return Ok(None),
        Some(value) if value.get() != "true" => value,
        None if has_more.is_none() => return Ok(None),
        _ => return Err(CallError::NextTokenMissing { at: at.to_owned() }),
    };
    let token = text_or_number(value).filter(|token| !token.chars().any(char::is_control));
    let token = token.ok_or_else(|| misshapen(at, "the token of the next page", Some(value)))?;
    if token.len() > LINK_BYTES_MAX {
        return Err(CallError::InvalidUrl(format!(
            "the token of the next page has {} bytes, the most is {LINK_BYTES_MAX}",
            token.len()
        )));
    }
    Ok(Some(token))
}

/// Whether a flag is up, in whatever form it is written; `None` for what is no flag.
fn flag(value: &RawValue) -> Option<bool> {
    let text = text_or_number(value).unwrap_or_else(|| value.get().to_owned());
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" => Some(true),
        "false" | "no" | "n" => Some(false),
        number => number.parse::<f64>().ok().filter(|number| *number >= 0.0).map(|number| number > 0.0),
    }
}

fn is_zero_or_below(value: &RawValue) -> bool {
    value.get().parse::<f64>().is_ok_and(|number| number <= 0.0)
}

/// A number of items, in whatever form it is written; `None` for what cannot be one.
fn total(value: &RawValue) -> Option<u64> {
    /// The most that a floating-point number counts exactly.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let text = text_or_number(value)?;
    let text = text.trim();
    let of_float = |number: &f64| number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(number);
    text.parse().ok().or_else(|| text.parse().ok().filter(of_float).map(|number| number as u64))
}

fn refusal_code(places: &Places<'_, '_>, expect: &Expect) -> Option<String> {
    cleaned(&text_or_number(places.get(expect.code.as_deref()?)?)?)
}

/// A code of a source as it may stand in one of ours.
pub(crate) fn cleaned(code: &str) -> Option<String> {
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

/// A text, or a number as it is written.
fn text_or_number(value: &RawValue) -> Option<String> {
    let raw = value.get();
    if raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()) { Some(raw.to_owned()) } else { text(value) }
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
