//! Imports: a file with items becomes a collection that is fetched already.
//!
//! A file is read as a whole before anything is stored: nobody waits for locks that a slow sender holds, all
//! that is wrong with the file is told at once, and a 202 says that all of it is there.

mod body;
mod dto;
mod store;
mod upload;

use std::time::Duration;

use poem_openapi::{ApiResponse, OpenApi, param::Query, payload::Json};
use resume_core::{
    collection::{NewImport, StartError},
    document,
    erasure::CheckError,
    import::{Container, Faults, MAX_FAULTS},
    source::{self, definition::Definition},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use self::{
    body::{FileBody, Pieces},
    dto::{FileFormat, ImportReply},
    store::{StoreError, store},
    upload::{Incoming, Unusable, Upload},
};
use crate::{
    collections::unknown_source,
    database::bounded,
    idempotency_key::IdempotencyKey,
    name::Name,
    problem::{FieldError, Problem, ProblemType},
    refused::{Refusals, Refused},
    spec::Tag,
    state::AppState,
};

/// How many files are received at once; their senders are slowed down, and further ones wait for so long.
const RECEIVED_AT_ONCE: usize = 8;
const RECEIVE_WAIT_MAX: Duration = Duration::from_secs(5);

/// How many are stored at once: each takes one of the ten connections for as long as it takes. The others
/// wait for so long: the largest takes a minute or two.
const STORED_AT_ONCE: usize = 2;
const STORE_WAIT_MAX: Duration = Duration::from_secs(600);

/// The resource.
pub(crate) struct Imports {
    state: AppState,
    receiving: Semaphore,
    storing: Semaphore,
}

/// The reply to a file that is stored.
#[derive(ApiResponse)]
enum Accepted {
    /// The whole file is stored, and is being parsed; or was stored before, under the same idempotency key.
    #[oai(status = 202)]
    Accepted(
        Json<ImportReply>,
        /// Where to follow the progress.
        #[oai(header = "Location")]
        String,
    ),
}

struct ImportRefusals;

impl Refusals for ImportRefusals {
    const STATUSES: &'static [u16] = &[400, 409, 413, 415, 422, 500, 503];
    const UNAVAILABLE: &'static str =
        "There are too many imports, or the database cannot be reached for now; `type` says which.";
}

impl Imports {
    pub(crate) fn new(state: AppState) -> Self {
        let (receiving, storing) = (Semaphore::new(RECEIVED_AT_ONCE), Semaphore::new(STORED_AT_ONCE));
        Self { state, receiving, storing }
    }

    async fn definition(&self, name: &str) -> Result<Definition, Problem> {
        let pool = &self.state.pool;
        match bounded(async { source::find(&mut *pool.acquire().await?, name).await }).await? {
            Some(source) => Ok(source.definition),
            None => Err(unknown_source("source", &bounded(source::list(pool)).await?)),
        }
    }

    /// Before anything of a file is read: what its source is, and a place among those that are received.
    async fn admit(&self, source: &str) -> Result<(Definition, SemaphorePermit<'_>), Problem> {
        let definition = self.definition(source).await?;
        Ok((definition, place(&self.receiving, RECEIVE_WAIT_MAX, "received, or wait to be stored,").await?))
    }

    async fn import(
        &self,
        source: &str,
        (container, mut pieces): (Container, Pieces),
        idempotency_key: Option<String>,
    ) -> Result<ImportReply, Problem> {
        let (definition, _received) = match self.admit(source).await {
            Ok(admitted) => admitted,
            Err(problem) => {
                pieces.drain().await;
                return Err(problem);
            }
        };
        let upload = receive(&mut pieces, Incoming::new(container, definition)).await?;
        let (count, duplicates) = (upload.count, upload.duplicates);
        let new = NewImport {
            source: source.to_owned(),
            container,
            content_hash: upload.content_hash,
            count: upload.count.into(),
            per_page: upload.per_page(),
            pages: upload.pages.len() as u32,
            idempotency_key,
        };
        let _stored = place(&self.storing, STORE_WAIT_MAX, "stored").await?;
        let collection = store(&self.state.pool, &new, upload, self.state.erasure_key.as_ref()).await?;
        Ok(ImportReply::new((count, duplicates), source, collection))
    }
}

/// Waits for a place, but not for ever: who has one may need it for long.
async fn place<'a>(
    places: &'a Semaphore,
    wait_max: Duration,
    what: &str,
) -> Result<SemaphorePermit<'a>, Problem> {
    match tokio::time::timeout(wait_max, places.acquire()).await {
        Ok(place) => place.map_err(Problem::failure),
        Err(_) => {
            let detail = format!(
                "as many files are {what} as may be at once, and none was done within {} s; nothing of this one is stored: \
                 send it again later",
                wait_max.as_secs()
            );
            Err(Problem::new(ProblemType::TooManyImports, detail))
        }
    }
}

/// Receives a file to its end, whether it is good or not.
async fn receive(pieces: &mut Pieces, mut incoming: Incoming) -> Result<Upload, Problem> {
    while let Some(piece) = pieces.next().await? {
        let pushed = tokio::task::spawn_blocking(move || incoming.push(&piece).map(|()| incoming));
        incoming = pushed.await.map_err(Problem::failure)?.map_err(Unusable::Io)?;
    }
    let finished = tokio::task::spawn_blocking(|| incoming.finish());
    Ok(finished.await.map_err(Problem::failure)??)
}

#[OpenApi(tag = "Tag::Collections")]
impl Imports {
    /// Import a file
    ///
    /// The items of a file become a collection that is fetched already; replies when all of the file is
    /// stored. Of anything but a 202 nothing is stored. Of JSON a list of objects, one object, or an answer
    /// of the source's API with the items in a list; of NDJSON an object a line; of CSV a row of names and a
    /// row for each item, which becomes an object of its cells, without the empty ones. UTF-8, at most 1 GiB,
    /// 1,000,000 items, 4 MiB an item and 2 GiB for all of them as objects; of CSV 2,000 columns, whose names
    /// have 64 KiB. What is wrong with a file is told by line and column. An item that cannot be parsed is
    /// kept and fails alone, and one that is known is not parsed again, as with any collection.
    ///
    /// Eight files are received at once; a further one waits 5 s for its turn, and is refused then. A sender
    /// who is silent for 30 s, or sends less than 64 KiB a second, is refused too.
    ///
    /// Send a fresh UUID as `Idempotency-Key` to be able to repeat the request safely: the same key with the
    /// same file stores nothing more and gives the same reply.
    #[oai(path = "/api/v1/data-collection/import", method = "post", operation_id = "import_file")]
    async fn import_file(
        &self,
        /// Which source the items are of: one of files, or any other whose items look the same.
        source: Query<Name>,
        /// What the file is; by default what its media type says.
        format: Query<Option<FileFormat>>,
        /// Identifies this request when it is sent again, for example after a time-out.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: IdempotencyKey,
        body: FileBody,
    ) -> Result<Accepted, Refused<ImportRefusals>> {
        let Some(container) = format.0.map(Container::from).or(body.container) else {
            let detail =
                "send the file as application/json, application/x-ndjson or text/csv, or say its `format`";
            return Err(Problem::new(ProblemType::UnsupportedMediaType, detail).into());
        };
        let reply = self.import(&source.0.0, (container, body.pieces), idempotency_key.0).await?;
        let location = reply.status_url.clone();
        Ok(Accepted::Accepted(Json(reply), location))
    }
}

impl From<Unusable> for Problem {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Faults(faults) => faults.into(),
            Unusable::Io(error) => Self::failure(error),
            Unusable::Empty | Unusable::TooMany => Self::invalid_field("body", unusable.to_string()),
            Unusable::TooLarge => Self::new(ProblemType::BodyTooLarge, unusable.to_string()),
        }
    }
}

impl From<Faults> for Problem {
    fn from(faults: Faults) -> Self {
        let more = faults.count > MAX_FAULTS as u64;
        let first = faults.first.into_iter();
        let mut errors: Vec<FieldError> =
            first.map(|fault| FieldError { field: fault.place.to_string(), detail: fault.detail }).collect();
        if more {
            let detail = format!("there is more than these {MAX_FAULTS}; nobody has looked on");
            errors.push(FieldError { field: "body".to_owned(), detail });
        }
        Self::invalid(errors)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Start(StartError::UnknownSource(_)) => {
                Self::invalid_field("source", "the source was removed meanwhile")
            }
            StoreError::Start(error) => error.into(),
            StoreError::Documents(document::StoreError::Erasure(CheckError::KeyMissing)) => {
                Self::new(ProblemType::ErasureKeyMissing, CheckError::KeyMissing.to_string())
            }
            StoreError::Documents(error) => Self::failure(error),
            StoreError::Io(error) => Self::failure(error),
        }
    }
}
