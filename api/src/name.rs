use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};
use resume_queue::{MAX_NAME_CHARS, is_name};

/// The longest name of a schedule, a queue, a kind or an error code.
pub(crate) const MAX_CHARS: usize = MAX_NAME_CHARS;

/// In the description: something else than dots and slashes, which clients and servers take for steps in a
/// path.
pub(crate) const PATTERN: &str = "[^./]";

/// A name in a path or a query.
///
/// Instead of `String`, in which a NUL comes through to Postgres, which has none, and `..`, which most
/// clients drop.
#[derive(Debug)]
pub(crate) struct Name(pub(crate) String);

impl Type for Name {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_name".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            min_length: Some(1),
            max_length: Some(MAX_CHARS),
            pattern: Some(PATTERN.to_owned()),
            ..MetaSchema::new("string")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ParseFromParameter for Name {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        if is_name(text) { Ok(Self(text.to_owned())) } else { Err(ParseError::custom("not a name")) }
    }
}
