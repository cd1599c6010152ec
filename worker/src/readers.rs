//! How the documents of collections are read: a map is fetched and made ready once, not for each batch.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use resume_core::{
    db::{self, PgPool},
    document::WaitingDocument,
    parsing::{CompiledMapping, Format, ParseError, ParsedResume, parse, parse_mapped},
    source::{self, VersionedMap},
};
use uuid::Uuid;

/// How many readers are kept: many more than collections are parsed at once.
const KEPT_MAX: usize = 100;

/// How the documents of a source are read.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The source.
    pub(crate) source_id: i32,
    /// The version of its map.
    pub(crate) version: i32,
    format: Format,
    mapping: Option<CompiledMapping>,
}

impl Reader {
    /// Makes a source's map ready for use. Without one its documents fail, each with `missing_mapping`.
    pub(crate) fn of(map: &VersionedMap) -> Self {
        let needed = map.map.as_ref().filter(|_| map.format == Format::Mapped);
        // It was checked when the source was added.
        let mapping = needed.and_then(|map| CompiledMapping::new(map).ok());
        Self { source_id: map.source_id, version: map.version, format: map.format, mapping }
    }

    pub(crate) fn read(&self, document: &WaitingDocument) -> Result<ParsedResume, ParseError> {
        let external_id = document.external_id.as_deref();
        match &self.mapping {
            Some(mapping) => parse_mapped(mapping, external_id, &document.body),
            None => parse(self.format, external_id, &document.body),
        }
    }
}

/// The readers of the collections that this process has parsed lately. One may be out of date: whoever stores
/// what it has read is told so, and [forgets](Readers::forget) it.
#[derive(Debug, Default)]
pub(crate) struct Readers(Mutex<HashMap<Uuid, Arc<Reader>>>);

impl Readers {
    /// Returns the reader of a collection; `None` if its source was removed.
    pub(crate) async fn of(
        &self,
        pool: &PgPool,
        collection_id: Uuid,
    ) -> Result<Option<Arc<Reader>>, db::Error> {
        if let Some(reader) = self.kept().get(&collection_id) {
            return Ok(Some(reader.clone()));
        }
        let Some(map) = source::mapping_of_collection(pool, collection_id).await? else { return Ok(None) };
        let reader = Arc::new(Reader::of(&map));
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(collection_id, reader.clone());
        Ok(Some(reader))
    }

    /// Forgets the reader of a collection, since the map of its source has changed.
    pub(crate) fn forget(&self, collection_id: Uuid) {
        self.kept().remove(&collection_id);
    }

    /// Nothing panics under the lock.
    fn kept(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Reader>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
