use std::{
    error::Error,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use resume_core::{
    call::StoreCallError,
    collection::{self, BegunImport, NewImport, StartError},
    db::{self, PgConnection, PgPool},
    document::NewDocument,
    erasure,
    import::document,
    source::definition::Definition,
};
use uuid::Uuid;

use super::upload::Upload;

/// How often storing is tried: of two transactions that wait for each other Postgres ends one.
const TRIES: u32 = 3;

/// Why a file was not stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// It did not start, or the database refused.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its documents were not stored.
    #[error(transparent)]
    Documents(resume_core::document::StoreError),
    /// What was kept of it cannot be read.
    #[error("reading the file that was kept")]
    Io(#[from] io::Error),
}

impl From<StoreCallError> for StoreError {
    fn from(error: StoreCallError) -> Self {
        match error {
            StoreCallError::Database(error) => error.into(),
            StoreCallError::Enqueue(error) => Self::Start(error.into()),
            StoreCallError::Documents(error) => Self::Documents(error),
        }
    }
}

impl From<db::Error> for StoreError {
    fn from(error: db::Error) -> Self {
        Self::Start(error.into())
    }
}

/// Stores a file in one transaction; gives its collection.
///
/// # Errors
/// See [`StoreError`]; nothing of the file is stored then.
pub(super) async fn store(
    pool: &PgPool,
    new: &NewImport,
    upload: Upload,
    key: Option<&erasure::Key>,
) -> Result<Uuid, StoreError> {
    let upload = Arc::new(Mutex::new(upload));
    let mut tries = 1;
    loop {
        let mut tx = db::begin(pool).await?;
        match store_in(&mut tx, new, &upload, key).await {
            Ok(id) => {
                tx.commit().await?;
                return Ok(id);
            }
            Err(error) if tries == TRIES || !can_be_tried_again(&error) => {
                // Gives the connection back: who asks for another one while holding it can starve the pool.
                drop(tx.rollback().await);
                return Err(error);
            }
            Err(_) => tries += 1,
        }
        tx.rollback().await?;
    }
}

async fn store_in(
    conn: &mut PgConnection,
    new: &NewImport,
    upload: &Arc<Mutex<Upload>>,
    key: Option<&erasure::Key>,
) -> Result<Uuid, StoreError> {
    let mut import = match collection::begin_import(conn, new).await? {
        BegunImport::New(import) => import,
        BegunImport::Repeated(id) => return Ok(id),
    };
    let definition = Arc::new(import.source().definition.clone());
    if definition.list.deleted_flag().is_some() {
        let (mut deleted, mut there) = (Vec::new(), Vec::new());
        for page in 0..new.pages as usize {
            for item in read(upload, page, &definition).await? {
                let ids = if item.is_deleted { &mut deleted } else { &mut there };
                ids.extend(item.external_id);
            }
        }
        let [deleted, there] =
            [&deleted, &there].map(|ids| ids.iter().map(String::as_str).collect::<Vec<_>>());
        import.note_seen(conn, &deleted, &there).await?;
    }
    for page in 0..new.pages as usize {
        let items = read(upload, page, &definition).await?;
        import.store_page(conn, &items, key).await?;
    }
    Ok(import.finish(conn).await?)
}

/// Reads the next page on a thread for blocking work; the first one from the beginning.
async fn read(
    upload: &Arc<Mutex<Upload>>,
    page: usize,
    definition: &Arc<Definition>,
) -> io::Result<Vec<NewDocument>> {
    let (upload, definition) = (upload.clone(), definition.clone());
    let reading = tokio::task::spawn_blocking(move || {
        read_page(&mut upload.lock().unwrap_or_else(PoisonError::into_inner), page, &definition)
    });
    reading.await.map_err(io::Error::other)?
}

fn read_page(upload: &mut Upload, page: usize, definition: &Definition) -> io::Result<Vec<NewDocument>> {
    if page == 0 {
        upload.rewind()?;
    }
    (0..upload.pages[page]).map(|_| Ok(document(definition, &upload.next()?))).collect()
}

/// Whether another transaction was in the way: of two that wait for each other Postgres ends one, and of two
/// that store the same people at the same time one comes second.
fn can_be_tried_again(error: &StoreError) -> bool {
    if matches!(error, StoreError::Documents(resume_core::document::StoreError::Contention)) {
        return true;
    }
    let causes = std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| error.source());
    let mut codes = causes.filter_map(|error| {
        error.downcast_ref::<db::Error>()?.as_database_error()?.code().map(|c| c.into_owned())
    });
    codes.any(|code| code == "40P01")
}
