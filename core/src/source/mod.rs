//! Sources: the systems we collect from.

mod store;

use crate::parsing::Format;

pub(crate) use store::of_collection;
pub use store::{find, list, put};

/// The source of a collection that names none: the original test data.
pub const DEFAULT_SOURCE: &str = "test-data";

/// How a source hands out its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "paging", rename_all = "snake_case")]
pub enum Paging {
    /// Pages have numbers, from 1: several are fetched side by side.
    Numbered,
    /// Each page names the next one: they are fetched one after the other.
    NextLink,
}

/// One system we collect from.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name in the API, unique.
    pub name: String,
    /// The address of its list of items, without parameters.
    pub url: String,
    /// How it hands out its pages.
    pub paging: Paging,
    /// What shape its items have.
    pub format: Format,
    /// The most calls that it allows in any second.
    pub calls_per_second: u32,
}
