use anyhow::Result;
use serde::Deserialize;

use super::{Client, List};
use crate::options::{CallsOptions, DocumentsOptions, ResumesOptions};

/// A document of a collection.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Document {
    pub(crate) id: i64,
    pub(crate) external_id: Option<String>,
    pub(crate) state: String,
    pub(crate) page: Option<i32>,
    pub(crate) position: i32,
    pub(crate) code: Option<String>,
    pub(crate) pointer: Option<String>,
    pub(crate) detail: Option<String>,
}

/// A call of a collection.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Call {
    pub(crate) step: String,
    pub(crate) parent: Option<String>,
    pub(crate) item: Option<String>,
    pub(crate) place: i32,
    pub(crate) state: String,
    pub(crate) made: u32,
    pub(crate) items: Option<u32>,
    pub(crate) code: Option<String>,
    pub(crate) error: Option<String>,
}

/// A resume, in short.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Resume {
    pub(crate) id: i64,
    pub(crate) source: String,
    pub(crate) external_id: String,
    pub(crate) name: Option<String>,
    pub(crate) raw_document_id: i64,
}

impl Client {
    pub(crate) async fn documents(&self, options: &DocumentsOptions) -> Result<Vec<Document>> {
        let given = [("state", &options.state), ("code", &options.code)];
        let url = self.named("data-collection", &options.id, &["documents"])?;
        let request = self.http.get(url).query(&[("limit", options.limit)]).query(&given);
        Ok(self.send::<List<Document>>(request).await?.results)
    }

    pub(crate) async fn calls(&self, options: &CallsOptions) -> Result<Vec<Call>> {
        let given = [("state", &options.state), ("step", &options.step), ("code", &options.code)];
        let url = self.named("data-collection", &options.id, &["calls"])?;
        let request = self.http.get(url).query(&[("limit", options.limit)]).query(&given);
        Ok(self.send::<List<Call>>(request).await?.results)
    }

    /// A raw document, byte for byte.
    pub(crate) async fn raw_document(&self, id: i64, hidden: bool) -> Result<Vec<u8>> {
        let address = self.address(&format!("raw-documents/{id}"));
        self.answer(self.http.get(address).query(&[("hidden", hidden)])).await
    }

    pub(crate) async fn resumes(&self, options: &ResumesOptions) -> Result<Vec<Resume>> {
        let given = [
            ("source", &options.source),
            ("external_id", &options.external_id),
            ("data_request_id", &options.collection),
        ];
        let state = if options.hidden { "hidden" } else { "shown" };
        let request = self.http.get(self.address("resumes")).query(&[("limit", options.limit)]);
        Ok(self.send::<List<Resume>>(request.query(&[("state", state)]).query(&given)).await?.results)
    }
}
