//! What remains of people who were [erased](crate::person::erase()), so that the next run does not bring them
//! back: a keyed hash of the id that the source gave them. Its key is a secret of the processes and never in
//! the database: a dump does not reveal who was erased.
//!
//! | file | what it does |
//! | --- | --- |
//! | `key.rs` | [`Key`]: the key, and the hash |
//! | `tombstone.rs` | who was erased; [`lift`] |

mod key;
mod tombstone;

use std::borrow::Cow;

use uuid::Uuid;

pub use key::{BadKey, Key};
pub use tombstone::{CheckError, lift};
pub(crate) use tombstone::{erased_among, remember};

/// Replaces a text that may name an erased person.
pub(crate) const FORGOTTEN: &str = "not kept: it may have told of somebody who was erased";

/// What a person is known by for ever: the id that their source gave them, or else their content. No id has a
/// NUL in it.
pub(crate) fn identity(external_id: Option<&str>, content_hash: Option<Uuid>) -> Cow<'_, str> {
    match external_id {
        Some(id) => id.into(),
        None => format!("\0{}", content_hash.unwrap_or_default()).into(),
    }
}
