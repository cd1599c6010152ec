use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use resume_core::import::Container;
use serde_json::Value;
use tokio::fs::File;

use super::Client;

/// The longest that sending and storing a file may take.
const PATIENCE: Duration = Duration::from_secs(3600);

impl Client {
    /// Sends a file as it is read. Returns the id of its collection, and how many of its items repeat an id.
    pub(crate) async fn import(
        &self,
        source: &str,
        container: Container,
        path: &Path,
    ) -> Result<(String, u64)> {
        let file = File::open(path).await.context("cannot be read")?;
        let request = self
            .http
            .post(self.address("data-collection/import"))
            .query(&[("source", source), ("format", container.as_str())])
            .header("content-type", container.media_type())
            .timeout(PATIENCE)
            .body(file);
        let reply: Value = self.send(request).await?;
        let id =
            reply.get("data_request_id").and_then(Value::as_str).context("the reply names no collection")?;
        let duplicates = reply.get("duplicates").and_then(Value::as_u64).unwrap_or_default();
        Ok((id.to_owned(), duplicates))
    }
}
