use std::collections::HashSet;

use serde_json::Value;

use super::{
    csv::Row,
    fault::{Place, shown},
    reader::{Found, MAX_ITEM_BYTES, text},
};

/// The most columns.
const MAX_COLUMNS: usize = 2_000;

/// The names of the columns, once the first row has told them; makes objects of the rows below.
#[derive(Debug)]
pub(super) struct Columns {
    /// The column that the ids are in, as a JSON Pointer into an item.
    id: String,
    /// Each as a JSON text.
    names: Option<Vec<String>>,
}

impl Columns {
    pub(super) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), names: None }
    }

    /// Takes a row, of which at least one cell is not empty.
    pub(super) fn take(&mut self, row: &Row, found: &mut Found) {
        let text = match text(row.begin, row.bytes()) {
            Ok(text) => text,
            Err((Place { line, .. }, detail)) => {
                // Quotes and delimiters are not counted there, so the column would be wrong.
                return found.fault(Place { line, column: 1 }, detail);
            }
        };
        match &self.names {
            None => self.name(row, text, found),
            Some(names) if names.len() != row.len() => found.fault(
                row.begin,
                format!(
                    "{} cells, and the first row has {}: write one for each column",
                    row.len(),
                    names.len()
                ),
            ),
            Some(names) => {
                let item = object(names, row, text);
                if item.len() > MAX_ITEM_BYTES {
                    found.too_long(row.begin);
                } else {
                    found.items.push(item);
                }
            }
        }
    }

    /// Takes the first row.
    fn name(&mut self, row: &Row, text: &str, found: &mut Found) {
        if row.len() > MAX_COLUMNS {
            let detail = format!("{} columns, the most is {MAX_COLUMNS}", row.len());
            return found.lose(row.begin, detail);
        }
        let name = |(index, cell): (usize, &str)| match cell.trim() {
            "" => format!("column {}", index + 1),
            name => name.to_owned(),
        };
        let names: Vec<String> = row.cells(text).enumerate().map(name).collect();
        let mut known = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !known.insert(name.as_str())) {
            let detail = format!("two columns are named {:?}: give each its own name", shown(twice));
            return found.lose(row.begin, detail);
        }
        let id = self.id.strip_prefix('/').unwrap_or_default().replace("~1", "/").replace("~0", "~");
        if !known.contains(id.as_str()) {
            let detail = format!(
                "no column is named {id:?}, which is where the definition of the source says the ids are; there are {}",
                shown(&names.join(", "))
            );
            return found.lose(row.begin, detail);
        }
        self.names = Some(names.into_iter().map(|name| Value::String(name).to_string()).collect());
    }
}

/// A row as an object, from the names of its columns to its cells as they are. What is empty is left out.
fn object(names: &[String], row: &Row, text: &str) -> Vec<u8> {
    let mut object = String::with_capacity(text.len() + 16 * names.len());
    for (name, cell) in names.iter().zip(row.cells(text)).filter(|(_, cell)| !cell.is_empty()) {
        object.push(if object.is_empty() { '{' } else { ',' });
        object.push_str(name);
        object.push(':');
        object.push_str(&Value::from(cell).to_string());
    }
    object.push('}');
    object.into_bytes()
}
