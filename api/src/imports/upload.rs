//! A file on its way: split into items, looked at as a whole, and kept beside until it can be stored.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use resume_core::{
    collection::{IMPORT_PER_PAGE, MAX_COUNT},
    import::{Container, Faults, ItemReader},
};
use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

/// What is kept in memory of one file; a larger one goes into a file without a name, in the directory for those.
const MEMORY_BYTES: usize = 4 * 1024 * 1024;

/// The most bytes of a page: they are in memory at once.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// A file that is being received.
pub(super) struct Incoming {
    reader: ItemReader,
    hash: Sha256,
    kept: BufWriter<SpooledTempFile>,
    pages: Vec<u32>,
    page_bytes: usize,
    count: u64,
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
    /// It could not be kept.
    #[error("keeping the file until it is stored")]
    Io(#[from] io::Error),
}

impl Incoming {
    pub(super) fn new(container: Container, id: &str) -> Self {
        Self {
            reader: ItemReader::new(container, id),
            hash: Sha256::new(),
            kept: BufWriter::new(SpooledTempFile::new(MEMORY_BYTES)),
            pages: Vec::new(),
            page_bytes: 0,
            count: 0,
        }
    }

    /// Takes the next bytes. Blocks while they are written.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        let items = self.reader.push(bytes);
        if self.reader.has_faults() { Ok(()) } else { self.keep(&items) }
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<Upload, Unusable> {
        let reader = std::mem::replace(&mut self.reader, ItemReader::new(Container::Json, ""));
        self.keep(&reader.finish()?)?;
        let count = match u32::try_from(self.count) {
            Ok(0) => return Err(Unusable::Empty),
            Ok(count) if count <= MAX_COUNT => count,
            _ => return Err(Unusable::TooMany),
        };
        let kept = self.kept.into_inner().map_err(io::IntoInnerError::into_error)?;
        let content_hash = self.hash.finalize().into();
        Ok(Upload { kept: BufReader::new(kept), pages: self.pages, count, content_hash })
    }

    fn keep(&mut self, items: &[Vec<u8>]) -> io::Result<()> {
        for item in items {
            self.count += 1;
            if self.count > u64::from(MAX_COUNT) {
                continue;
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
            // An item is far shorter than 4 GiB.
            self.kept.write_all(&(item.len() as u32).to_le_bytes())?;
            self.kept.write_all(item)?;
        }
        Ok(())
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
