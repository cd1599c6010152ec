use std::io::{self, BufRead, Read, Seek, SeekFrom};

use super::{
    container::Container,
    csv,
    fault::{Faults, Place},
    found::Found,
    json, ndjson,
};
use crate::source::definition::Definition;

/// Why the items of a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is not what it should be.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// It could not be read at all.
    #[error("reading the file")]
    Io(#[from] io::Error),
}

/// Gives the items of a file of this source to `take`, one after the other, each a JSON object, and none once
/// something is wrong. Of JSON and NDJSON an item is what stands there, byte by byte. Keeps one item and the
/// faults, and no more of the file.
///
/// # Errors
/// Fails with all that is wrong with the file, up to [`MAX_FAULTS`](super::MAX_FAULTS) and one more.
pub fn read_items(
    container: Container,
    definition: &Definition,
    file: &mut (impl BufRead + Seek),
    mut take: impl FnMut(&[u8]),
) -> Result<(), ReadError> {
    let mut found = Found::new(&mut take);
    if check_text(file, &mut found)? {
        match container {
            Container::Json => json::read(file, definition, &mut found)?,
            Container::Ndjson => ndjson::read(file, &mut found)?,
            Container::Csv => csv::read(file, definition.id_pointer(), &mut found)?,
        }
    }
    Ok(found.into_result()?)
}

/// Tells whether the file is UTF-8, and goes to its beginning, behind a byte order mark.
fn check_text(file: &mut (impl BufRead + Seek), found: &mut Found<'_>) -> io::Result<bool> {
    file.rewind()?;
    let mut rest = Vec::new();
    file.by_ref().take(3).read_to_end(&mut rest)?;
    if rest.starts_with(b"\xff\xfe") || rest.starts_with(b"\xfe\xff") {
        found.fault(Place::START, "the file is UTF-16: save it as UTF-8");
        return Ok(false);
    }
    let begin = if rest.starts_with(b"\xef\xbb\xbf") { rest.len() as u64 } else { 0 };
    file.seek(SeekFrom::Start(begin))?;
    rest.clear();
    let mut place = Place::START;
    loop {
        let piece = file.fill_buf()?;
        let (length, is_end) = (piece.len(), piece.is_empty());
        rest.extend_from_slice(piece);
        file.consume(length);
        let (good, is_bad) = match std::str::from_utf8(&rest) {
            Ok(text) => (text.len(), false),
            // Without a length the piece ends within a character.
            Err(error) => (error.valid_up_to(), error.error_len().is_some() || is_end),
        };
        place.pass(&rest[..good]);
        if is_bad {
            let byte = rest[good];
            let detail = format!(
                "the byte 0x{byte:02X} is not UTF-8; the file may be Windows-1252 or Latin-1: \
                 save it as UTF-8 (in Excel: \"CSV UTF-8\")"
            );
            found.fault(place, detail);
            return Ok(false);
        }
        rest.drain(..good);
        if is_end {
            file.seek(SeekFrom::Start(begin))?;
            return Ok(true);
        }
    }
}
