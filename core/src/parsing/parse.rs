use super::document;
use super::entry::is_web_address;
use super::error::{ErrorCode, ParseError};
use super::external_id::MAX_ID_BYTES;
use super::format::Format;
use super::limits::{MAX_LINK_BYTES, MAX_LINKS};
use super::mapped::{self, CompiledMapping};
use super::parsed_resume::ParsedResume;
use super::pointer::Pointer;
use super::warning::Warnings;
use super::{json_resume, profile};

/// The version of what these functions make of a document.
///
/// Raised by one whenever a change makes the same bytes parse differently, the alias table of skills
/// included; stored with every resume, so that those of an older version can be found and parsed again from
/// their raw documents.
pub const PARSER_VERSION: i32 = 4;

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
    let item = document::read_with_nul(body, &mut warnings)?;
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
