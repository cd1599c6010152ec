use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};
use resume_core::parsing::is_external_id;

/// How the description calls it.
pub(crate) const FORMAT: &str = "external-id";

/// What it is in words, to follow "must be".
pub(crate) const EXPECTED: &str =
    "the id that the source gave a person, percent-encoded: 1 to 512 bytes, not blank, without NUL";

/// The id that a source gave a person. It may hold any characters but NUL, slashes among them.
#[derive(Debug)]
pub(crate) struct ExternalId(pub(crate) String);

impl Type for ExternalId {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_external-id".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            min_length: Some(1),
            max_length: Some(512),
            ..MetaSchema::new_with_format("string", FORMAT)
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ParseFromParameter for ExternalId {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        if is_external_id(text) { Ok(Self(text.to_owned())) } else { Err(ParseError::custom("not an id")) }
    }
}
