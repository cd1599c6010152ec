use std::io::{self, BufRead, Read, Seek, SeekFrom};

use serde_json::value::RawValue;

use super::{
    container::Container,
    csv,
    fault::{Faults, Place, explain, shown},
    json, ndjson,
};
use crate::{parsing::MAX_DOCUMENT_BYTES, source::definition::Definition};

/// The largest item, in bytes: what the parser reads.
pub const MAX_ITEM_BYTES: usize = MAX_DOCUMENT_BYTES;

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
    let mut found = Found { take: &mut take, faults: Faults::default() };
    if check_text(file, &mut found)? {
        match container {
            Container::Json => json::read(file, definition, &mut found)?,
            Container::Ndjson => ndjson::read(file, &mut found)?,
            Container::Csv => csv::read(file, definition.id_pointer(), &mut found)?,
        }
    }
    if found.faults.count > 0 { Err(found.faults.into()) } else { Ok(()) }
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

/// Where what is found in a file goes.
pub(super) struct Found<'a> {
    take: &'a mut dyn FnMut(&[u8]),
    faults: Faults,
}

impl Found<'_> {
    pub(super) fn fault(&mut self, place: Place, detail: impl Into<String>) {
        self.faults.add(place, detail);
    }

    /// Whether so much is wrong that nobody has to look on.
    pub(super) fn is_over(&self) -> bool {
        self.faults.are_many()
    }

    /// Gives an item on, unless the file is bad.
    pub(super) fn give(&mut self, item: &[u8]) {
        if self.faults.count == 0 {
            (self.take)(item);
        }
    }

    /// Takes what begins here and should be JSON, if it is an object.
    pub(super) fn item(&mut self, place: Place, bytes: &[u8]) {
        match serde_json::from_slice::<&RawValue>(bytes) {
            Ok(_) => self.element(place, bytes),
            Err(error) => self.fault(place.behind(&error), format!("no JSON: {}", explain(&error))),
        }
    }

    /// Takes JSON that begins here, if it is an object.
    pub(super) fn element(&mut self, place: Place, bytes: &[u8]) {
        match bytes.first() {
            _ if bytes.len() > MAX_ITEM_BYTES => self.too_long(place),
            Some(b'{') => self.give(bytes),
            Some(b'[') => self.fault(place, "a list: an item is an object, { .. }"),
            _ => {
                let text = String::from_utf8_lossy(bytes);
                self.fault(place, format!("{}: an item is an object, {{ .. }}", shown(&text)));
            }
        }
    }

    /// Notes an item that is longer than may be.
    pub(super) fn too_long(&mut self, place: Place) {
        self.fault(place, too_long());
    }
}

pub(super) fn too_long() -> String {
    format!("an item of more than {MAX_ITEM_BYTES} bytes: the most is {MAX_ITEM_BYTES}")
}
