use poem_openapi::{Enum, Object, types::Example};
use resume_core::import::Container;
use uuid::{Uuid, uuid};

/// How items stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum FileFormat {
    /// A list of objects, or one object.
    Json,
    /// An object on each line.
    Ndjson,
    /// A row of names, and below it a row for each item.
    Csv,
}

impl From<FileFormat> for Container {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Json => Self::Json,
            FileFormat::Ndjson => Self::Ndjson,
            FileFormat::Csv => Self::Csv,
        }
    }
}

/// A file that is stored.
#[derive(Debug, Object)]
#[oai(example)]
pub(super) struct ImportReply {
    /// What is stored, in words.
    message: String,
    /// How many items the file has.
    items: u32,
    /// How many of them have an id that an item before them in the file has, which is told with the code
    /// `duplicate_id`: of items with one id the last one counts.
    duplicates: u32,
    /// The id of the collection.
    data_request_id: Uuid,
    /// Where to follow its progress.
    pub(super) status_url: String,
}

impl ImportReply {
    pub(super) fn new((items, duplicates): (u32, u32), source: &str, id: Uuid) -> Self {
        let mut message = format!("Import stored: {items} items for {source}");
        if duplicates > 0 {
            message += &format!(
                "; duplicate_id: {duplicates} have the id of an item before them, and the last one counts"
            );
        }
        Self {
            message,
            items,
            duplicates,
            data_request_id: id,
            status_url: format!("/api/v1/data-collection/status/{id}"),
        }
    }
}

impl Example for ImportReply {
    fn example() -> Self {
        Self::new((1200, 0), "acme-files", uuid!("019a9c5b-3c1e-7d2f-8a54-2f1c8b7e9d10"))
    }
}
