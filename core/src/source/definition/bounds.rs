//! Bounds that the types put into the schema, for editors, and that the checks hold definitions to. Lengths
//! are of bytes here, and of characters in the schema, which is never narrower.

/// The longest name of a source, as long as a label of DNS: it stands in paths, keys and names of files.
pub(super) const MAX_NAME_BYTES: usize = 63;

/// What a name of a source is made of; dots alone are no name.
pub(super) const NAME: &str = r"^[a-z0-9._-]*[a-z0-9_-][a-z0-9._-]*$";

/// The longest description, in bytes.
pub(super) const MAX_DESCRIPTION_BYTES: usize = 1_000;

/// The most addresses of one system beside the first.
pub(super) const MAX_FALLBACKS: usize = 8;

/// The most headers, and the most proofs of who we are.
pub(super) const MAX_HEADERS: usize = 32;
pub(super) const MAX_AUTHS: usize = 4;

/// The most limits that hold at once.
pub(super) const MAX_LIMITS: usize = 8;

/// The most calls of a limit.
pub(super) const MAX_CALLS: u32 = 1_000_000;

/// The most refusals, and the longest text of one.
pub(super) const MAX_REFUSALS: usize = 16;
pub(super) const MAX_TEXT_BYTES: usize = 200;

/// The most calls under way at once.
pub(super) const MAX_CONCURRENCY: u32 = 1_000;

/// The most items on one page.
pub const MAX_PER_PAGE: u32 = 1_000;

/// The longest path, parameter name, pointer and error code, in bytes.
pub(super) const MAX_PATH_BYTES: usize = 1_000;
pub(super) const MAX_PARAM_BYTES: usize = 200;
pub(super) const MAX_POINTER_BYTES: usize = 500;
pub(super) const MAX_CODE_BYTES: usize = 200;

/// A path begins with one slash.
pub(super) const PATH: &str = "^/([^/?#][^?#]*)?$";

/// A JSON Pointer: RFC 6901, section 3.
pub(super) const POINTER: &str = "^(/([^~]|~[01])*)?$";

/// The most parameters, and the most error codes.
pub(super) const MAX_PARAMS: usize = 64;
pub(super) const MAX_CODES: usize = 32;

/// The most hosts of attachments.
pub(super) const MAX_HOSTS: usize = 16;
