//! Sources: the systems we collect from.
//!
//! What one is, is data: its [`Definition`]. To add a source, a person writes a file; see `docs/sources.md`.

pub mod definition;
mod json;
mod store;
pub mod tokens;

use chrono::{DateTime, Utc};

use definition::Definition;

pub use json::{NewerDefinition, is_of_newer_version};
pub(crate) use store::of_collection;
pub use store::{
    VersionedMap, all, find, has_settled, list, mapping, mapping_of_collection, number, put, remove,
};
pub(crate) use store::{hold, name, note_synced};

/// The source of a collection that names none: the original test data.
pub const DEFAULT_SOURCE: &str = "test-data";

/// One system we collect from.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its number, which rows that are many refer to.
    pub id: i32,
    /// How to collect from it.
    pub definition: Definition,
    /// The beginning of the latest run that brought everything up to then.
    pub synced_until: Option<DateTime<Utc>>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When its definition was last written.
    pub updated_at: DateTime<Utc>,
    /// Whether it was removed: its collections end, and none starts any more.
    pub is_removed: bool,
}
