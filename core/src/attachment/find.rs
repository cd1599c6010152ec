use serde_json::Value;

use crate::{parsing::Query, source::definition::Attachments};

/// The most attachments of one item.
pub const MAX_PER_ITEM: usize = 20;

/// The longest address, as that of a next link, and the longest name, in bytes and characters.
const MAX_URL_BYTES: usize = 8 * 1024;
const MAX_NAME_CHARS: usize = 200;

/// Finds the attachments of items.
#[derive(Debug, Clone)]
pub struct Finder(Query);

/// Where an attachment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its place among those of the item, from 1.
    pub place: i32,
    /// Its address, as it stands in the item.
    pub url: String,
    /// Its name, fit to be shown: at most 200 characters, none of them a control character or a slash.
    pub name: String,
}

/// The attachments of one item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Those that can be fetched, in order.
    pub links: Vec<Link>,
    /// The code and the text of what is wrong with the others.
    pub fault: Option<(&'static str, String)>,
}

impl Finder {
    /// Makes ready what a definition says.
    ///
    /// # Errors
    /// What is wrong with the expression; nothing in a
    /// [checked](crate::source::definition::Definition::check) definition.
    pub fn new(attachments: &Attachments) -> Result<Self, String> {
        Query::new(&attachments.at).map(Self)
    }

    /// The attachments of an item. One without an address is none; of more than [`MAX_PER_ITEM`] the first
    /// are taken. Pure.
    pub fn find(&self, item: &[u8]) -> Found {
        let list = match self.0.find(item) {
            Ok(Value::Null) => return Found::default(),
            Ok(Value::Array(list)) => list,
            Ok(one) => vec![one],
            Err(reason) => {
                return Found { links: Vec::new(), fault: Some(("attachments_unreadable", reason)) };
            }
        };
        let mut found = Found::default();
        if list.len() > MAX_PER_ITEM {
            let detail = format!("an item has {} attachments, the most is {MAX_PER_ITEM}", list.len());
            found.fault = Some(("attachments_too_many", detail));
        }
        for (place, value) in (1..).zip(list.iter().take(MAX_PER_ITEM)) {
            match link(place, value) {
                Ok(link) => found.links.extend(link),
                Err(reason) => found.fault = Some(("attachments_unreadable", reason)),
            }
        }
        found
    }
}

fn link(place: i32, value: &Value) -> Result<Option<Link>, String> {
    let url = match value.get("url") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(url)) if url.trim().is_empty() => return Ok(None),
        Some(Value::String(url)) if url.len() <= MAX_URL_BYTES && !url.contains(char::is_control) => url,
        Some(Value::String(url)) => {
            return Err(format!(
                "the address of an attachment has {} bytes or a control character; the most is {MAX_URL_BYTES}",
                url.len()
            ));
        }
        Some(_) => return Err("the url of an attachment is no text".to_owned()),
    };
    let name = value.get("name").and_then(Value::as_str).map(shown).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| format!("attachment-{place}"));
    Ok(Some(Link { place, url: url.clone(), name }))
}

/// A name without what a file's name cannot have.
fn shown(name: &str) -> String {
    let plain = |c: char| if c.is_control() || ['/', '\\'].contains(&c) { '_' } else { c };
    name.trim().chars().map(plain).take(MAX_NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(at: &str, item: &str) -> Found {
        Finder::new(&Attachments { at: at.to_owned(), hosts: Vec::new() }).unwrap().find(item.as_bytes())
    }

    #[test]
    fn addresses_and_names_are_found() {
        let at = "attachments[?type=='resume'].{url: url, name: filename}";
        let item = r#"{"attachments": [
            {"type": "resume", "url": "https://a/1", "filename": " cv/../x.pdf "},
            {"type": "cover_letter", "url": "https://a/2"},
            {"type": "resume", "url": "https://a/3"}, {"type": "resume", "url": null}]}"#;
        let link = |place, url: &str, name: &str| Link { place, url: url.to_owned(), name: name.to_owned() };
        let links = vec![link(1, "https://a/1", "cv_.._x.pdf"), link(2, "https://a/3", "attachment-2")];
        assert_eq!(found(at, item), Found { links, fault: None });
        let one = found("{url: resume, name: 'r'}", r#"{"resume": "https://a/1"}"#);
        assert_eq!(one.links, [link(1, "https://a/1", "r")]);
        assert_eq!(found(at, "{}"), Found::default());
        assert_eq!(found("{url: resume}", "{}"), Found::default());
    }

    #[test]
    fn what_cannot_be_an_attachment_is_told() {
        let many = format!(r#"{{"a": [{}]}}"#, vec![r#"{"url": "https://a"}"#; 21].join(","));
        let many = found("a", &many);
        assert_eq!((many.links.len(), many.fault.unwrap().0), (20, "attachments_too_many"));
        for item in [r#"{"a": [{"url": 7}]}"#, r#"{"a": [{"url": "https://a\u0007"}]}"#, "[]", "no JSON"] {
            let found = found("a", item);
            assert!(found.links.is_empty(), "{item}");
            assert_eq!(found.fault.unwrap().0, "attachments_unreadable", "{item}");
        }
        let long = format!(r#"{{"a": [{{"url": "https://a/{}"}}]}}"#, "x".repeat(MAX_URL_BYTES));
        assert!(found("a", &long).fault.is_some());
    }
}
