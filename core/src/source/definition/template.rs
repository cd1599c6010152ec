use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;
use strum::{EnumIter, EnumString, VariantNames};

/// A text with placeholders in braces, such as `gte|{since}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Placeholder),
}

/// What a template can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, EnumIter, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Placeholder {
    /// How many items the collection was asked for.
    Count,
    /// Items on a page.
    PerPage,
    /// The number of the page.
    Page,
    /// How many items stand on the pages before.
    Offset,
    /// From when on changes are asked for; nothing in a full run.
    Since,
    /// When the run began; nothing in a full run.
    Until,
    /// Which people the mock makes up.
    Seed,
    /// Whether the mock breaks some items.
    ErrorMode,
    /// The parent whose items are listed.
    Parent,
    /// The item that is asked for.
    Id,
}

/// The values of the placeholders for one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    /// How many items the collection was asked for; `None`: everything.
    pub count: Option<u64>,
    /// Items on a page.
    pub per_page: u32,
    /// The number of the page, as the source counts.
    pub page: u32,
    /// How many items stand on the pages before.
    pub offset: u64,
    /// From when on changes are asked for, as the source writes times.
    pub since: Option<String>,
    /// When the run began, as the source writes times.
    pub until: Option<String>,
    /// Which people the mock makes up.
    pub seed: i64,
    /// Whether the mock breaks some items.
    pub error_mode: bool,
    /// The id of the parent whose items are listed, or whose item is asked for.
    pub parent: Option<String>,
    /// The id of the item that is asked for.
    pub id: Option<String>,
}

impl Placeholder {
    /// The value as text; `None` when it has none.
    fn value(self, values: &Values) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Count => values.count?.to_string().into(),
            Self::PerPage => values.per_page.to_string().into(),
            Self::Page => values.page.to_string().into(),
            Self::Offset => values.offset.to_string().into(),
            Self::Since => values.since.as_deref()?.into(),
            Self::Until => values.until.as_deref()?.into(),
            Self::Seed => values.seed.to_string().into(),
            Self::ErrorMode => values.error_mode.to_string().into(),
            Self::Parent => values.parent.as_deref()?.into(),
            Self::Id => values.id.as_deref()?.into(),
        })
    }

    /// The value as JSON; `None` when it has none. A time is a number where the source writes it as one.
    fn json(self, values: &Values) -> Option<Value> {
        if self == Self::ErrorMode {
            return Some(Value::Bool(values.error_mode));
        }
        let text = self.value(values)?;
        if matches!(self, Self::Parent | Self::Id) {
            return Some(Value::from(text.as_ref()));
        }
        Some(text.parse::<i64>().map_or_else(|_| Value::from(text.as_ref()), Value::from))
    }
}

impl Template {
    /// A placeholder alone.
    pub(super) fn of(placeholder: Placeholder) -> Self {
        Self(vec![Piece::Value(placeholder)])
    }

    /// The text with all values in it, as text; `None` when one of the placeholders has none.
    pub fn render(&self, values: &Values) -> Option<String> {
        self.render_as(values, |value| value)
    }

    /// As [`render`](Self::render), for a path: in a value, all but letters, digits, `-`, `.`, `_` and `~` is
    /// written as %XX (RFC 3986, section 2.3), so that it stays one part of the path.
    pub(super) fn render_path(&self, values: &Values) -> Option<String> {
        self.render_as(values, |value| encoded(&value).into())
    }

    fn render_as(&self, values: &Values, write: fn(Cow<'_, str>) -> Cow<'_, str>) -> Option<String> {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Some(Cow::from(text)),
                Piece::Value(placeholder) => placeholder.value(values).map(write),
            })
            .collect()
    }

    /// The placeholders in it, in order.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = Placeholder> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Value(placeholder) => Some(*placeholder),
        })
    }

    /// The text with all values in it, as JSON: a template of one placeholder alone is a number or a boolean
    /// where the value is one. `None` when one of the placeholders has no value.
    pub(super) fn render_json(&self, values: &Values) -> Option<Value> {
        match self.0.as_slice() {
            [Piece::Value(placeholder)] => placeholder.json(values),
            _ => self.render(values).map(Value::String),
        }
    }

    /// Whether this placeholder is in it.
    pub fn has(&self, placeholder: Placeholder) -> bool {
        self.0.contains(&Piece::Value(placeholder))
    }
}

fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(byte.into());
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) =
                after.split_once('}').ok_or_else(|| format!("{text:?}: a brace is opened and not closed"))?;
            let placeholder = name.parse().map_err(|_| {
                let names = Placeholder::VARIANTS.join(", ");
                format!("{text:?}: {{{name}}} is none of the placeholders {names}")
            })?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Value(placeholder));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Value(placeholder) => write!(f, "{{{placeholder}}}"),
        })
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Template {
    /// From a text, or a whole number or boolean, which YAML writes without quotes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Bool(value) => value.to_string(),
            Value::Number(number) if !number.is_f64() => number.to_string(),
            // 1.10 would become 1.1.
            Value::Number(number) => {
                return Err(D::Error::custom(format_args!("write {number} as a text, in quotes")));
            }
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(D::Error::custom(
                    "write a text, a number or a boolean; a text that begins with a placeholder needs quotes: \"{page}\"",
                ));
            }
        };
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer", "boolean"],
            "description": "A text that may hold {count}, {per_page}, {page}, {offset}, {since}, {until}, {parent}, {id}, {seed} or {error_mode}",
        })
    }
}
