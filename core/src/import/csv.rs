use std::io::{self, BufRead, Read, Seek, SeekFrom};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::{
    columns::{Columns, MAX_COLUMNS},
    fault::Place,
    found::{Found, MAX_ITEM_BYTES},
};

/// What stands between two cells. A spreadsheet writes the one of its country.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How much of a file is looked at to find out which of them it is.
const MAX_HEAD_BYTES: u64 = 256 * 1024;

/// Reads rows of cells: a row of names, and below it an item in each.
pub(super) fn read(file: &mut (impl BufRead + Seek), id: &str, found: &mut Found<'_>) -> io::Result<()> {
    let begin = file.stream_position()?;
    let mut head = Vec::new();
    file.by_ref().take(MAX_HEAD_BYTES).read_to_end(&mut head)?;
    let (delimiter, skipped) = dialect(&head);
    file.seek(SeekFrom::Start(begin + skipped as u64))?;
    let mut rows = Rows {
        file,
        reader: ReaderBuilder::new().delimiter(delimiter).build(),
        line: 1,
        bytes: vec![0; 64 * 1024],
        ends: vec![0; MAX_COLUMNS + 1],
    };
    // The file's byte order mark is behind us. The reader would take another one from its first bytes, if
    // they came together.
    rows.reader.read_record(b"\n", &mut rows.bytes, &mut rows.ends);
    let mut columns: Option<Columns> = None;
    while !found.is_over() {
        rows.skip_line_ends()?;
        let place = Place { line: rows.line, column: 1 };
        let cells = match rows.next()? {
            Row::End => break,
            Row::Unusable(detail) => {
                found.fault(place, detail);
                break;
            }
            Row::Cells(cells) if cells.iter().all(|cell| cell.is_empty()) => continue,
            Row::Cells(cells) => cells,
        };
        match &columns {
            Some(columns) => columns.take(&cells, place, found),
            None => match Columns::new(&cells, id) {
                Ok(named) => columns = Some(named),
                Err(detail) => {
                    found.fault(place, detail);
                    break;
                }
            },
        }
    }
    Ok(())
}

/// Tells the delimiter, and how much of the file says nothing else.
fn dialect(head: &[u8]) -> (u8, usize) {
    let is_line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let blank = head.iter().take_while(|byte| is_line_end(byte)).count();
    let row = &head[blank..];
    let line = row.split(is_line_end).next().unwrap_or_default();
    let bare = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    // What spreadsheets write above a table for each other.
    if let [s, e, p, b'=', delimiter] = bare
        && [*s, *e, *p].eq_ignore_ascii_case(b"sep")
        && delimiter.is_ascii()
    {
        return (*delimiter, blank + line.len());
    }
    let (mut counts, mut in_quotes) = ([0; DELIMITERS.len()], false);
    for byte in row {
        match byte {
            b'"' => in_quotes = !in_quotes,
            _ if in_quotes => {}
            b'\n' | b'\r' => break,
            byte => {
                if let Some(index) = DELIMITERS.iter().position(|delimiter| delimiter == byte) {
                    counts[index] += 1;
                }
            }
        }
    }
    // Of equals the first.
    let most = (0..DELIMITERS.len()).rev().max_by_key(|index| counts[*index]).unwrap_or_default();
    (DELIMITERS[most], 0)
}

/// The rows of a table, of which one is in memory.
struct Rows<'f, R> {
    file: &'f mut R,
    reader: Reader,
    /// The line of the next byte.
    line: u64,
    /// The cells of the row, one behind the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

enum Row<'b> {
    Cells(Vec<&'b str>),
    /// Nothing that follows can be read.
    Unusable(String),
    End,
}

impl<R: BufRead> Rows<'_, R> {
    /// Goes to the next row, so that its line is known.
    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            match self.file.fill_buf()?.first() {
                Some(b'\n') => self.line += 1,
                Some(b'\r') => {}
                _ => return Ok(()),
            }
            self.file.consume(1);
        }
    }

    fn next(&mut self) -> io::Result<Row<'_>> {
        let (mut written, mut cells) = (0, 0);
        loop {
            let input = self.file.fill_buf()?;
            let is_end = input.is_empty();
            if is_end && written + cells == 0 {
                return Ok(Row::End);
            }
            // The last row may lack its line end.
            let input = if is_end { b"\n" } else { input };
            let (result, read, more_bytes, more_cells) =
                self.reader.read_record(input, &mut self.bytes[written..], &mut self.ends[cells..]);
            self.line += input[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
            (written, cells) = (written + more_bytes, cells + more_cells);
            if !is_end {
                self.file.consume(read);
            }
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(Row::End),
                ReadRecordResult::InputEmpty if is_end => {
                    return Ok(Row::Unusable("a quote is opened in this row and closed nowhere".to_owned()));
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.bytes.len() > MAX_ITEM_BYTES => {
                    return Ok(Row::Unusable(super::found::too_long()));
                }
                ReadRecordResult::OutputFull => self.bytes.resize(2 * self.bytes.len(), 0),
                ReadRecordResult::OutputEndsFull => {
                    return Ok(Row::Unusable(format!("more than {MAX_COLUMNS} columns, which is the most")));
                }
            }
        }
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let cells = begins.zip(&self.ends[..cells]).map(|(begin, end)| &self.bytes[begin..*end]);
        // The file is UTF-8, and what stands between cells is ASCII.
        Ok(Row::Cells(cells.map(|cell| std::str::from_utf8(cell).unwrap_or_default()).collect()))
    }
}
