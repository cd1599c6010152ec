//! Items out of files: JSON, NDJSON and CSV. Reads the file that it is given; no network, no clock.
//!
//! | place | what is there |
//! | --- | --- |
//! | `reader` | [`read_items`]: gives items, or all that is wrong with a file |
//! | `container` | how items stand in a file |
//! | `json` | a list of objects, one object, or an answer of the API with a list in it |
//! | `ndjson` | one item a line |
//! | `csv`, `columns` | rows of cells; a row becomes an object from the names of the columns to the cells |
//! | `found` | where the items and the faults go |
//! | `fault` | what is wrong with a file, and where |
//! | `document` | an item as the raw document of its source |
//!
//! A file is good or it is not: who sends it has it and can mend it, so one bad line is reported, with its
//! number, and nothing of the file is stored. What is *in* an item is no matter of the file: an item without
//! an id, or with skills that nobody can read, is kept, and fails alone when it is parsed, as it would from
//! an API.

mod columns;
mod container;
mod csv;
mod document;
mod fault;
mod found;
mod json;
mod ndjson;
mod reader;
#[cfg(test)]
mod tests;

pub use container::Container;
pub use document::document;
pub use fault::{Fault, Faults, MAX_FAULTS, Place};
pub use found::MAX_ITEM_BYTES;
pub use reader::{ReadError, read_items};
