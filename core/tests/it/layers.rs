//! The folders of `core/src/` import only those below them.

use std::collections::BTreeSet;

use crate::sql_text::{files, read};

/// From the bottom.
const LAYERS: [&str; 17] = [
    "skill",
    "parsing",
    "source",
    "jobs",
    "db",
    "erasure",
    "attachment",
    "call_limit",
    "progress",
    "document",
    "import",
    "resume",
    "call",
    "completeness",
    "collection",
    "person",
    "lib",
];

/// The module of this crate that a path begins with, or those that a group in braces imports.
fn modules(after_crate: &str) -> Vec<&str> {
    let Some(group) = after_crate.strip_prefix('{') else {
        return vec![after_crate.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap()];
    };
    let (mut depth, mut begin, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            ',' | '}' if depth == 0 => {
                found.push(group[begin..at].trim().split(':').next().unwrap());
                begin = at + 1;
                if c == '}' {
                    break;
                }
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    found.retain(|module| !module.is_empty());
    found
}

#[test]
fn imports_point_downwards() {
    let layer = |module: &str| LAYERS.iter().position(|known| *known == module);
    let mut upwards = BTreeSet::new();
    for file in files("rs") {
        let Some(place) = file.strip_prefix("core/src/").filter(|place| !place.contains("tests")) else {
            continue;
        };
        let module = place.split(['/', '.']).next().unwrap();
        let own = layer(module).unwrap_or_else(|| panic!("{module} has no layer: add it to LAYERS"));
        let text = read(&file);
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for import in code.join("\n").split("crate::").skip(1).flat_map(modules) {
            if layer(import).is_some_and(|other| other > own) {
                upwards.insert(format!("{file} imports {import}"));
            }
        }
    }
    assert!(upwards.is_empty(), "{upwards:#?}");
}
