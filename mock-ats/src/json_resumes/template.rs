use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A sample, cut at the places where documents differ.
pub(super) struct Template {
    pub(super) sections: Vec<Section>,
}

/// One top-level key of a sample.
pub(super) struct Section {
    pub(super) key: String,
    pub(super) pieces: Vec<Piece>,
}

/// A part of a section.
pub(super) enum Piece {
    /// JSON as it is.
    Text(String),
    /// Room for a name, as a JSON string.
    Name,
    /// Room for an e-mail address, as a JSON string.
    Email,
    /// Room for one entry of `skills`, an object.
    SkillEntry,
}

impl Template {
    /// Cuts a document.
    ///
    /// # Errors
    /// When `text` is not an object, or its `basics` is not one, or its `skills` is not a list.
    pub(super) fn parse(text: &str) -> serde_json::Result<Self> {
        let Fields(fields) = serde_json::from_str(text)?;
        let section = |(key, value): (String, Box<RawValue>)| {
            let pieces = match key.as_str() {
                "basics" => basics(value.get())?,
                "skills" => skills(value.get())?,
                _ => vec![Piece::Text(without_white_space(value.get()))],
            };
            Ok(Section { key, pieces })
        };
        Ok(Self { sections: fields.into_iter().map(section).collect::<serde_json::Result<_>>()? })
    }
}

fn basics(text: &str) -> serde_json::Result<Vec<Piece>> {
    let Fields(fields) = serde_json::from_str(text)?;
    let mut pieces = Vec::new();
    let mut before = '{';
    for (key, value) in fields {
        pieces.push(Piece::Text(format!("{before}\"{key}\":")));
        pieces.push(match key.as_str() {
            "name" => Piece::Name,
            "email" => Piece::Email,
            _ => Piece::Text(without_white_space(value.get())),
        });
        before = ',';
    }
    pieces.push(Piece::Text(String::from("}")));
    Ok(pieces)
}

/// The list with room for one entry more at its end. No sample has an empty list of skills.
fn skills(text: &str) -> serde_json::Result<Vec<Piece>> {
    let entries: Vec<&RawValue> = serde_json::from_str(text)?;
    let entries: Vec<_> = entries.into_iter().map(|entry| without_white_space(entry.get())).collect();
    Ok(vec![
        Piece::Text(format!("[{},", entries.join(","))),
        Piece::SkillEntry,
        Piece::Text(String::from("]")),
    ])
}

/// Drops the white space between tokens and keeps that inside strings. `json` must be valid.
fn without_white_space(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |c: &char| {
        let inside = in_string;
        match c {
            '"' if !escaped => in_string = !in_string,
            '\\' if in_string && !escaped => {
                escaped = true;
                return true;
            }
            _ => {}
        }
        escaped = false;
        inside || !c.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

/// The fields of an object in the order of the text, values untouched.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_inside_strings_stays() {
        let json = "{ \"a \\\" b\" : [ 1 ,\n\t\"c \\\\\" , \" d\" ] }";
        assert_eq!(without_white_space(json), "{\"a \\\" b\":[1,\"c \\\\\",\" d\"]}");
    }
}
