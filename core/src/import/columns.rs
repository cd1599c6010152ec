use std::collections::HashSet;

use serde_json::Value;

use super::{
    fault::{Place, shown},
    found::{Found, MAX_ITEM_BYTES},
};
use crate::parsing::json_pointer::unescape;

/// The most columns.
pub(super) const MAX_COLUMNS: usize = 2_000;

/// The most bytes of their names together, as JSON. Each row repeats them, however short it is.
const MAX_NAMES_BYTES: usize = 64 * 1024;

/// The names of the columns, each as a JSON text.
pub(super) struct Columns(Vec<String>);

impl Columns {
    /// Takes the names from the first row.
    ///
    /// # Errors
    /// Fails with what is wrong with them, in words.
    pub(super) fn new(row: &[&str], id: &str) -> Result<Self, String> {
        let name = |(index, cell): (usize, &&str)| match cell.trim() {
            "" => format!("column {}", index + 1),
            name => name.to_owned(),
        };
        if row.len() > MAX_COLUMNS {
            return Err(format!("{} columns, the most is {MAX_COLUMNS}", row.len()));
        }
        let names: Vec<String> = row.iter().enumerate().map(name).collect();
        let mut known = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !known.insert(name.as_str())) {
            return Err(format!("two columns are named {:?}: give each its own name", shown(twice)));
        }
        let id = unescape(id.strip_prefix('/').unwrap_or_default());
        if !known.contains(id.as_str()) {
            return Err(format!(
                "no column is named {id:?}, which is where the definition of the source says the ids are; \
                 there are {}",
                shown(&names.join(", "))
            ));
        }
        let names: Vec<String> = names.into_iter().map(|name| Value::String(name).to_string()).collect();
        let bytes: usize = names.iter().map(String::len).sum();
        if bytes > MAX_NAMES_BYTES {
            return Err(format!(
                "the names of the columns have {bytes} bytes together, the most is {MAX_NAMES_BYTES}: \
                 shorten them"
            ));
        }
        Ok(Self(names))
    }

    /// Takes a row, of which at least one cell is not empty.
    pub(super) fn take(&self, cells: &[&str], place: Place, found: &mut Found<'_>) {
        if cells.len() != self.0.len() {
            let (cells, names) = (cells.len(), self.0.len());
            let detail = format!("{cells} cells, and the first row has {names}: write one for each column");
            return found.fault(place, detail);
        }
        match self.object(cells) {
            Some(item) => found.give(&item),
            None => found.too_long(place),
        }
    }

    /// A row as an object, from the names of its columns to its cells as they are. What is empty is left out.
    /// `None` when it is longer than an item may be.
    fn object(&self, cells: &[&str]) -> Option<Vec<u8>> {
        let mut object = Vec::new();
        for (name, cell) in self.0.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
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
}
