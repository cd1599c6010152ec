//! A file on its way: kept as it comes, then split into items, which are kept until all of them can be
//! stored.

use std::{
    collections::{HashSet, hash_map::RandomState},
    hash::BuildHasher,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
};

use resume_core::{
    collection::IMPORT_PER_PAGE,
    import::{Container, Faults, ReadError, read_items},
    parsing::id_at,
    source::definition::Definition,
};
use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

/// The most items of a file: they are stored in one transaction, which takes about a minute for so many.
const MAX_COUNT: u32 = 1_000_000;

/// What is kept in memory of one file; a larger one goes into a file without a name, in the directory for
/// those.
const MEMORY_BYTES: usize = 4 * 1024 * 1024;

/// The most bytes of a page: they are in memory at once.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// The most that is kept of one file. A row of a table is kept with the names of all its columns, so that it
/// may be far longer than it was.
const MAX_KEPT_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// A file that is being received.
pub(super) struct Incoming {
    container: Container,
    definition: Definition,
    file: BufWriter<SpooledTempFile>,
    hash: Sha256,
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
    /// How many of them have an id that an item before them has.
    pub(super) duplicates: u32,
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

impl From<ReadError> for Unusable {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Faults(faults) => faults.into(),
            ReadError::Io(error) => error.into(),
        }
    }
}

impl Incoming {
    pub(super) fn new(container: Container, definition: Definition) -> Self {
        Self { container, definition, file: spool(), hash: Sha256::new() }
    }

    /// Takes the next bytes. Blocks while they are written.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }

    /// Ends the file. Blocks while its items are read.
    pub(super) fn finish(self) -> Result<Upload, Unusable> {
        self.finish_in(MAX_KEPT_BYTES)
    }

    fn finish_in(self, max_bytes: u64) -> Result<Upload, Unusable> {
        let mut file = BufReader::new(self.file.into_inner().map_err(io::IntoInnerError::into_error)?);
        let mut kept = Kept {
            file: spool(),
            pages: Vec::new(),
            page_bytes: 0,
            count: 0,
            bytes: 0,
            max_bytes,
            failed: None,
        };
        // A million ids may be long. Their hashes are not, and that two are equal by chance is less likely
        // than a broken disk.
        let (hasher, mut ids, mut duplicates) = (RandomState::new(), HashSet::new(), 0);
        read_items(self.container, &self.definition, &mut file, |item| {
            if let Some(id) = id_at(item, self.definition.id_pointer()) {
                duplicates += u32::from(!ids.insert(hasher.hash_one(id)));
            }
            kept.take(item);
        })?;
        let Kept { file, pages, count, bytes, failed, .. } = kept;
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
        Ok(Upload { kept: BufReader::new(kept), pages, count, duplicates, content_hash })
    }
}

fn spool() -> BufWriter<SpooledTempFile> {
    BufWriter::new(SpooledTempFile::new(MEMORY_BYTES))
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
            self.file = spool();
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

    fn finish(container: Container, file: &str, max_bytes: u64) -> Result<Upload, Unusable> {
        let mut incoming = Incoming::new(container, Definition::original("files", "", "", 1));
        incoming.push(file.as_bytes()).unwrap();
        incoming.finish_in(max_bytes)
    }

    /// 20 KB and then three bytes a row come to 20 KB a row.
    #[test]
    fn what_is_kept_has_a_most() {
        let file = format!("{},id\n{}", "n".repeat(20_000), "x,\n".repeat(5_000));
        let unusable = finish(Container::Csv, &file, 3_000_000).map(|_| ()).unwrap_err();
        assert!(unusable.to_string().contains("more than 2147483648 bytes"), "{unusable}");
        assert_eq!(Problem::from(unusable).status(), 413);
    }

    #[test]
    fn as_much_as_may_be_is_kept() {
        let file = "{\"id\":1}\n{\"id\":2}\n";
        for (room, is_good) in [(24, true), (23, false)] {
            assert_eq!(finish(Container::Ndjson, file, room).is_ok(), is_good, "{room}");
        }
    }

    #[test]
    fn items_with_the_id_of_another_one_are_counted() {
        let file = "{\"id\":1}\n{\"id\":\"2\"}\n{}\n{}\n{\"id\":\"1\",\"a\":0}\n{\"id\":\" 1\"}\n";
        assert_eq!(finish(Container::Ndjson, file, 1_000).unwrap().duplicates, 2);
    }
}
