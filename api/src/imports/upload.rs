//! A file on its way: split into items, looked at as a whole, and kept beside until it can be stored.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use resume_core::{
    collection::IMPORT_PER_PAGE,
    import::{Container, Faults, ItemReader},
};
use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

/// The most items of a file: they are stored in one transaction, which takes about a minute for so many.
const MAX_COUNT: u32 = 1_000_000;

/// What is kept in memory of one file; a larger one goes into a file without a name, in the directory for those.
const MEMORY_BYTES: usize = 4 * 1024 * 1024;

/// The most bytes of a page: they are in memory at once.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// The most that is kept of one file. A row of a table is kept with the names of all its columns, so that it may be far longer
/// than it was.
const MAX_KEPT_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// A file that is being received.
pub(super) struct Incoming {
    reader: ItemReader,
    hash: Sha256,
    kept: Kept,
}

/// The items of a file, each behind its length, for as long as they may become a collection.
struct Kept {
    file: BufWriter<SpooledTempFile>,
    pages: Vec<u32>,
    page_bytes: usize,
    count: u64,
    bytes: u64,
    /// The most that `bytes` may come to.
    max_bytes: u64,
    /// Why nothing is kept any more.
    failed: Option<io::Error>,
}

/// A file that was received and is good.
pub(super) struct Upload {
    kept: BufReader<SpooledTempFile>,
    /// How many items each page has.
    pub(super) pages: Vec<u32>,
    /// How many items there are.
    pub(super) count: u32,
    /// SHA-256 of the whole.
    pub(super) content_hash: [u8; 32],
}

/// Why a file is not stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// It is not what it should be.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// It holds no item.
    #[error("the file holds no item")]
    Empty,
    /// It holds more than [`MAX_COUNT`].
    #[error("the file holds more than {MAX_COUNT} items: send it in parts")]
    TooMany,
    /// Its items have more than [`MAX_KEPT_BYTES`].
    #[error(
        "the items of the file have more than {MAX_KEPT_BYTES} bytes together, each row of a table with the names of its columns: \
         send it in parts"
    )]
    TooLarge,
    /// It could not be kept.
    #[error("keeping the file until it is stored")]
    Io(#[from] io::Error),
}

impl Incoming {
    pub(super) fn new(container: Container, id: &str) -> Self {
        Self::with_room(container, id, MAX_KEPT_BYTES)
    }

    fn with_room(container: Container, id: &str, max_bytes: u64) -> Self {
        let kept = Kept {
            file: BufWriter::new(SpooledTempFile::new(MEMORY_BYTES)),
            pages: Vec::new(),
            page_bytes: 0,
            count: 0,
            bytes: 0,
            max_bytes,
            failed: None,
        };
        Self { reader: ItemReader::new(container, id), hash: Sha256::new(), kept }
    }

    /// Takes the next bytes. Blocks while they are written.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.reader.push(bytes, |item| self.kept.take(item));
        if self.reader.has_faults() {
            self.kept.forget();
        }
        self.kept.failed.take().map_or(Ok(()), Err)
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<Upload, Unusable> {
        self.reader.finish(|item| self.kept.take(item))?;
        let Kept { file, pages, count, bytes, max_bytes, failed, .. } = self.kept;
        if let Some(error) = failed {
            return Err(error.into());
        }
        let count = match u32::try_from(count) {
            Ok(0) => return Err(Unusable::Empty),
            Ok(count) if count <= MAX_COUNT => count,
            _ => return Err(Unusable::TooMany),
        };
        if bytes > max_bytes {
            return Err(Unusable::TooLarge);
        }
        let kept = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let content_hash = self.hash.finalize().into();
        Ok(Upload { kept: BufReader::new(kept), pages, count, content_hash })
    }
}

impl Kept {
    /// Keeps an item, and counts it. Behind one too many, and behind a failure, nothing is kept any more.
    fn take(&mut self, item: &[u8]) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add((size_of::<u32>() + item.len()) as u64);
        if self.failed.is_some() {
            return;
        }
        if self.count > u64::from(MAX_COUNT) || self.bytes > self.max_bytes {
            return self.forget();
        }
        match self.pages.last_mut() {
            Some(page) if *page < IMPORT_PER_PAGE && self.page_bytes + item.len() <= PAGE_BYTES => {
                *page += 1;
                self.page_bytes += item.len();
            }
            _ => {
                self.pages.push(1);
                self.page_bytes = item.len();
            }
        }
        self.failed = self.write(item).err();
    }

    fn write(&mut self, item: &[u8]) -> io::Result<()> {
        // An item is far shorter than 4 GiB.
        self.file.write_all(&(item.len() as u32).to_le_bytes())?;
        self.file.write_all(item)
    }

    /// Gives back the room of items that will not be stored.
    fn forget(&mut self) {
        if !self.pages.is_empty() {
            self.pages = Vec::new();
            self.file = BufWriter::new(SpooledTempFile::new(MEMORY_BYTES));
        }
    }
}

impl Upload {
    /// How many items each page but the last has at least; those of the last one when there is no other.
    pub(super) fn per_page(&self) -> u32 {
        let (last, others) = self.pages.split_last().unwrap_or((&0, &[]));
        others.iter().min().copied().unwrap_or(*last)
    }

    /// Goes back to the first item.
    pub(super) fn rewind(&mut self) -> io::Result<()> {
        self.kept.rewind()
    }

    /// The next item. Blocks while it is read.
    pub(super) fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.kept.read_exact(&mut length)?;
        let mut item = vec![0; u32::from_le_bytes(length) as usize];
        self.kept.read_exact(&mut item)?;
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;

    /// How much is kept.
    fn kept_bytes(incoming: &mut Incoming) -> u64 {
        incoming.kept.file.flush().unwrap();
        incoming.kept.file.get_mut().seek(io::SeekFrom::End(0)).unwrap()
    }

    /// 20 KB and then three bytes a row come to 20 KB a row.
    #[test]
    fn what_is_kept_has_a_most() {
        const ROOM: u64 = 3_000_000;
        let head = format!("{},id\n", "n".repeat(20_000));
        let mut incoming = Incoming::with_room(Container::Csv, "/id", ROOM);
        incoming.push(head.as_bytes()).unwrap();
        let mut most = 0;
        for _ in 0..100 {
            incoming.push("x,\n".repeat(50).as_bytes()).unwrap();
            most = most.max(kept_bytes(&mut incoming));
        }
        assert!((1_000_000..=ROOM).contains(&most), "{most}");
        assert_eq!(kept_bytes(&mut incoming), 0, "what is of no use is given back");
        let unusable = incoming.finish().map(|_| ()).unwrap_err();
        assert!(unusable.to_string().contains("more than 2147483648 bytes"), "{unusable}");
        assert_eq!(Problem::from(unusable).status(), 413);
    }

    #[test]
    fn as_much_as_may_be_is_kept() {
        let file = "{\"id\":1}\n{\"id\":2}\n";
        for (room, is_good) in [(24, true), (23, false)] {
            let mut incoming = Incoming::with_room(Container::Ndjson, "/id", room);
            incoming.push(file.as_bytes()).unwrap();
            assert_eq!(incoming.finish().is_ok(), is_good, "{room}");
        }
    }

    #[test]
    fn of_a_bad_file_nothing_is_kept() {
        let mut incoming = Incoming::new(Container::Ndjson, "/id");
        incoming.push(b"{}\n{}\n").unwrap();
        assert_eq!(kept_bytes(&mut incoming), 12);
        incoming.push(b"{}\nx\n{}\n").unwrap();
        assert_eq!(kept_bytes(&mut incoming), 0);
        assert!(matches!(incoming.finish(), Err(Unusable::Faults(_))));
    }
}
