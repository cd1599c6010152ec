//! What remains of people who were [erased](crate::person::erase()), so that the next run does not bring them
//! back: a keyed hash of the id that the source gave them. Its key is a secret of the processes and never in
//! the database, so that a dump tells nobody who was erased.
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

/// Stands in place of a text that may have named somebody who was erased.
pub(crate) const FORGOTTEN: &str = "not kept: it may have told of somebody who was erased";

/// What a person is known by for ever: the id that their source gave them, or else their content. No id has a
/// NUL in it.
pub(crate) fn identity(external_id: Option<&str>, content_hash: Option<Uuid>) -> Cow<'_, str> {
    match external_id {
        Some(id) => id.into(),
        None => format!("\0{}", content_hash.unwrap_or_default()).into(),
    }
}
