use super::{
    fault::Place,
    reader::{Found, MAX_ITEM_BYTES},
};

/// Cuts a file at its line ends. Blank lines are nothing.
#[derive(Debug)]
pub(super) struct Ndjson {
    line: Vec<u8>,
    number: u64,
}

impl Default for Ndjson {
    fn default() -> Self {
        Self { line: Vec::new(), number: 1 }
    }
}

impl Ndjson {
    pub(super) fn push(&mut self, bytes: &[u8], found: &mut Found<'_>) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.keep(&rest[..end]);
            self.end_line(found);
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    pub(super) fn finish(&mut self, found: &mut Found<'_>) {
        self.end_line(found);
    }

    /// Keeps one byte more than a line may have, which tells that it has too many.
    fn keep(&mut self, part: &[u8]) {
        let room = (MAX_ITEM_BYTES + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn end_line(&mut self, found: &mut Found<'_>) {
        let (before, item) = trim(&self.line);
        let place = Place { line: self.number, column: before as u64 + 1 };
        if self.line.len() > MAX_ITEM_BYTES {
            found.too_long(place);
        } else if !item.is_empty() {
            found.item(place, item);
        }
        self.line.clear();
        self.number += 1;
    }
}

/// A text without the white space of JSON around it, and how many bytes of that stand before.
pub(super) fn trim(text: &[u8]) -> (usize, &[u8]) {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let begin = text.iter().position(is_text).unwrap_or(text.len());
    let end = text.iter().rposition(is_text).map_or(begin, |last| last + 1);
    (begin, &text[begin..end])
}
