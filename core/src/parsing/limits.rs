/// The largest document that is parsed: room for a photo in the text (the schema's own samples have 4 to 8
/// KB), and no more, for a batch of them is in memory at once.
pub const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;

/// The most JSON values in one document, counted by commas and opening brackets. An object of seven bytes
/// takes some 700 in memory, so this, not the size, is what keeps a hostile document below 100 MiB.
pub const MAX_VALUES: usize = 100_000;

/// The deepest nesting of arrays and objects that is parsed. JSON Resume needs 4; the code that walks a
/// document recurses, and `serde_json` itself gives up at 128.
pub const MAX_DEPTH: usize = 64;

/// The most skills kept of one resume. Each is an entry of the search index; who lists more says nothing with
/// any of them.
pub const MAX_SKILLS: usize = 1_000;

/// The most entries kept of a list of jobs, of educations, or of groups of skills. No career has as many.
pub const MAX_ENTRIES: usize = 1_000;

/// The most characters kept of a text for one line (a name, a title, a company): such texts stand in lists
/// and pages.
pub const MAX_LINE_CHARS: usize = 500;

/// The most links kept of one person, and the longest one in bytes.
pub const MAX_LINKS: usize = 50;
pub(super) const MAX_LINK_BYTES: usize = 2_000;
