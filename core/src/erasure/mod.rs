//! Erasing people: what is held about one person is deleted, and the next run does not bring them back.
//!
//! What remains is a keyed hash of the id that the source gave them. Its key is a secret of the processes and never in the database, so
//! that a dump tells nobody who was erased.
//!
//! | file | what it does |
//! | --- | --- |
//! | `key.rs` | [`Key`]: the key, and the hash |
//! | `tombstone.rs` | who was erased; [`lift`] |

mod key;
mod tombstone;

pub use key::{BadKey, Key};
pub(crate) use tombstone::erased_among;
pub use tombstone::{CheckError, LiftError, lift};
