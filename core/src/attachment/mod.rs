//! Attachments: the files that belong to items, such as resumes as PDF. Fetched by the pages of step
//! [`Attachment`](crate::source::definition::Step::Attachment), kept once by the SHA-256 of their bytes, and
//! given out as they are. Nobody reads what is in them yet.

mod find;
mod media_type;
mod store;

use sha2::{Digest, Sha256};

pub use find::{Finder, Found, Link, MAX_PER_ITEM};
pub use media_type::{MEDIA_TYPES, media_type};
pub use store::{Attachment, File, find, list};
pub(crate) use store::{delete_of, kept, store};

/// The codes of attachments that are not kept by rule. They are listed, but a run that has nothing worse has
/// brought all that there is to have: another one would bring no more.
pub(crate) const NOT_KEPT: [&str; 3] =
    ["attachment_type_not_allowed", "attachment_too_large", "attachments_too_many"];

/// The largest attachment, in bytes. Resumes with pictures have some megabytes.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;

/// A file that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttachment {
    /// What it is, one of the types of [`media_type`].
    pub media_type: &'static str,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// The file.
    pub bytes: Vec<u8>,
}

impl NewAttachment {
    /// Looks what a file is, and hashes it. Pure work, some milliseconds for each megabyte. `None` for a file
    /// of a type that is not kept. `declared`: what the server says it is.
    pub fn new(bytes: Vec<u8>, declared: Option<&str>) -> Option<Self> {
        let media_type = media_type(&bytes, declared)?;
        Some(Self { media_type, sha256: Sha256::digest(&bytes).into(), bytes })
    }
}
