use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::{MergeKeyPolicy, Options, alias_limits, budget, options};

use super::{Definition, Fault, Faults};
use crate::parsing::json_pointer::{escape, unescape};

/// The longest text of a definition, in bytes. One with every field and long expressions has some 5 KiB.
pub const MAX_DEFINITION_BYTES: usize = 64 * 1024;

/// The most characters of what a reader of texts says.
const MAX_MESSAGE_CHARS: usize = 500;

/// The fault of a proof of another shape.
const OF_AUTH: &str = "write one of basic, bearer, header, client_credentials, refresh_token and login, with its fields; what stands here is \
                       not shown, because it may be a secret";

/// Why a text is no definition that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// It is too long, no YAML, or not of the shape of a definition: a sentence, with line and column where
    /// there are some.
    #[error("{0}")]
    Text(String),
    /// It is of the shape, and not all in it is right.
    #[error(transparent)]
    Faults(#[from] Faults),
}

impl Definition {
    /// Reads a definition from YAML, of which JSON is a part, and [checks](Self::check) it.
    ///
    /// Takes time and memory in proportion to the text, whatever stands in it.
    ///
    /// # Errors
    /// [`DefinitionError::Text`] for a text longer than [`MAX_DEFINITION_BYTES`], and for the first place
    /// where it is no definition: an unknown, missing or repeated field, or a value of the wrong type.
    /// [`DefinitionError::Faults`] for all else that is wrong.
    pub fn from_yaml(text: &str) -> Result<Self, DefinitionError> {
        check_size(text.len())?;
        // Some editors begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let definition: Self = serde_saphyr::from_str_with_options(text, yaml_options())
            .map_err(|error| DefinitionError::Text(explain(text, &error)))?;
        definition.check()?;
        Ok(definition)
    }

    /// Reads a definition from JSON, and [checks](Self::check) it.
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml); a value of the wrong shape is a fault too, with its place.
    pub fn from_json(value: &Value) -> Result<Self, DefinitionError> {
        check_size(value.to_string().len())?;
        let definition = of_shape(value).map_err(|fault| Faults(vec![fault]))?;
        definition.check()?;
        Ok(definition)
    }
}

fn check_size(bytes: usize) -> Result<(), DefinitionError> {
    if bytes <= MAX_DEFINITION_BYTES {
        return Ok(());
    }
    let detail = format!("the definition has {bytes} bytes, the most is {MAX_DEFINITION_BYTES}");
    Err(DefinitionError::Text(detail))
}

/// Plain YAML 1.2, as a definition needs it: `no` is a text, `<<` is no merge, and nothing grows by aliases.
fn yaml_options() -> Options {
    options! {
        budget: budget! { max_depth: 32, max_nodes: 10_000, max_events: 20_000, max_aliases: 100, max_documents: 1 },
        alias_limits: alias_limits! { max_total_replayed_events: 10_000 },
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

/// Reads without checking; the error is the first place of another shape.
fn of_shape(value: &Value) -> Result<Definition, Fault> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (at, mut detail) = (pointer(error.path()), error.inner().to_string());
        if at.contains("/paging") && detail.starts_with("invalid type: unit") {
            detail.push_str("; write for example `numbered: {}`");
        }
        if !at.starts_with("/auth") || detail.starts_with("missing field") {
            return Fault { at, detail: in_short(&detail) };
        }
        // Messages quote what they found, and places the names of fields; here that may be a secret in the
        // wrong place.
        Fault { at: at.split('/').take(3).collect::<Vec<_>>().join("/"), detail: OF_AUTH.to_owned() }
    })
}

/// Reads what was written before, by this version or a newer one: fields that are unknown here are ignored,
/// as far as they can be.
pub(in crate::source) fn decode_stored<T: DeserializeOwned>(
    mut value: Value,
) -> Result<T, serde_json::Error> {
    loop {
        let error = match serde_path_to_error::deserialize(&value) {
            Ok(read) => return Ok(read),
            Err(error) => error,
        };
        let at = pointer(error.path());
        if !error.inner().to_string().starts_with("unknown field") || !remove(&mut value, &at) {
            return Err(error.into_inner());
        }
    }
}

/// Removes a member; returns false if there is none.
fn remove(value: &mut Value, at: &str) -> bool {
    let Some((parent, key)) = at.rsplit_once('/') else { return false };
    let parent = value.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.is_some_and(|of| of.remove(&unescape(key)).is_some())
}

/// Says what is wrong with YAML that is no definition: the line, the column and, if it is YAML, the place in
/// it.
fn explain(text: &str, error: &serde_saphyr::Error) -> String {
    let value = serde_saphyr::from_str_with_options::<Value>(text, yaml_options());
    let fault = value.ok().and_then(|value| of_shape(&value).err());
    match (fault, error.location()) {
        (Some(fault), Some(location)) => {
            in_short(&format!("{fault} (line {}, column {})", location.line(), location.column()))
        }
        (Some(fault), None) => in_short(&fault.to_string()),
        (None, _) => in_short(&error.to_string()),
    }
}

fn in_short(message: &str) -> String {
    message.chars().take(MAX_MESSAGE_CHARS).collect()
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let steps = path.iter().map(|segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", escape(key)),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    });
    steps.collect()
}
