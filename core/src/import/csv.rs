use super::{
    fault::Place,
    reader::{Found, MAX_ITEM_BYTES},
    row::Columns,
};

/// What stands between two cells. A spreadsheet writes the one of its country.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// How much of a file is looked at to find out which of them it is.
const MAX_HEAD_BYTES: usize = 256 * 1024;

/// Cuts a file into rows of cells, as RFC 4180 says. Besides, lines may end in any way, a quote within a cell without quotes
/// is itself, and the delimiter is the one that stands most often in the first row.
#[derive(Debug)]
pub(super) struct Csv {
    delimiter: Delimiter,
    columns: Columns,
    /// Where the next byte stands.
    here: Place,
    row: Row,
    cell: Cell,
    /// Where the quote was opened that the cell is in.
    quoted_at: Place,
    is_behind_cr: bool,
}

#[derive(Debug)]
enum Delimiter {
    /// Not known before the first row has ended: what was read of it, whether that is within quotes, and how often each of
    /// the [`DELIMITERS`] stands outside of them.
    Sought {
        head: Vec<u8>,
        in_quotes: bool,
        counts: [usize; 3],
    },
    Known(u8),
}

/// The cells of a row.
#[derive(Debug)]
pub(super) struct Row {
    /// Where it begins.
    pub(super) begin: Place,
    /// The cells, with a space behind each, so that no two of them make a character together.
    bytes: Vec<u8>,
    /// Where in `bytes` each cell ends.
    ends: Vec<usize>,
    is_blank: bool,
    is_too_long: bool,
}

/// Where in a cell the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Start,
    Plain,
    Quoted,
    /// Behind a quote in quotes: the end of them, or the first of two that stand for one.
    Quote,
}

impl Csv {
    pub(super) fn new(id: &str) -> Self {
        Self {
            delimiter: Delimiter::Sought { head: Vec::new(), in_quotes: false, counts: [0; 3] },
            columns: Columns::new(id),
            here: Place::START,
            row: Row {
                begin: Place::START,
                bytes: Vec::new(),
                ends: Vec::new(),
                is_blank: true,
                is_too_long: false,
            },
            cell: Cell::Start,
            quoted_at: Place::START,
            is_behind_cr: false,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], found: &mut Found<'_>) {
        match &mut self.delimiter {
            Delimiter::Known(delimiter) => {
                let delimiter = *delimiter;
                self.cut(bytes, delimiter, found);
            }
            Delimiter::Sought { head, in_quotes, counts } => {
                let begin = head.len();
                head.extend_from_slice(bytes);
                if look(&head[begin..], in_quotes, counts) || head.len() > MAX_HEAD_BYTES {
                    self.cut_head(found);
                }
            }
        }
    }

    pub(super) fn finish(&mut self, found: &mut Found<'_>) {
        self.cut_head(found);
        if found.is_lost() {
            return;
        }
        if self.cell == Cell::Quoted {
            found.fault(self.quoted_at, "a quote is opened here and closed nowhere");
        } else if self.cell != Cell::Start || !self.row.ends.is_empty() {
            self.end_row(found);
        }
    }

    /// Settles on the delimiter and reads what was kept back.
    fn cut_head(&mut self, found: &mut Found<'_>) {
        if let Delimiter::Sought { head, counts, .. } = &mut self.delimiter {
            let head = std::mem::take(head);
            // Of equals the first.
            let most = (0..DELIMITERS.len()).rev().max_by_key(|index| counts[*index]).unwrap_or_default();
            self.delimiter = Delimiter::Known(DELIMITERS[most]);
            self.cut(&head, DELIMITERS[most], found);
        }
    }

    fn cut(&mut self, bytes: &[u8], delimiter: u8, found: &mut Found<'_>) {
        for &byte in bytes {
            let is_second_half = std::mem::take(&mut self.is_behind_cr) && byte == b'\n';
            if !is_second_half {
                self.take(byte, delimiter, found);
            }
            self.here.step(byte);
            if found.is_lost() {
                return;
            }
            if self.cell == Cell::Start && self.row.ends.is_empty() {
                self.row.begin = self.here;
            }
        }
    }

    fn take(&mut self, byte: u8, delimiter: u8, found: &mut Found<'_>) {
        match (self.cell, byte) {
            (Cell::Quoted, b'"') => self.cell = Cell::Quote,
            (Cell::Quoted, _) => self.row.keep(byte),
            (Cell::Quote, b'"') => {
                self.row.keep(byte);
                self.cell = Cell::Quoted;
            }
            (Cell::Start, b'"') => {
                self.quoted_at = self.here;
                self.cell = Cell::Quoted;
            }
            (_, b'\n' | b'\r') => {
                self.end_row(found);
                self.is_behind_cr = byte == b'\r';
            }
            (_, byte) if byte == delimiter => {
                self.row.end_cell();
                self.cell = Cell::Start;
            }
            (Cell::Quote, _) => {
                found.fault(
                    self.here,
                    "behind a closing quote stands more of the cell; a quote in quotes is written twice",
                );
                self.cell = Cell::Plain;
            }
            (Cell::Start | Cell::Plain, _) => {
                self.row.keep(byte);
                self.cell = Cell::Plain;
            }
        }
    }

    fn end_row(&mut self, found: &mut Found<'_>) {
        self.row.end_cell();
        self.cell = Cell::Start;
        if self.row.is_too_long {
            found.too_long(self.row.begin);
        } else if !self.row.is_blank {
            self.columns.take(&self.row, found);
        }
        self.row.clear();
    }
}

/// Looks for the end of a row, and counts what may be the delimiter before it.
fn look(bytes: &[u8], in_quotes: &mut bool, counts: &mut [usize; 3]) -> bool {
    for byte in bytes {
        match byte {
            b'"' => *in_quotes = !*in_quotes,
            _ if *in_quotes => {}
            b'\n' | b'\r' => return true,
            byte => {
                if let Some(index) = DELIMITERS.iter().position(|delimiter| delimiter == byte) {
                    counts[index] += 1;
                }
            }
        }
    }
    false
}

impl Row {
    /// Keeps one byte more than an item may have, which tells that it has too many.
    fn keep(&mut self, byte: u8) {
        self.is_blank = false;
        if self.bytes.len() > MAX_ITEM_BYTES {
            self.is_too_long = true;
        } else {
            self.bytes.push(byte);
        }
    }

    fn end_cell(&mut self) {
        if self.ends.len() > MAX_ITEM_BYTES {
            self.is_too_long = true;
        } else {
            self.ends.push(self.bytes.len());
            self.bytes.push(b' ');
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.is_blank = true;
        self.is_too_long = false;
    }

    /// How many cells it has.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// All cells, each with a space behind it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The cells of a row that is the text `text`.
    pub(super) fn cells<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|end| end + 1));
        begins.zip(self.ends.iter().copied()).map(|(begin, end)| text.get(begin..end).unwrap_or_default())
    }
}
