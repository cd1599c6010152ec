use std::{borrow::Cow, fmt};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};

/// How the description calls it.
pub(crate) const FORMAT: &str = "sha-256";

/// What it is in words, to follow "must be".
pub(crate) const EXPECTED: &str = "a SHA-256: 64 hexadecimal digits";

/// A SHA-256, in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sha256(pub(super) [u8; 32]);

impl Sha256 {
    fn read(text: &str) -> Option<Self> {
        let digits: Vec<u8> =
            text.chars().map(|c| Some(c.to_digit(16)? as u8)).collect::<Option<Vec<_>>>()?;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        (digits.len() == 64).then(|| bytes.try_into().ok().map(Self)).flatten()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Type for Sha256 {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_sha-256".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            pattern: Some("^[0-9A-Fa-f]{64}$".to_owned()),
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

impl ParseFromParameter for Sha256 {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::read(text).ok_or_else(|| ParseError::custom("not a SHA-256"))
    }
}
