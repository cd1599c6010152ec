//! All that is held about one person, wherever it is: to show it, and to delete it.
//!
//! | file | what it does |
//! | --- | --- |
//! | `erase.rs` | [`erase()`]: deletes it, so that the next run does not bring them back |
//! | `export.rs` | [`export()`]: gives it as JSON |

mod erase;
mod export;

pub use erase::{EraseError, Erased, Whom, erase};
pub use export::export;
