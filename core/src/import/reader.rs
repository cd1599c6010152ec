use std::{fmt, str::FromStr};

use serde_json::value::RawValue;

use super::{
    csv::Csv,
    fault::{Faults, Place},
    json::Json,
    ndjson::Ndjson,
};
use crate::parsing::MAX_DOCUMENT_BYTES;

/// The largest item, in bytes: what the parser reads.
pub const MAX_ITEM_BYTES: usize = MAX_DOCUMENT_BYTES;

/// The byte order marks of UTF-8, and of the two sorts of UTF-16.
const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];

/// How items stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// A list of objects, or one object.
    Json,
    /// An object on each line.
    Ndjson,
    /// A row of names, and below it a row for each item.
    Csv,
}

/// Reads the items of one file, from its bytes as they come: wherever they are cut, the items are the same. Keeps one item and
/// the faults, and no more of the file: items are given one at a time, since a few bytes of a table may be a long item.
#[derive(Debug)]
pub struct ItemReader {
    cutter: Cutter,
    faults: Faults,
    /// Whether what follows cannot be read because of what is wrong.
    is_lost: bool,
    /// The first bytes, until it is clear whether they are a byte order mark.
    head: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Cutter {
    Json(Json),
    Ndjson(Ndjson),
    Csv(Csv),
}

/// Where what is found in the bytes goes.
pub(super) struct Found<'a> {
    /// Takes the items.
    take: &'a mut dyn FnMut(&[u8]),
    faults: &'a mut Faults,
    is_lost: &'a mut bool,
}

impl ItemReader {
    /// A reader of a file whose items have their ids at this JSON Pointer.
    pub fn new(container: Container, id: &str) -> Self {
        let cutter = match container {
            Container::Json => Cutter::Json(Json::default()),
            Container::Ndjson => Cutter::Ndjson(Ndjson::default()),
            Container::Csv => Cutter::Csv(Csv::new(id)),
        };
        Self { cutter, faults: Faults::default(), is_lost: false, head: Some(Vec::new()) }
    }

    /// Takes the next bytes of the file; gives the items that end in them to `take`, one after the other, each a JSON object, and
    /// none once something is wrong. Of JSON and NDJSON an item is what stands there, byte by byte, without white space around it.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) {
        match self.head.take() {
            None => self.cut(bytes, &mut take),
            Some(mut head) => {
                head.extend_from_slice(bytes);
                if MARKS.iter().any(|mark| head.len() < mark.len() && mark.starts_with(&head)) {
                    self.head = Some(head);
                } else {
                    self.begin(&head, &mut take);
                }
            }
        }
    }

    /// Ends the file; gives the items that nothing stands behind, as [`push`](Self::push) does.
    ///
    /// # Errors
    /// All that is wrong with the file, what was found before included.
    pub fn finish(mut self, mut take: impl FnMut(&[u8])) -> Result<(), Faults> {
        if let Some(head) = self.head.take() {
            self.begin(&head, &mut take);
        }
        if !self.is_lost {
            let Self { cutter, faults, is_lost, .. } = &mut self;
            let mut found = Found { take: &mut take, faults, is_lost };
            match cutter {
                Cutter::Json(json) => json.finish(&mut found),
                Cutter::Ndjson(ndjson) => ndjson.finish(&mut found),
                Cutter::Csv(csv) => csv.finish(&mut found),
            }
        }
        if self.faults.count > 0 { Err(self.faults) } else { Ok(()) }
    }

    /// Whether the file is known to be bad, so that its items are of no use.
    pub fn has_faults(&self) -> bool {
        self.faults.count > 0
    }

    fn begin(&mut self, head: &[u8], take: &mut dyn FnMut(&[u8])) {
        match MARKS.map(|mark| head.strip_prefix(mark)) {
            [Some(text), ..] => self.cut(text, take),
            [None, None, None] => self.cut(head, take),
            _ => {
                self.faults.add(Place::START, "the file is UTF-16: save it as UTF-8");
                self.is_lost = true;
            }
        }
    }

    fn cut(&mut self, bytes: &[u8], take: &mut dyn FnMut(&[u8])) {
        let Self { cutter, faults, is_lost, .. } = self;
        if *is_lost || faults.are_many() {
            return;
        }
        let mut found = Found { take, faults, is_lost };
        match cutter {
            Cutter::Json(json) => json.push(bytes, &mut found),
            Cutter::Ndjson(ndjson) => ndjson.push(bytes, &mut found),
            Cutter::Csv(csv) => csv.push(bytes, &mut found),
        }
    }
}

impl Found<'_> {
    pub(super) fn fault(&mut self, place: Place, detail: impl Into<String>) {
        self.faults.add(place, detail);
    }

    /// Notes a fault behind which the file cannot be read.
    pub(super) fn lose(&mut self, place: Place, detail: impl Into<String>) {
        self.fault(place, detail);
        *self.is_lost = true;
    }

    /// Whether what follows cannot be read because of what is wrong.
    pub(super) fn is_lost(&self) -> bool {
        *self.is_lost
    }

    /// Gives an item on, unless the file is bad.
    pub(super) fn give(&mut self, item: &[u8]) {
        if self.faults.count == 0 {
            (self.take)(item);
        }
    }

    /// Takes an item that begins here and is said to be a JSON object, if it is one.
    pub(super) fn item(&mut self, place: Place, bytes: &[u8]) {
        match check_object(place, bytes) {
            Ok(()) => self.give(bytes),
            Err((place, detail)) => self.fault(place, detail),
        }
    }

    /// Notes an item that is longer than is kept.
    pub(super) fn too_long(&mut self, place: Place) {
        self.fault(
            place,
            format!("an item of more than {MAX_ITEM_BYTES} bytes: the most is {MAX_ITEM_BYTES}"),
        );
    }
}

/// The text that stands here.
///
/// # Errors
/// Where it is not UTF-8, and what it may be.
pub(super) fn text(place: Place, bytes: &[u8]) -> Result<&str, (Place, String)> {
    std::str::from_utf8(bytes).map_err(|error| {
        let (before, behind) = bytes.split_at(error.valid_up_to());
        let mut place = place;
        before.iter().for_each(|byte| place.step(*byte));
        let byte = behind.first().copied().unwrap_or_default();
        let detail = format!(
            "the byte 0x{byte:02X} is not UTF-8; the file may be Windows-1252 or Latin-1: save it as UTF-8 \
             (in Excel: \"CSV UTF-8\")"
        );
        (place, detail)
    })
}

fn check_object(place: Place, bytes: &[u8]) -> Result<(), (Place, String)> {
    let text = text(place, bytes)?;
    if let Err(error) = serde_json::from_str::<&RawValue>(text) {
        let (line, column) = (error.line() as u64, error.column() as u64);
        let before = if line <= 1 { place.column } else { 1 };
        let place = Place { line: place.line + line.max(1) - 1, column: before + column.max(1) - 1 };
        let detail = error.to_string();
        let detail = detail.rsplit_once(" at line ").map_or(detail.as_str(), |(what, _)| what);
        return Err((place, format!("no JSON: {detail}")));
    }
    match text.as_bytes().first() {
        Some(b'{') => Ok(()),
        Some(b'[') => Err((place, "a list: an item is an object, { .. }".to_owned())),
        _ => Err((place, format!("{}: an item is an object, {{ .. }}", super::fault::shown(text)))),
    }
}

impl Container {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 3] =
        [("json", Self::Json), ("ndjson", Self::Ndjson), ("csv", Self::Csv)];

    /// Its name: `json`, `ndjson` or `csv`.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, container)| *container == self).map_or("", |(name, _)| name)
    }

    /// What a file of this media type is, without parameters and in lower case.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "application/json" => Some(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Self::Ndjson),
            "text/csv" => Some(Self::Csv),
            _ => None,
        }
    }

    /// The media type of such a file.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
        }
    }

    /// What a file whose name ends so is, in whatever case.
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// No container has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write json, ndjson or csv")]
pub struct UnknownContainer;

impl FromStr for Container {
    type Err = UnknownContainer;

    fn from_str(name: &str) -> Result<Self, UnknownContainer> {
        let known = Self::ALL.iter().find(|(known, _)| *known == name);
        known.map(|(_, container)| *container).ok_or(UnknownContainer)
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
