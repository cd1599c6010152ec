use std::collections::HashSet;

use serde_json::Value;

use super::{
    csv::Row,
    fault::{Place, shown},
    reader::{Found, MAX_ITEM_BYTES, text},
};

/// The most columns.
const MAX_COLUMNS: usize = 2_000;

/// The most bytes of their names together, as JSON. Each row repeats them, however short it is.
const MAX_NAMES_BYTES: usize = 64 * 1024;

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
    pub(super) fn take(&mut self, row: &Row, found: &mut Found<'_>) {
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
            Some(names) => match object(names, row, text) {
                Some(item) => found.give(&item),
                None => found.too_long(row.begin),
            },
        }
    }

    /// Takes the first row.
    fn name(&mut self, row: &Row, text: &str, found: &mut Found<'_>) {
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
        let names: Vec<String> = names.into_iter().map(|name| Value::String(name).to_string()).collect();
        let names_bytes: usize = names.iter().map(String::len).sum();
        if names_bytes > MAX_NAMES_BYTES {
            let detail = format!(
                "the names of the columns have {names_bytes} bytes together, the most is {MAX_NAMES_BYTES}: shorten them"
            );
            return found.lose(row.begin, detail);
        }
        self.names = Some(names);
    }
}

/// A row as an object, from the names of its columns to its cells as they are. What is empty is left out. `None` when it is
/// longer than an item may be.
fn object(names: &[String], row: &Row, text: &str) -> Option<Vec<u8>> {
    let mut object = Vec::with_capacity(text.len() + 2);
    for (name, cell) in names.iter().zip(row.cells(text)).filter(|(_, cell)| !cell.is_empty()) {
        object.push(if object.is_empty() { b'{' } else { b',' });
        object.extend_from_slice(name.as_bytes());
        object.push(b':');
        // Into memory, where nothing goes wrong.
        serde_json::to_writer(&mut object, cell).ok()?;
        if object.len() >= MAX_ITEM_BYTES {
            return None;
        }
    }
    object.push(b'}');
    Some(object)
}
