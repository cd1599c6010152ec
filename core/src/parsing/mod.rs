//! Parsing: from the bytes of a raw document to a resume. Pure functions; no clock, no database, no panic.
//!
//! | place | what is there |
//! | --- | --- |
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
//! A variant of [`Format`], a module with a `parse` function, a row in `parse` below, a column in the table
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
mod mapped;
mod mend;
mod pointer;
mod profile;
mod skill_list;
#[cfg(test)]
mod tests;
mod time;
mod warning;
mod work;

use self::entry::is_web_address;
pub use self::error::{ErrorCode, MAX_DETAIL_CHARS, ParseError};
pub use self::external_id::is_external_id;
pub use self::external_id::{MAX_ID_BYTES, external_id, id_at};
pub use self::format::{Format, UnknownFormat};
pub(crate) use self::mapped::Query;
pub use self::mapped::{BadExpression, CompiledMapping, MAX_EXPRESSION_BYTES, MAX_GROWTH, MAX_OPERATORS};
use self::pointer::Pointer;
pub use self::time::time_at;
use self::warning::Warnings;
pub use self::warning::{MAX_WARNINGS, Warning, WarningCode};
use crate::skill::Skill;
use serde::{Deserialize, Serialize};

/// The version of what these functions make of a document.
///
/// Raised by one whenever a change makes the same bytes parse differently, the alias table of skills
/// included; stored with every resume, so that those of an older version can be found and parsed again from
/// their raw documents.
pub const PARSER_VERSION: i32 = 4;

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
const MAX_LINK_BYTES: usize = 2_000;

/// A resume as read from one document.
///
/// No text in it holds a NUL. Optional texts are never blank and have no white space around them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ParsedResume {
    /// The id that the source gave the document, as it was stored with it.
    pub external_id: String,
    /// The full name of the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the person is, in one line, such as "Staff engineer".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// What the person says of themselves; may have several lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The e-mail address, as given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The home page; always `http://` or `https://`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where the person lives, such as "Berlin, DE"; made of city, region and country where the document
    /// tells them apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The skills in the order of the document, each key once, at most [`MAX_SKILLS`].
    pub skills: Vec<Skill>,
    /// The jobs in the order of the document, at most [`MAX_ENTRIES`].
    pub work_experiences: Vec<WorkExperience>,
    /// The educations in the order of the document, at most [`MAX_ENTRIES`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub educations: Vec<Education>,
    /// The pages of the person, the home page among them: `http://` or `https://`, each once, at most
    /// [`MAX_LINKS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// What was odd, at most [`MAX_WARNINGS`] and a closing one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// One job of a resume.
///
/// Dates are `YYYY`, `YYYY-MM` or `YYYY-MM-DD` with as much as the document says, or the text as given where
/// it was not understood ([`WarningCode::UnclearDate`] names those).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkExperience {
    /// The employer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// The position held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where the job was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The page of the employer; always `http://` or `https://`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When the job began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
    /// When the job ended; none when it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date: Option<String>,
    /// What was done; may have several lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Single achievements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub highlights: Vec<String>,
}

/// One education of a resume; dates as in [`WorkExperience`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Education {
    /// The school or university.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub institution: Option<String>,
    /// The subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
    /// The degree or kind of study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degree: Option<String>,
    /// The grade, as given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
    /// When it ended; none when it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date: Option<String>,
}

/// Parses one document.
///
/// The external id is the one that was stored with the raw document: only who fetched or imported the item
/// knows where it stands. Takes time and memory in proportion to the size of the document, whatever its bytes
/// are, and never panics. The same id and bytes give the same result as long as [`PARSER_VERSION`] is the
/// same.
///
/// # Errors
/// Fails with the first fault that makes the document unusable; the module's table says which faults do.
/// Fails with `missing_mapping` for a [`Format::Mapped`] document, which [`parse_mapped`] parses.
pub fn parse(format: Format, external_id: Option<&str>, body: &[u8]) -> Result<ParsedResume, ParseError> {
    let mut warnings = Warnings::default();
    let (parse_fields, members): (fn(_, &mut Warnings) -> _, &[&str]) = match format {
        Format::Profile => (profile::parse, &profile::MEMBERS),
        Format::JsonResume => (json_resume::parse, &json_resume::MEMBERS),
        Format::Mapped => {
            let detail = "the definition of the source has no `map` to read the document with";
            return Err(ParseError::new(ErrorCode::MissingMapping, &Pointer::Root, detail));
        }
    };
    let fields = document::read(body, &mut warnings)?;
    if !members.iter().any(|member| fields.contains_key(*member)) {
        let detail = format_args!("the object has none of the members of a resume: {}", members.join(", "));
        return Err(ParseError::new(ErrorCode::NotAResume, &Pointer::Root, detail));
    }
    finish(parse_fields(fields, &mut warnings), external_id, warnings)
}

/// Parses one [`Format::Mapped`] document; otherwise as [`parse`], for the same mapping.
///
/// # Errors
/// Fails as [`parse`] does; with `too_large` and `too_deep` also when the mapping makes more of the item than
/// a document may be. What is wrong behind the mapping is named by its place in the mapped object, under our
/// own names.
pub fn parse_mapped(
    mapping: &CompiledMapping,
    external_id: Option<&str>,
    body: &[u8],
) -> Result<ParsedResume, ParseError> {
    let mut warnings = Warnings::default();
    let (item, _) = document::read_with_nul(body, &mut warnings)?;
    let resume = mapped::parse(mapping, item, &mut warnings)?;
    finish(resume, external_id, warnings)
}

fn finish(
    mut resume: ParsedResume,
    external_id: Option<&str>,
    warnings: Warnings,
) -> Result<ParsedResume, ParseError> {
    let external_id = external_id.ok_or_else(|| {
        let detail = format_args!(
            "the item had no id where its source says, or none that can be kept: a text or a number of at most \
             {MAX_ID_BYTES} bytes"
        );
        ParseError::new(ErrorCode::MissingId, &Pointer::Root.key("id"), detail)
    })?;
    external_id.clone_into(&mut resume.external_id);
    let mut links = Vec::new();
    for link in resume.url.iter().cloned().chain(std::mem::take(&mut resume.links)) {
        let is_kept = is_web_address(&link) && link.len() <= MAX_LINK_BYTES && links.len() < MAX_LINKS;
        if is_kept && !links.contains(&link) {
            links.push(link);
        }
    }
    resume.links = links;
    resume.warnings = warnings.finish();
    Ok(resume)
}
