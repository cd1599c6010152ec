use std::{borrow::Cow, time::Duration};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

/// The longest time; the queue knows no longer ones.
const MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// How the description calls it.
pub(crate) const FORMAT: &str = "time-span";

/// What it is in words, to follow "must be".
pub(crate) const EXPECTED: &str =
    "a length of time of at most 366 days: a whole number of seconds, or such as 90s, 10m, 2h or 3days";

/// A length of time: a number of seconds, or numbers with units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    fn read(text: &str) -> Option<Self> {
        let span = match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => humantime::parse_duration(text).ok()?,
        };
        Some(Self(span)).filter(|_| span <= MAX)
    }

    /// Reads a string or a number of seconds.
    pub(crate) fn of_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::read(text),
            Value::Number(seconds) => Self::read(&seconds.to_string()),
            _ => None,
        }
    }
}

impl Type for Span {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_time-span".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", FORMAT)))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ParseFromParameter for Span {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::read(text).ok_or_else(|| ParseError::custom(EXPECTED))
    }
}

impl ParseFromJSON for Span {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        value.as_ref().and_then(Self::of_json).ok_or_else(|| ParseError::custom(EXPECTED))
    }
}

impl ToJSON for Span {
    fn to_json(&self) -> Option<Value> {
        Some(humantime::format_duration(self.0).to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_units_are_read() {
        for (text, seconds) in [("0", 0), ("90", 90), ("90s", 90), ("10m", 600), ("1h 30m", 5400)] {
            assert_eq!(Span::read(text), Some(Span(Duration::from_secs(seconds))), "{text}");
        }
        assert_eq!(Span::read("366days"), Some(Span(MAX)));
        assert_eq!(Span::of_json(&60.into()), Some(Span(Duration::from_secs(60))));
    }

    #[test]
    fn nothing_else_is_a_span() {
        for text in ["", " ", "-1", "1.5", "ten", "10 x", "367days", "99999999999999999999", "1e3", "5m\0"] {
            assert_eq!(Span::read(text), None, "{text:?}");
        }
        for value in [Value::Null, true.into(), 1.5.into(), (-1).into()] {
            assert_eq!(Span::of_json(&value), None, "{value}");
        }
    }
}
