//! Items out of files: JSON, NDJSON and CSV, from their bytes as they come. Pure; no file, no network, no clock.
//!
//! | place | what is there |
//! | --- | --- |
//! | `reader` | [`ItemReader`]: takes bytes, gives items, gathers faults |
//! | `json` | cuts a list of objects, or one object, into items |
//! | `ndjson` | one item a line |
//! | `csv`, `row` | rows of cells; a row becomes an object from the names of the columns to the cells |
//! | `fault` | what is wrong with a file, and where |
//! | `document` | an item as the raw document of its source |
//!
//! A file is good or it is not: who sends it has it and can mend it, so one bad line is told, with its number, and nothing of
//! the file is stored. What is *in* an item is no matter of the file: an item without an id, or with skills that nobody can
//! read, is kept, and fails alone when it is parsed, as it would from an API.

mod csv;
mod document;
mod fault;
mod json;
mod ndjson;
mod reader;
mod row;
#[cfg(test)]
mod tests;

pub use document::document;
pub use fault::{Fault, Faults, MAX_FAULTS, Place};
pub use reader::{Container, ItemReader, MAX_ITEM_BYTES};
