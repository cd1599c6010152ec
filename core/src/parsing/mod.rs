//! Parsing: from the bytes of a raw document to a resume. Pure functions; no clock, no database, no panic.
//!
//! | place | what is there |
//! | --- | --- |
//! | `parse` | [`parse`], [`parse_mapped`]: from bytes to a resume, and [`PARSER_VERSION`] |
//! | `parsed_resume` | [`ParsedResume`] |
//! | `limits` | how large, deep and long things may be |
//! | `document`, `mend` | what holds for every format: size, depth, UTF-8, byte order mark, NUL, halves of surrogate pairs |
//! | `external_id` | the id that the source gave the document: [`id_at`], the one reader of ids |
//! | `profile`, `json_resume`, `mapped` | one format each: which fields are read, under which names |
//! | `entry`, `work`, `education`, `skill_list` | reading the fields of one object, a list of jobs, of educations, of skills |
//! | `dates` | partial dates, as people write them |
//! | `error`, `warning`, `pointer` | what was wrong, what was odd, and where |
//! | `time` | when something was, as systems write it: [`time_at`] |
//! | [`json_pointer`] | reading at a place without parsing the rest |
//!
//! # What makes a document fail, and what only gives a warning
//! A document fails ([`ParseError`]) when nobody knows whose it is, and when it is no resume: bytes that are
//! no JSON, an object in which nothing is known (`not_a_resume`), or one beyond the limits. Within a resume
//! one odd section or entry costs itself at most: it is read as well as can be, else left out, and a
//! [`Warning`] names the place. What is not read is in the raw document.
//!
//! | in the document | original shape ([`Format::Profile`]) | JSON Resume ([`Format::JsonResume`]) | [`Format::Mapped`], as mapped |
//! | --- | --- | --- | --- |
//! | no member that is known, such as `{"error": "x"}` | `not_a_resume` | `not_a_resume` | `not_a_resume` when the map finds what it finds in `{}` |
//! | half of a surrogate pair, a number beyond 64 bits | U+FFFD, a text; warned | the same | the same |
//! | `skills` missing or null | none, warned | none | none |
//! | `skills` a text | the skills between `,`, `;`, <code>\|</code>, `•` and line ends; warned | the same | the same, not warned |
//! | a skill that is an object | its `name` and `keywords` | the same | the same |
//! | a skill that is null, blank, over 128 characters or of another type | left out, warned | the same | the same |
//! | work experiences missing or null | none, warned | none | none |
//! | a list that is an object | read as a list of its values, or of one; warned | the same | the same |
//! | an entry that is a text | read as the title or the school, warned | the same | the same |
//! | an entry that is null, blank, of another type or without anything known | left out, warned | the same | the same |
//! | another section or field of the wrong type | left out, warned | the same | the same |
//! | a date that stands for none (0000-00-00, 9999-12-31) | left out, an end that is far away as open; warned | the same | the same |
//! | an expression that fails | | | the field is left empty, warned |
//!
//! Of two equal keys in one object the last one counts. A leading byte order mark is skipped, NUL characters
//! are taken out of texts and keys (Postgres stores none), both with a warning. A skill that stands twice is
//! kept once, under its first spelling.
//!
//! # To add a format
//! A variant of [`Format`], a module with a `parse` function, a row in `parse.rs`, a column in the table
//! above, fixtures, and a value for the Postgres enum.

mod dates;
mod document;
mod education;
mod entry;
mod error;
mod external_id;
mod format;
pub mod json_pointer;
mod json_resume;
mod limits;
mod mapped;
mod mend;
mod parse;
mod parsed_resume;
mod pointer;
mod profile;
mod skill_list;
#[cfg(test)]
mod tests;
mod time;
mod warning;
mod work;

pub use self::error::{ErrorCode, MAX_DETAIL_CHARS, ParseError};
pub use self::external_id::{MAX_ID_BYTES, id_at, is_external_id};
pub use self::format::Format;
pub use self::limits::{
    MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_ENTRIES, MAX_LINE_CHARS, MAX_LINKS, MAX_SKILLS, MAX_VALUES,
};
pub(crate) use self::mapped::Query;
pub use self::mapped::{
    BadExpression, CompiledMapping, MAX_EXPRESSION_BYTES, MAX_GROWTH, MAX_OPERATORS, Mapping,
};
pub use self::parse::{PARSER_VERSION, parse, parse_mapped};
pub use self::parsed_resume::{Education, ParsedResume, WorkExperience};
pub use self::time::time_at;
pub use self::warning::{MAX_WARNINGS, Warning, WarningCode};
